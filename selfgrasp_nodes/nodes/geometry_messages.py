"""Messages <-> times, headers, poses and transforms."""

from __future__ import annotations

import math

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Pose, PoseStamped, Transform, TransformStamped
from std_msgs.msg import Header

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidCandidate, Unavailable


def time_message(stamp: int) -> Time:
    """A stamp [ns] as a message."""
    return Time(sec=int(stamp // 1_000_000_000), nanosec=int(stamp % 1_000_000_000))


def stamp(message: Time) -> int:
    """A time message as [ns]."""
    return int(message.sec) * 1_000_000_000 + int(message.nanosec)


def duration_message(seconds: float) -> Duration:
    """Seconds as a message."""
    nanoseconds = round(seconds * 1e9)
    return Duration(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def seconds(message: Duration) -> float:
    """A duration message in seconds."""
    return float(message.sec) + message.nanosec * 1e-9


def header(frame: str, at: int) -> Header:
    """A header of a frame and a stamp [ns]."""
    return Header(stamp=time_message(at), frame_id=frame)


def pose_message(matrix: np.ndarray) -> Pose:
    """A 4 x 4 transform as a pose."""
    w, x, y, z = geometry.quaternion(matrix)
    pose = Pose()
    pose.position.x, pose.position.y, pose.position.z = (float(v) for v in matrix[:3, 3])
    pose.orientation.w, pose.orientation.x = float(w), float(x)
    pose.orientation.y, pose.orientation.z = float(y), float(z)
    return pose


def pose(message: Pose) -> np.ndarray:
    """A pose as a 4 x 4 transform.

    Raises:
        InvalidCandidate: If a number is not finite, or the quaternion is zero.
    """
    p, q = message.position, message.orientation
    numbers = (p.x, p.y, p.z, q.w, q.x, q.y, q.z)
    if not all(math.isfinite(v) for v in numbers):
        raise InvalidCandidate(f"pose has a number that is not finite: {numbers}")
    if q.w**2 + q.x**2 + q.y**2 + q.z**2 < 1e-6:
        raise InvalidCandidate("pose has a zero quaternion; (0, 0, 0, 1) is no rotation")
    return geometry.from_quaternion((p.x, p.y, p.z), (q.w, q.x, q.y, q.z))


def pose_stamped(matrix: np.ndarray, frame: str, at: int = 0) -> PoseStamped:
    """A 4 x 4 transform as a stamped pose."""
    return PoseStamped(header=header(frame, at), pose=pose_message(matrix))


def transform_message(
    parent: str, child: str, parent_T_child: np.ndarray, at: int
) -> TransformStamped:
    """A 4 x 4 transform between named frames."""
    w, x, y, z = geometry.quaternion(parent_T_child)
    message = TransformStamped(header=header(parent, at), child_frame_id=child)
    moved, turned = message.transform.translation, message.transform.rotation
    moved.x, moved.y, moved.z = (float(v) for v in parent_T_child[:3, 3])
    turned.w, turned.x, turned.y, turned.z = float(w), float(x), float(y), float(z)
    return message


def transform(message: Transform) -> np.ndarray:
    """A transform message as a 4 x 4 matrix.

    Raises:
        Unavailable: If it holds no rotation.
    """
    p, q = message.translation, message.rotation
    if not q.w**2 + q.x**2 + q.y**2 + q.z**2 > 1e-6:
        raise Unavailable("a transform has a zero quaternion; its publisher is at fault")
    return geometry.from_quaternion((p.x, p.y, p.z), (q.w, q.x, q.y, q.z))
