"""From pictures to board poses: detection, perspective-n-point, depth at the corners."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.perception.calibration_board import Board
from selfgrasp_nodes.perception.calibration_data import Session, Shot

WORST_PNP = 1.5
"""RMS reprojection error of a single picture above which its detection is wrong [px]."""


@dataclass(frozen=True)
class BoardView:
    """One picture in which the board was found.

    Attributes:
        index: Of the shot in its session.
        ids: (N,) indices into ``Board.corners``.
        pixels: (N, 2) where they are in an ideal pinhole picture [px].
        depth: (N,) measured depth at them [m]; NaN where there is none.
        camera_T_board: From this picture alone, 4 x 4.
        rms: Reprojection error of that pose [px].
        parent_T_carrier: See :class:`Shot`.
    """

    index: int
    ids: np.ndarray
    pixels: np.ndarray
    depth: np.ndarray
    camera_T_board: np.ndarray
    rms: float
    parent_T_carrier: np.ndarray


def find_views(session: Session) -> tuple[list[BoardView], dict[int, str]]:
    """Look for the board in every picture.

    Returns:
        (views, refused): ``refused`` says for each other shot why it is not used.
    """
    views, refused = [], {}
    for index, shot in enumerate(session.shots):
        found = session.board.detect(shot.color)
        if found is None:
            refused[index] = "board not seen"
            continue
        ids, raw = found
        pixels = undistort(raw, session.intrinsics, session.distortion)
        pose, rms = board_pose(session.board, ids, pixels, session.intrinsics)
        if rms > WORST_PNP:
            refused[index] = f"corners do not fit the board ({rms:.1f} px)"
            continue
        depth = _corner_depth(shot, raw)
        views.append(BoardView(index, ids, pixels, depth, pose, rms, shot.parent_T_carrier))
    return views, refused


def undistort(pixels: np.ndarray, intrinsics: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """Pixels of a distorted picture as those of an ideal pinhole camera, (N, 2)."""
    if not np.any(distortion):
        return pixels
    points = cv2.undistortPoints(
        pixels.reshape(-1, 1, 2), intrinsics, np.asarray(distortion, float), P=intrinsics
    )
    return np.asarray(points, float).reshape(-1, 2)


def board_pose(
    board: Board, ids: np.ndarray, pixels: np.ndarray, intrinsics: np.ndarray
) -> tuple[np.ndarray, float]:
    """Pose of the board from one picture.

    A plane seen from afar has two likely poses (Collins and Bartoli, 2014: IPPE); the
    one with the smaller reprojection error is refined and taken.

    Returns:
        (camera_T_board, RMS reprojection error [px]).
    """
    corners = board.corners[ids]
    answer = cv2.solvePnPGeneric(
        corners, pixels.reshape(-1, 1, 2), intrinsics, None, flags=cv2.SOLVEPNP_IPPE
    )
    best, least = np.eye(4), np.inf
    for rotation, translation in zip(answer[1], answer[2], strict=True):
        rotation, translation = cv2.solvePnPRefineLM(
            corners, pixels.reshape(-1, 1, 2), intrinsics, None, rotation, translation
        )
        pose = np.eye(4)
        pose[:3, :3] = cv2.Rodrigues(rotation)[0]
        pose[:3, 3] = translation.ravel()
        error = geometry.project(intrinsics, corners @ pose[:3, :3].T + pose[:3, 3]) - pixels
        rms = float(np.sqrt((error**2).sum(axis=1).mean()))
        if pose[2, 3] > 0 and rms < least:
            best, least = pose, rms
    return best, least


def _corner_depth(shot: Shot, pixels: np.ndarray) -> np.ndarray:
    """Depth at sub-pixel positions: a plane through the 5 x 5 pixels round each, (N,) [m].

    A corner lies between pixels; on a tilted board the next pixel's depth is
    off by millimetres.
    """
    depth = np.full(len(pixels), np.nan)
    if shot.depth is None:
        return depth
    height, width = shot.depth.shape
    dv, du = np.mgrid[-2:3, -2:3].reshape(2, -1)
    for i, (u, v) in enumerate(pixels):
        u0, v0 = round(u), round(v)
        if not (2 <= u0 < width - 2 and 2 <= v0 < height - 2):
            continue
        z = shot.depth[v0 + dv, u0 + du].astype(float)
        good = z > 0
        if good.sum() < 12:
            continue
        # Inverse depth is linear in pixels on a plane.
        design = np.stack([np.ones(25), u0 + du - u, v0 + dv - v], axis=1)[good]
        depth[i] = 1 / np.linalg.lstsq(design, 1 / z[good], rcond=None)[0][0]
    return depth
