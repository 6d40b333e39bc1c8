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

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from selfgrasp_nodes.errors import CalibrationFailed
from selfgrasp_nodes.perception.calibration_closed import Solution, closed_solution
from selfgrasp_nodes.perception.calibration_data import Session
from selfgrasp_nodes.perception.calibration_refine import apply, predict, refine, reprojection
from selfgrasp_nodes.perception.calibration_views import BoardView, find_views

LEAST_POSES = 8
"""Pictures with the board in sight, below which a calibration is refused."""

LEAST_TURN = np.radians(15.0)
"""Largest rotation between two poses, below which they are too close together."""

LEAST_SECOND_AXIS = np.radians(6.0)
"""RMS rotation about the second axis, below which all rotations share one axis."""

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
    start = closed_solution(views)
    solved = refine(session.board, session.intrinsics, views, start)
    while True:
        pixels = reprojection(session.board, session.intrinsics, views, solved)
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
        solved = refine(session.board, session.intrinsics, views, solved)
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


def _result(
    session: Session, views: Sequence[BoardView], refused: dict[int, str], solved: Solution
) -> Calibration:
    board, intrinsics = session.board, session.intrinsics
    spread, depths = [], []
    for view in views:
        points, _ = predict(board, intrinsics, view, solved)
        alone = apply(view.camera_T_board, board.corners[view.ids])
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
        reprojection=reprojection(board, intrinsics, views, solved),
        error_3d=np.array(spread),
        error_depth=float(np.sqrt(np.mean(flat**2))) if len(flat) else float("nan"),
        views=tuple(views),
    )
