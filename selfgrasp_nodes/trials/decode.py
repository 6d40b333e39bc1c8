"""Recorded messages to the package's own data types, without ROS.

Works on the plain objects that the ``rosbags`` library deserialises, whose
attributes are named as in the message definitions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.perception import images
from selfgrasp_nodes.types import Heightmap, Observation, View, Workspace


def image(message: Any) -> np.ndarray:
    """A ``sensor_msgs/Image`` as an array: colour as (H, W, 3) RGB, else (H, W).

    Raises:
        InvalidImage: If the encoding is unknown or the data too short.
    """
    pixels = images.decode(
        message.data,
        message.height,
        message.width,
        message.encoding,
        message.step,
        message.is_bigendian,
    )
    return images.to_rgb(pixels, message.encoding) if pixels.ndim == 3 else pixels


def depth(message: Any) -> np.ndarray:
    """A depth image (32FC1 in metres or 16UC1 in millimetres) in metres, 0 where invalid.

    Raises:
        InvalidImage: If it is no depth image, or the data too short.
    """
    return images.to_metres(image(message), message.encoding)


def stamp(time: Any) -> int:
    """A ``builtin_interfaces/Time`` in nanoseconds."""
    return int(time.sec) * 10**9 + int(time.nanosec)


def pose(position: Any, orientation: Any) -> np.ndarray:
    """Position and quaternion messages as a 4 x 4 transform."""
    return geometry.from_quaternion(
        (position.x, position.y, position.z),
        (orientation.w, orientation.x, orientation.y, orientation.z),
    )


def view(message: Any) -> View:
    """A ``selfgrasp/View``."""
    transform = message.camera_pose.transform
    return View(
        message.camera,
        image(message.color),
        depth(message.depth),
        np.asarray(message.info.k, dtype=float).reshape(3, 3),
        pose(transform.translation, transform.rotation),
        stamp(message.color.header.stamp),
    )


def heightmap(message: Any) -> Heightmap:
    """A ``selfgrasp/Heightmap``."""
    resolution = float(message.resolution)
    size = (message.height.width * resolution, message.height.height * resolution)
    corner = message.origin.position
    workspace = Workspace(
        (corner.x + size[0] / 2, corner.y + size[1] / 2),
        size,
        resolution,
        float(message.height_max),
    )
    return Heightmap(
        workspace, image(message.color), image(message.height), image(message.valid) > 0
    )


def observation(message: Any) -> Observation:
    """A ``selfgrasp/Observation``, without its regions of interest."""
    return Observation(
        message.observation_id,
        stamp(message.header.stamp),
        {v.camera: view(v) for v in message.views},
        heightmap(message.heightmap[0]) if len(message.heightmap) else None,
    )
