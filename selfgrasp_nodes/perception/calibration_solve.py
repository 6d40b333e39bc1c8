"""Camera pose from pictures of a board: hand-eye solution, then joint refinement.

One equation serves both set-ups. With the camera at ``parent_T_camera`` (X) and the
board at ``carrier_T_board`` (Y), each picture i obeys

    camera_T_board(i) = inverse(X) * parent_T_carrier(i) * Y.

A fixed camera's parent is the world (or the robot's head) and the carrier is the hand; a
wrist camera's parent is the hand and the carrier is the world. Closed
solutions (Park and Martin 1994; Shah 2013) start a least-squares refinement over X, Y and the
scale of the depth, as in Zeng and others (2018), who search the scale alone round a Kabsch
solution.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import CalibrationFailed
from selfgrasp_nodes.perception.calibration_board import Board
from selfgrasp_nodes.perception.calibration_data import Session
from selfgrasp_nodes.perception.calibration_views import BoardView, find_views

LEAST_POSES = 8
"""Pictures with the board in sight, below which a calibration is refused."""

LEAST_TURN = np.radians(15.0)
"""Largest rotation between two poses, below which they are too close together."""

LEAST_SECOND_AXIS = np.radians(6.0)
"""RMS rotation about the second axis, below which all rotations share one axis."""

_PIXEL_SIGMA = 0.3  # of a corner; also what the arm's own errors look like in a picture [px]
_DEPTH_SIGMA = 0.003  # of the depth at a corner [m]
_LARGEST_TURN = np.radians(170.0)  # beyond, noise may turn a rotation vector round
_OUTLIER = 4.0  # pictures whose error is so many times the median's are left out
_FLOOR = 0.5  # ... but never one below this [px]


@dataclass(frozen=True)
class Calibration:
    """A camera's pose and how sure it is.

    Attributes:
        parent_T_camera: 4 x 4, of the optical frame.
        carrier_T_board: 4 x 4, where the board turned out to be held.
        depth_scale: Measured depth times this is true; 1 where there was no depth.
        covariance: (6, 6) of parent_T_camera: translation [m^2], then rotation vector in the
            parent's frame [rad^2]. Robust to errors that the corners of one picture share.
        depth_scale_sigma: Standard deviation of the scale; NaN where there was no depth.
        used: Shots that the solution rests on.
        refused: Why the others were left out, by shot.
        reprojection: RMS error of each used shot [px].
        error_3d: RMS distance, over the corners of each used shot, between where its picture
            alone and where arm and calibration put them [m].
        error_depth: RMS of scaled depth against the model at the corners [m]; NaN without.
        views: The detections behind ``used``.
    """

    parent_T_camera: np.ndarray
    carrier_T_board: np.ndarray
    depth_scale: float
    covariance: np.ndarray
    depth_scale_sigma: float
    used: tuple[int, ...]
    refused: dict[int, str]
    reprojection: np.ndarray
    error_3d: np.ndarray
    error_depth: float
    views: tuple[BoardView, ...] = field(repr=False)

    @property
    def position_sigma(self) -> np.ndarray:
        """Standard deviation of the camera's position, (3,) [m]."""
        return np.sqrt(np.diag(self.covariance)[:3])

    @property
    def angle_sigma(self) -> np.ndarray:
        """Standard deviation of its rotation about the parent's axes, (3,) [rad]."""
        return np.sqrt(np.diag(self.covariance)[3:])


def calibrate(session: Session, least_poses: int = LEAST_POSES) -> Calibration:
    """Solve a session.

    Args:
        session: Pictures and kinematics.
        least_poses: Refuse with fewer pictures of the board.

    Raises:
        CalibrationFailed: If there are too few poses, the board is not seen, or the
            poses do not determine the camera; the message says which and what to do.
    """
    views, refused = find_views(session)
    check_views(views, len(session.shots), least_poses)
    start = _closed_solution(views)
    solved = _refine(session.board, session.intrinsics, views, start)
    while True:
        pixels = _reprojection(session.board, session.intrinsics, views, solved)
        limit = max(_OUTLIER * float(np.median(pixels)), _FLOOR)
        worst = int(np.argmax(pixels))
        if pixels[worst] <= limit:
            break
        # One at a time: a bad picture pulls good ones away from the solution.
        refused[views[worst].index] = (
            f"{pixels[worst]:.1f} px off where the others agree to {np.median(pixels):.1f} px "
            "(the arm still moved, or the board slipped)"
        )
        views = [view for i, view in enumerate(views) if i != worst]
        check_views(views, len(session.shots), least_poses)
        solved = _refine(session.board, session.intrinsics, views, solved)
    return _result(session, views, refused, solved)


