"""Least squares over camera, board and depth scale, and the covariance of what comes out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import CalibrationFailed
from selfgrasp_nodes.perception.calibration_board import Board
from selfgrasp_nodes.perception.calibration_closed import Solution
from selfgrasp_nodes.perception.calibration_views import BoardView

_PIXEL_SIGMA = 0.3  # of a corner; also what the arm's own errors look like in a picture [px]
_DEPTH_SIGMA = 0.003  # of the depth at a corner [m]


def refine(
    board: Board, intrinsics: np.ndarray, views: Sequence[BoardView], start: Solution
) -> Solution:
    """Least squares over camera, board and depth scale, robust to single corners."""
    has_depth = any(np.isfinite(view.depth).sum() > 3 for view in views)
    owner = np.concatenate([_owner(view, number, has_depth) for number, view in enumerate(views)])

    def unpack(p: np.ndarray) -> Solution:
        return Solution(_moved(start.x, p[:6]), _moved(start.y, p[6:12]), 1 + p[12])

    def residuals(p: np.ndarray) -> np.ndarray:
        s = unpack(p)
        parts = []
        for view in views:
            points, pixels = predict(board, intrinsics, view, s)
            parts.append(((pixels - view.pixels) / _PIXEL_SIGMA).ravel())
            if has_depth:
                seen = np.isfinite(view.depth)
                parts.append((s.scale * view.depth[seen] - points[seen, 2]) / _DEPTH_SIGMA)
        return np.concatenate(parts)

    free = np.arange(13) if has_depth else np.arange(12)

    def free_residuals(p: np.ndarray) -> np.ndarray:
        full = np.zeros(13)
        full[free] = p
        return residuals(full)

    begin = np.zeros(len(free))
    if has_depth:
        begin[12] = _depth_ratio(board, views) - 1
    result = least_squares(free_residuals, begin, loss="soft_l1", x_scale="jac", max_nfev=100)
    if not result.success:
        raise CalibrationFailed(
            f"the refinement did not converge ({result.message}); take poses with more tilt"
        )
    full = np.zeros(13)
    full[free] = result.x
    covariance = np.full((13, 13), np.nan)
    covariance[np.ix_(free, free)] = _sandwich(result.jac, result.fun, owner, len(views))
    solved = unpack(full)
    return Solution(solved.x, solved.y, solved.scale, covariance)


def _depth_ratio(board: Board, views: Sequence[BoardView]) -> float:
    """Median of the corners' distance as the pictures give it over the measured depth."""
    ratios = []
    for view in views:
        seen = np.isfinite(view.depth)
        points = apply(view.camera_T_board, board.corners[view.ids[seen]])
        ratios.append(points[:, 2] / view.depth[seen])
    return float(np.median(np.concatenate(ratios)))


def _owner(view: BoardView, number: int, has_depth: bool) -> np.ndarray:
    """Which picture each residual belongs to."""
    count = 2 * len(view.ids) + (int(np.isfinite(view.depth).sum()) if has_depth else 0)
    return np.full(count, number)


def _sandwich(
    jacobian: np.ndarray, residuals: np.ndarray, owner: np.ndarray, pictures: int
) -> np.ndarray:
    """Covariance with pictures as clusters (Liang and Zeger, 1986).

    What the arm's own errors do to one picture they do to all its corners:
    treating those as independent would promise far too much.
    """
    # scipy hands the Jacobian already weighted by the robust loss, (1 + r^2)^(-3/4) for
    # soft_l1, and the residuals as they are; the loss's gradient is J r (1 + r^2)^(-1/2).
    weighted = residuals * (1 + residuals**2) ** 0.25
    bread = np.linalg.pinv(jacobian.T @ jacobian)
    scores = np.zeros((pictures, jacobian.shape[1]))
    np.add.at(scores, owner, jacobian * weighted[:, None])
    meat = scores.T @ scores * pictures / max(pictures - 1, 1)
    covariance = bread @ meat @ bread
    return np.asarray((covariance + covariance.T) / 2)


def predict(
    board: Board, intrinsics: np.ndarray, view: BoardView, s: Solution
) -> tuple[np.ndarray, np.ndarray]:
    """Corners in the camera's frame (N, 3) [m] and their pixels (N, 2), by arm and solution."""
    pose = geometry.inverse(s.x) @ view.parent_T_carrier @ s.y
    points = apply(pose, board.corners[view.ids])
    return points, geometry.project(intrinsics, points)


def reprojection(
    board: Board, intrinsics: np.ndarray, views: Sequence[BoardView], s: Solution
) -> np.ndarray:
    """RMS reprojection error of each picture, (V,) [px]."""
    errors = [predict(board, intrinsics, view, s)[1] - view.pixels for view in views]
    return np.array([np.sqrt((e**2).sum(axis=1).mean()) for e in errors])


def apply(pose: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (N, 3) moved by a 4 x 4 pose."""
    return np.asarray(points @ pose[:3, :3].T + pose[:3, 3])


def _moved(pose: np.ndarray, step: np.ndarray) -> np.ndarray:
    """A pose shifted by step[:3] [m] and turned about its own origin by step[3:] [rad]."""
    moved = pose.copy()
    moved[:3, :3] = Rotation.from_rotvec(step[3:]).as_matrix() @ pose[:3, :3]
    moved[:3, 3] += step[:3]
    return moved
