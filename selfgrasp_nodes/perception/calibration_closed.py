"""Closed hand-eye solutions, from which the refinement starts.

Park and Martin (1994), and OpenCV's own where its version has them (among them Shah, 2013).
:mod:`selfgrasp_nodes.perception.calibration_solve` states the equation that they solve.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import CalibrationFailed
from selfgrasp_nodes.perception.calibration_views import BoardView

_LARGEST_TURN = np.radians(170.0)  # beyond, noise may turn a rotation vector round


@dataclass(frozen=True)
class Solution:
    """Camera and board that explain the pictures.

    Attributes:
        x: parent_T_camera, 4 x 4.
        y: carrier_T_board, 4 x 4.
        scale: Measured depth times this is true.
        covariance: (13, 13) of steps of x, of y, and of the scale; NaN before the refinement.
    """

    x: np.ndarray
    y: np.ndarray
    scale: float = 1.0
    covariance: np.ndarray = field(default_factory=lambda: np.full((13, 13), np.nan))


def closed_solution(views: Sequence[BoardView]) -> Solution:
    """The best of several closed solutions: OpenCV's, where its version has them, and our own."""
    boards = [view.camera_T_board for view in views]
    arms = [view.parent_T_carrier for view in views]
    found = [solve(arms, boards) for solve in (park_martin, *opencv_solutions())]
    finite = [s for s in found if np.isfinite(s.x).all() and np.isfinite(s.y).all()]
    if not finite:
        raise CalibrationFailed(
            "the closed hand-eye solution did not come out; take poses with more tilt"
        )

    def misfit(s: Solution) -> float:
        """Median distance of the boards' middles: one wrong picture must not decide."""
        ways = [geometry.inverse(s.x) @ a @ s.y for a in arms]
        return float(
            np.median([np.linalg.norm((w - b)[:3]) for w, b in zip(ways, boards, strict=True)])
        )

    return min(finite, key=misfit)


def park_martin(arms: Sequence[np.ndarray], boards: Sequence[np.ndarray]) -> Solution:
    """Rotation from rotation vectors, then translation (Park and Martin, 1994), over all pairs.

    From the equation above, M X = X N with M = A(j) inverse(A(i)) and N = B(j) inverse(B(i)).
    """
    pairs = list(itertools.combinations(range(len(arms)), 2))
    m = np.array([arms[j] @ geometry.inverse(arms[i]) for i, j in pairs])
    n = np.array([boards[j] @ geometry.inverse(boards[i]) for i, j in pairs])
    turns_m = Rotation.from_matrix(m[:, :3, :3]).as_rotvec()
    turns_n = Rotation.from_matrix(n[:, :3, :3]).as_rotvec()
    clear = np.linalg.norm(turns_m, axis=1) < _LARGEST_TURN
    rotation = Rotation.align_vectors(turns_m[clear], turns_n[clear])[0].as_matrix()
    left = (m[:, :3, :3] - np.eye(3)).reshape(-1, 3)
    right = (n[:, :3, 3] @ rotation.T - m[:, :3, 3]).ravel()
    x = _joined(rotation, np.linalg.lstsq(left, right, rcond=None)[0])
    ways = [geometry.inverse(a) @ x @ b for a, b in zip(arms, boards, strict=True)]
    return Solution(x, _mean(ways))


def opencv_solutions() -> list[Callable[[list[np.ndarray], list[np.ndarray]], Solution]]:
    """OpenCV's own (4.x; 5.0 has left them out)."""
    solver: Any = cv2

    def hand_eye(arms: list[np.ndarray], boards: list[np.ndarray]) -> Solution:
        carriers = [geometry.inverse(arm) for arm in arms]
        answer = solver.calibrateHandEye(
            *_split(carriers), *_split(boards), method=solver.CALIB_HAND_EYE_PARK
        )
        x = _joined(*answer)
        if np.linalg.det(x[:3, :3]) < 0:  # it may return a reflection: no solution
            return Solution(np.full((4, 4), np.nan), x)
        return Solution(x, _mean([c @ x @ b for c, b in zip(carriers, boards, strict=True)]))

    def robot_world(arms: list[np.ndarray], boards: list[np.ndarray]) -> Solution:
        answer = solver.calibrateRobotWorldHandEye(
            *_split(boards), *_split(arms), method=solver.CALIB_ROBOT_WORLD_HAND_EYE_SHAH
        )
        y, x = _joined(*answer[:2]), _joined(*answer[2:])
        return Solution(geometry.inverse(x), geometry.inverse(y))

    offered = (("calibrateHandEye", hand_eye), ("calibrateRobotWorldHandEye", robot_world))
    return [solve for name, solve in offered if hasattr(cv2, name)]


def _mean(poses: Sequence[np.ndarray]) -> np.ndarray:
    mean = np.eye(4)
    mean[:3, :3] = Rotation.from_matrix(np.array([p[:3, :3] for p in poses])).mean().as_matrix()
    mean[:3, 3] = np.median([p[:3, 3] for p in poses], axis=0)
    return mean


def _split(poses: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return [p[:3, :3] for p in poses], [p[:3, 3] for p in poses]


def _joined(rotation: np.ndarray, shift: np.ndarray) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, np.ravel(shift)
    return pose
