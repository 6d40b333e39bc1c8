"""Image messages <-> arrays, in one place.

Through cv_bridge where the ROS installation has it, otherwise by
:mod:`selfgrasp_nodes.perception.images`, which behaves the same.
"""

from __future__ import annotations

import array
import os
import sys
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, Image

from selfgrasp_nodes.errors import InvalidImage
from selfgrasp_nodes.perception import images


def _cv_bridge() -> Any:
    """ROS 2's cv_bridge, or None.

    PyPI's package of that name is a shim for ROS 1 that returns wrong data for
    16UC1; it is told apart by where it lies: outside every ament prefix.
    """
    try:
        import cv_bridge
    except Exception:  # a bridge built against another numpy fails in many ways
        return None
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    file = os.path.realpath(cv_bridge.__file__ or "")
    inside = any(p and file.startswith(os.path.realpath(p) + os.sep) for p in prefixes)
    if not inside or file.startswith(os.path.realpath(sys.prefix) + os.sep + "lib/python"):
        return None
    return cv_bridge.CvBridge()


_bridge = _cv_bridge()


def decode(message: Image) -> np.ndarray:
    """The pixels of a message, in its own encoding: (H, W) or (H, W, C).

    Raises:
        InvalidImage: If the encoding is unknown or the sizes do not agree.
    """
    if _bridge is not None and message.encoding in images.ENCODINGS:
        try:
            return np.asarray(_bridge.imgmsg_to_cv2(message, "passthrough"))
        except Exception as error:
            raise InvalidImage(f"cv_bridge cannot read the image: {error}") from error
    return images.decode(
        message.data,
        message.height,
        message.width,
        message.encoding,
        message.step,
        message.is_bigendian,
    )


def rgb(message: Image) -> np.ndarray:
    """A colour message as (H, W, 3) uint8 RGB.

    Raises:
        InvalidImage: If it does not hold colour, or is cut short.
    """
    if message.encoding not in images.COLOR_ENCODINGS:
        raise InvalidImage(
            f"encoding {message.encoding!r} does not hold colour; valid: "
            f"{', '.join(images.COLOR_ENCODINGS)}"
        )
    return images.to_rgb(decode(message), message.encoding)


def metres(message: Image) -> np.ndarray:
    """A depth message as (H, W) float32 metres, 0 where invalid.

    Raises:
        InvalidImage: If it does not hold depth, or is cut short.
    """
    if message.encoding not in images.DEPTH_ENCODINGS:
        raise InvalidImage(
            f"encoding {message.encoding!r} does not hold depth; valid: "
            f"{', '.join(images.DEPTH_ENCODINGS)}"
        )
    return images.to_metres(decode(message), message.encoding)


def encode(pixels: np.ndarray, encoding: str, header: Any = None) -> Image:
    """A message of an array.

    ``data`` is filled with an ``array.array``: rclpy takes that over as it is,
    while it would look at each byte of a list.

    Raises:
        InvalidImage: If the encoding does not fit the array.
    """
    data, step, bigendian = images.encode(pixels, encoding)
    message = Image(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=int(bigendian),
        step=step,
    )
    message.data = array.array("B", data)
    if header is not None:
        message.header = header
    return message


def camera_info(intrinsics: np.ndarray, width: int, height: int, header: Any = None) -> CameraInfo:
    """CameraInfo of an ideal pinhole camera; ``intrinsics`` is 3 x 3."""
    k = np.asarray(intrinsics, float)
    info = CameraInfo(width=width, height=height, distortion_model="plumb_bob")
    info.d = [0.0] * 5
    info.k = k.ravel()
    info.r = np.eye(3).ravel()
    info.p = np.hstack([k, np.zeros((3, 1))]).ravel()
    if header is not None:
        info.header = header
    return info


def intrinsics(info: CameraInfo) -> np.ndarray:
    """The 3 x 3 matrix of a CameraInfo.

    Raises:
        InvalidImage: If it was never calibrated (all zero).
    """
    matrix = np.asarray(info.k, float).reshape(3, 3)
    if not (np.isfinite(matrix).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0):
        raise InvalidImage(
            f"camera_info of frame {info.header.frame_id!r} has no focal length; calibrate "
            "the camera, or correct its driver's calibration file"
        )
    return matrix