def check_views(views: Sequence[BoardView], taken: int, least_poses: int = LEAST_POSES) -> None:
    """Refuse pictures that cannot determine the camera.

    Raises:
        CalibrationFailed: With the reason and the remedy.
    """
    if not views:
        raise CalibrationFailed(
            f"the board was not seen in any of {taken} pictures; check --board (squares are "
            "counted, not inner corners), the light, and that the board faces the camera"
        )
    if len(views) < least_poses:
        raise CalibrationFailed(
            f"{len(views)} usable pictures of the board, of {taken} taken; {least_poses} are "
            "needed. Take more poses (--poses), nearer to the middle of the picture"
        )
    turns = _relative_turns([view.parent_T_carrier for view in views])
    largest = float(np.linalg.norm(turns, axis=1).max())
    if largest < LEAST_TURN:
        raise CalibrationFailed(
            f"the poses are too close together: the hand turns by {np.degrees(largest):.1f} "
            f"degrees at most, {np.degrees(LEAST_TURN):.0f} are needed; tilt it more"
        )
    second = float(np.linalg.svd(turns, compute_uv=False)[1]) / np.sqrt(len(turns))
    if second < LEAST_SECOND_AXIS:
        raise CalibrationFailed(
            "all poses turn the hand about one axis, which leaves the camera's position along "
            f"it open ({np.degrees(second):.1f} degrees RMS about any other, "
            f"{np.degrees(LEAST_SECOND_AXIS):.0f} are needed); tilt it about a second axis too"
        )


def _relative_turns(poses: Sequence[np.ndarray]) -> np.ndarray:
    """Rotation vectors between all pairs of poses, (P, 3) [rad]."""
    rotations = Rotation.from_matrix(np.array([pose[:3, :3] for pose in poses]))
    i, j = np.triu_indices(len(poses), 1)
    return (rotations[i].inv() * rotations[j]).as_rotvec()


@dataclass(frozen=True)
class _Solution:
    x: np.ndarray  # parent_T_camera
    y: np.ndarray  # carrier_T_board
    scale: float = 1.0
    covariance: np.ndarray = field(default_factory=lambda: np.full((13, 13), np.nan))


def _closed_solution(views: Sequence[BoardView]) -> _Solution:
    """The best of several closed solutions: OpenCV's, where its version has them, and our own."""
    boards = [view.camera_T_board for view in views]
    arms = [view.parent_T_carrier for view in views]
    found = [solve(arms, boards) for solve in (_park_martin, *_opencv_solutions())]
    finite = [s for s in found if np.isfinite(s.x).all() and np.isfinite(s.y).all()]
    if not finite:
        raise CalibrationFailed(
            "the closed hand-eye solution did not come out; take poses with more tilt"
        )

    def misfit(s: _Solution) -> float:
        """Median distance of the boards' middles: one wrong picture must not decide."""
        ways = [geometry.inverse(s.x) @ a @ s.y for a in arms]
        return float(
            np.median([np.linalg.norm((w - b)[:3]) for w, b in zip(ways, boards, strict=True)])
        )

    return min(finite, key=misfit)


def _park_martin(arms: Sequence[np.ndarray], boards: Sequence[np.ndarray]) -> _Solution:
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
    return _Solution(x, _mean(ways))


def _opencv_solutions() -> list[Callable[[list[np.ndarray], list[np.ndarray]], _Solution]]:
    """OpenCV's own (4.x; 5.0 has left them out)."""
    solver: Any = cv2

    def hand_eye(arms: list[np.ndarray], boards: list[np.ndarray]) -> _Solution:
        carriers = [geometry.inverse(arm) for arm in arms]
        answer = solver.calibrateHandEye(
            *_split(carriers), *_split(boards), method=solver.CALIB_HAND_EYE_PARK
        )
        x = _joined(*answer)
        if np.linalg.det(x[:3, :3]) < 0:  # it may return a reflection: no solution
            return _Solution(np.full((4, 4), np.nan), x)
        return _Solution(x, _mean([c @ x @ b for c, b in zip(carriers, boards, strict=True)]))

    def robot_world(arms: list[np.ndarray], boards: list[np.ndarray]) -> _Solution:
        answer = solver.calibrateRobotWorldHandEye(
            *_split(boards), *_split(arms), method=solver.CALIB_ROBOT_WORLD_HAND_EYE_SHAH
        )
        y, x = _joined(*answer[:2]), _joined(*answer[2:])
        return _Solution(geometry.inverse(x), geometry.inverse(y))

    offered = (("calibrateHandEye", hand_eye), ("calibrateRobotWorldHandEye", robot_world))
    return [solve for name, solve in offered if hasattr(cv2, name)]


