"""Recorded messages to the package's own data types, without ROS.

Works on the plain objects that the ``rosbags`` library deserialises, whose
attributes are named as in the message definitions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidImage
from selfgrasp_nodes.types import Heightmap, Observation, View, Workspace

_ENCODINGS: dict[str, tuple[type, int]] = {
    "rgb8": (np.uint8, 3),
    "bgr8": (np.uint8, 3),
    "mono8": (np.uint8, 1),
    "8UC1": (np.uint8, 1),
    "16UC1": (np.uint16, 1),
    "mono16": (np.uint16, 1),
    "32FC1": (np.float32, 1),
}


def image(message: Any) -> np.ndarray:
    """A ``sensor_msgs/Image`` as an array, (H, W, 3) RGB or (H, W); rows may be padded.

    Raises:
        InvalidImage: If the encoding is unknown or the data too short.
    """
    if message.encoding not in _ENCODINGS:
        raise InvalidImage(
            f"unknown image encoding {message.encoding!r}; valid: {', '.join(_ENCODINGS)}"
        )
    kind, channels = _ENCODINGS[message.encoding]
    dtype = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    row = message.width * channels * dtype.itemsize
    data = np.frombuffer(message.data, np.uint8)
    if message.step < row or len(data) < message.height * message.step:
        raise InvalidImage(
            f"image of {message.width} x {message.height} {message.encoding} has step "
            f"{message.step} and {len(data)} bytes: cut short"
        )
    rows = data[: message.height * message.step].reshape(message.height, message.step)[:, :row]
    pixels = np.ascontiguousarray(rows).view(dtype).astype(kind)
    if channels == 3:
        pixels = pixels.reshape(message.height, message.width, 3)
        if message.encoding == "bgr8":
            pixels = pixels[..., ::-1]
    return np.ascontiguousarray(pixels)


def depth(message: Any) -> np.ndarray:
    """A depth image (32FC1 in metres or 16UC1 in millimetres) in metres, 0 where invalid."""
    pixels = image(message)
    if pixels.dtype == np.uint16:
        return (pixels * np.float32(0.001)).astype(np.float32)
    return np.nan_to_num(pixels.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)


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
