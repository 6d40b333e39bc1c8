"""The geometry contract, once.

World frame: z up, origin on the table's top plane. Tool centre point (TCP):
the centre of the finger pads at the commanded width; +z is the approach, the
fingers close along +-y, x completes a right-handed frame. Angles are
right-handed about the world's +z:

* a grasp's angle is the direction in which the fingers close, in [0, pi);
* a push's angle is the direction of the stroke, in [0, 2 pi); the tool's +x
  points along the stroke, so that both closed fingers meet the object side by
  side.

The golden values of this contract are in ``test/test_geometry.py``.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from selfgrasp_nodes.errors import InvalidCandidate
from selfgrasp_nodes.types import Workspace


def transform(xyz: object = (0, 0, 0), rpy: object = (0, 0, 0)) -> np.ndarray:
    """A 4 x 4 transform from a translation [m] and fixed-axis roll, pitch, yaw [rad]."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", np.asarray(rpy, float)).as_matrix()
    matrix[:3, 3] = np.asarray(xyz, float)
    return matrix


def from_quaternion(xyz: object, wxyz: object) -> np.ndarray:
    """A 4 x 4 transform from a translation [m] and a quaternion (w, x, y, z)."""
    w, x, y, z = np.asarray(wxyz, float)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat([x, y, z, w]).as_matrix()
    matrix[:3, 3] = np.asarray(xyz, float)
    return matrix


def quaternion(matrix: np.ndarray) -> np.ndarray:
    """The rotation of a transform as a quaternion (w, x, y, z)."""
    x, y, z, w = Rotation.from_matrix(matrix[:3, :3]).as_quat()
    return np.array([w, x, y, z])


def inverse(a_T_b: np.ndarray) -> np.ndarray:
    """b_T_a for a rigid transform."""
    b_T_a = np.eye(4)
    b_T_a[:3, :3] = a_T_b[:3, :3].T
    b_T_a[:3, 3] = -a_T_b[:3, :3].T @ a_T_b[:3, 3]
    return b_T_a


def wrap_grasp(angle: float) -> float:
    """Angle of a grasp in [0, pi): turning the hand by pi changes nothing."""
    wrapped = float(np.mod(angle, np.pi))
    return 0.0 if wrapped >= np.pi else wrapped  # mod(-1e-17, pi) rounds to pi


def wrap_push(angle: float) -> float:
    """Angle of a push in [0, 2 pi)."""
    wrapped = float(np.mod(angle, 2 * np.pi))
    return 0.0 if wrapped >= 2 * np.pi else wrapped


def grasp_pose(x: float, y: float, z: float, angle: float) -> np.ndarray:
    """world_T_tcp of a top-down grasp.

    Args:
        x: World x of the TCP [m].
        y: World y of the TCP [m].
        z: World z of the TCP [m].
        angle: Direction in which the fingers close, about world +z [rad].

    Raises:
        InvalidCandidate: If a number is not finite.
    """
    _finite(x, y, z, angle)
    c, s = np.cos(angle), np.sin(angle)
    pose = np.eye(4)
    pose[:3, 0] = (-s, c, 0)
    pose[:3, 1] = (c, s, 0)
    pose[:3, 2] = (0, 0, -1)
    pose[:3, 3] = (x, y, z)
    # x = y cross z; with y = (c, s, 0) and z = (0, 0, -1) that is (-s, c, 0).
    return pose


def push_pose(x: float, y: float, z: float, angle: float) -> np.ndarray:
    """world_T_tcp at the start of a push whose stroke points along ``angle`` [rad].

    The tool's +x lies along the stroke: a grasp pose turned by -pi/2.
    """
    return grasp_pose(x, y, z, angle - np.pi / 2)


def grasp_angle(world_T_tcp: np.ndarray) -> float:
    """The grasp angle of a top-down pose; inverse of :func:`grasp_pose`."""
    return wrap_grasp(np.arctan2(world_T_tcp[1, 1], world_T_tcp[0, 1]))


def push_angle(world_T_tcp: np.ndarray) -> float:
    """The stroke's angle of a push pose; inverse of :func:`push_pose`."""
    return wrap_push(np.arctan2(world_T_tcp[1, 0], world_T_tcp[0, 0]))


def pixel_to_point(workspace: Workspace, row: object, col: object) -> np.ndarray:
    """World (x, y) of the centre of heightmap cells.

    Args:
        workspace: What the heightmap covers.
        row: Row index or array of them (along y).
        col: Column index or array of them (along x).

    Returns:
        (..., 2) float64 [m].
    """
    low, res = workspace.low, workspace.resolution
    x = low[0] + (np.asarray(col, float) + 0.5) * res
    y = low[1] + (np.asarray(row, float) + 0.5) * res
    return np.stack([x, y], axis=-1)


def point_to_pixel(workspace: Workspace, x: object, y: object) -> np.ndarray:
    """Heightmap (row, col) of world points; inverse of :func:`pixel_to_point`.

    Returns:
        (..., 2) int64, which may lie outside the map: see ``Workspace.contains``.
    """
    low, res = workspace.low, workspace.resolution
    row = np.floor((np.asarray(y, float) - low[1]) / res + 1e-9)
    col = np.floor((np.asarray(x, float) - low[0]) / res + 1e-9)
    return np.stack([row, col], axis=-1).astype(np.int64)


def project(intrinsics: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Pixel (u, v) of points in the optical frame; (..., 3) [m] -> (..., 2) [px]."""
    z = points[..., 2:3]
    uv = points[..., :2] / z
    return uv * [intrinsics[0, 0], intrinsics[1, 1]] + intrinsics[:2, 2]


def _finite(*numbers: float) -> None:
    if not np.all(np.isfinite(numbers)):
        raise InvalidCandidate(f"pose has a number that is not finite: {numbers}")