def _refine(
    board: Board, intrinsics: np.ndarray, views: Sequence[BoardView], start: _Solution
) -> _Solution:
    """Least squares over camera, board and depth scale, robust to single corners."""
    has_depth = any(np.isfinite(view.depth).sum() > 3 for view in views)
    owner = np.concatenate([_owner(view, number, has_depth) for number, view in enumerate(views)])

    def unpack(p: np.ndarray) -> _Solution:
        return _Solution(_moved(start.x, p[:6]), _moved(start.y, p[6:12]), 1 + p[12])

    def residuals(p: np.ndarray) -> np.ndarray:
        s = unpack(p)
        parts = []
        for view in views:
            points, pixels = _predict(board, intrinsics, view, s)
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
    return _Solution(solved.x, solved.y, solved.scale, covariance)


def _depth_ratio(board: Board, views: Sequence[BoardView]) -> float:
    """Median of the corners' distance as the pictures give it over the measured depth."""
    ratios = []
    for view in views:
        seen = np.isfinite(view.depth)
        points = _apply(view.camera_T_board, board.corners[view.ids[seen]])
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


def _result(
    session: Session, views: Sequence[BoardView], refused: dict[int, str], solved: _Solution
) -> Calibration:
    board, intrinsics = session.board, session.intrinsics
    spread, depths = [], []
    for view in views:
        points, _ = _predict(board, intrinsics, view, solved)
        alone = _apply(view.camera_T_board, board.corners[view.ids])
        spread.append(np.sqrt(((points - alone) ** 2).sum(axis=1).mean()))
        seen = np.isfinite(view.depth)
        depths.append(solved.scale * view.depth[seen] - points[seen, 2])
    flat = np.concatenate(depths)
    return Calibration(
        parent_T_camera=solved.x,
        carrier_T_board=solved.y,
        depth_scale=solved.scale,
        covariance=solved.covariance[:6, :6],
        depth_scale_sigma=float(np.sqrt(solved.covariance[12, 12])),
        used=tuple(view.index for view in views),
        refused=dict(sorted(refused.items())),
        reprojection=_reprojection(board, intrinsics, views, solved),
        error_3d=np.array(spread),
        error_depth=float(np.sqrt(np.mean(flat**2))) if len(flat) else float("nan"),
        views=tuple(views),
    )


def _predict(
    board: Board, intrinsics: np.ndarray, view: BoardView, s: _Solution
) -> tuple[np.ndarray, np.ndarray]:
    """Corners in the camera's frame (N, 3) [m] and their pixels (N, 2), by arm and solution."""
    pose = geometry.inverse(s.x) @ view.parent_T_carrier @ s.y
    points = _apply(pose, board.corners[view.ids])
    return points, geometry.project(intrinsics, points)


def _reprojection(
    board: Board, intrinsics: np.ndarray, views: Sequence[BoardView], s: _Solution
) -> np.ndarray:
    """RMS reprojection error of each picture, (V,) [px]."""
    errors = [_predict(board, intrinsics, view, s)[1] - view.pixels for view in views]
    return np.array([np.sqrt((e**2).sum(axis=1).mean()) for e in errors])


def _apply(pose: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.asarray(points @ pose[:3, :3].T + pose[:3, 3])


def _moved(pose: np.ndarray, step: np.ndarray) -> np.ndarray:
    """A pose shifted by step[:3] [m] and turned about its own origin by step[3:] [rad]."""
    moved = pose.copy()
    moved[:3, :3] = Rotation.from_rotvec(step[3:]).as_matrix() @ pose[:3, :3]
    moved[:3, 3] += step[:3]
    return moved


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
