"""Paths before they are timed: straight lines of the tool, and corners in joint space."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.spatial.transform import Rotation

from selfgrasp_nodes.types import Trajectory

# Of the tool between knots of a straight line [m]: a cubic through knots so far apart
# leaves the line by less than 0.1 mm.
_LINE_STEP = 0.04
_TURN_STEP = 0.1  # of its orientation [rad]


def line(start: np.ndarray, end: np.ndarray) -> list[np.ndarray]:
    """Poses (4 x 4) along a straight line with even turning, both ends included."""
    shift = end[:3, 3] - start[:3, 3]
    turn = Rotation.from_matrix(start[:3, :3].T @ end[:3, :3]).as_rotvec()
    steps = max(np.linalg.norm(shift) / _LINE_STEP, np.linalg.norm(turn) / _TURN_STEP)
    shares = np.linspace(0, 1, max(4, int(np.ceil(steps)) + 1))
    rotations = Rotation.from_rotvec(shares[:, None] * turn).as_matrix()
    poses = []
    for share, rotation in zip(shares, rotations, strict=True):
        pose = np.eye(4)
        pose[:3, :3] = start[:3, :3] @ rotation
        pose[:3, 3] = start[:3, 3] + share * shift
        poses.append(pose)
    return poses


def densified(corners: np.ndarray, step: float) -> np.ndarray:
    """The corners (N, J) of a path with points between them at most ``step`` apart [rad]."""
    points = [corners[:1]]
    for first, second in itertools.pairwise(corners):
        count = max(1, int(np.ceil(np.abs(second - first).max() / step)))
        points.append(first + np.linspace(0, 1, count + 1)[1:, None] * (second - first))
    return np.concatenate(points)


def joined(parts: list[Trajectory]) -> Trajectory:
    """Trajectories one after the other, resting at each seam."""
    starts = np.cumsum([0.0] + [p.duration for p in parts[:-1]])
    return Trajectory(
        parts[0].joints,
        np.concatenate(
            [s + p.time[(i > 0) :] for i, (s, p) in enumerate(zip(starts, parts, strict=True))]
        ),
        np.concatenate([p.positions[(i > 0) :] for i, p in enumerate(parts)]),
        np.concatenate([p.velocities[(i > 0) :] for i, p in enumerate(parts)]),
    )
