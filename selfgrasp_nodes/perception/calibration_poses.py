"""Where to hold the board (or the camera): a grid over the picture, with tilts.

Zeng and others (2018) hold the board in one orientation over a grid of positions, which
determines the camera through its depth alone. With tilts about two axes
the colour picture determines it too, and the depth's scale can be told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from selfgrasp_nodes import geometry
from selfgrasp_nodes.perception.calibration_board import Board
from selfgrasp_nodes.robots import CameraSpec

_FILL = (0.42, 0.52, 0.65)  # shares of the picture's smaller side that the board takes
_REACH = 0.45  # of the way from the picture's middle to where the board would touch the edge
_TILT = np.radians(25.0)


def view_poses(
    camera: CameraSpec,
    board: Board,
    count: int = 24,
    tilt: float = _TILT,
    distances: tuple[float, ...] = (),
    rolls: tuple[float, ...] = (0.0, 0.4, -0.4),
) -> list[np.ndarray]:
    """camera_T_board of ``count`` poses that see the whole board.

    Neighbours differ in place, tilt and roll, so that any handful of them, where the arm
    does not reach the others, determines the camera.

    Args:
        camera: Its intrinsics say what is seen.
        board: Its size does too.
        count: How many.
        tilt: Of the board against the picture's plane [rad].
        distances: From the camera to the board's middle [m]; where empty, those at which the
            board fills two to three fifths of the picture.
        rolls: About the line of sight [rad].
    """
    longest = max(board.sheet)
    side = min(camera.width / camera.fx, camera.height / camera.fy)
    distances = distances or tuple(longest / (fill * side) for fill in _FILL)
    spots = [(u, v) for v in (-1, 0, 1) for u in (-1, 0, 1)]
    tilts = [2 * np.pi * k / 8 for k in range(8)]
    poses = []
    for i in range(count):
        # Strides without common divisors walk through all combinations.
        u, v = spots[(4 * i) % 9]
        z = distances[(i // len(rolls)) % len(distances)]
        direction = tilts[(3 * i) % 8]
        axis = np.array([np.cos(direction), np.sin(direction), 0.0])
        turn = Rotation.from_rotvec(tilt * axis) * Rotation.from_rotvec(
            [0, 0, rolls[i % len(rolls)]]
        )
        pose = np.eye(4)
        pose[:3, :3] = turn.as_matrix()
        room_x = max(z * camera.width / camera.fx / 2 - longest / 2, 0.0)
        room_y = max(z * camera.height / camera.fy / 2 - longest / 2, 0.0)
        middle_x = (camera.width / 2 - camera.cx) / camera.fx * z
        middle_y = (camera.height / 2 - camera.cy) / camera.fy * z
        pose[:3, 3] = (
            middle_x + _REACH * u * room_x,
            middle_y + _REACH * v * room_y,
            z,
        )
        poses.append(pose)
    return poses


def held_by_edge(board: Board, tcp_distance: float, gripped: float = 0.012) -> np.ndarray:
    """tip_T_board of a board whose upper edge is between the fingers, 4 x 4.

    The fingers close along the tool's y, so the print faces along +y, and it hangs along the
    approach.

    Args:
        board: Its size says how far its middle hangs below the fingers.
        tcp_distance: From the flange to the tool centre point [m].
        gripped: How much of the sheet is between the fingers [m].
    """
    reach = tcp_distance + board.sheet[1] / 2 - gripped
    return geometry.transform((0, 0, reach), (np.pi / 2, 0, 0))


def lying(center: tuple[float, float], height: float = 0.003) -> np.ndarray:
    """world_T_board of a board that lies on the table, print upwards, 4 x 4."""
    return geometry.transform((*center, height), (np.pi, 0, 0))


def clears_table(world_T_board: np.ndarray, board: Board, margin: float = 0.03) -> bool:
    """Whether a whole sheet is above the table by a margin [m]; planners do not know of it."""
    x, y = (side / 2 for side in board.sheet)
    edges = np.array([[-x, -y, 0], [x, -y, 0], [x, y, 0], [-x, y, 0]])
    heights = edges @ world_T_board[2, :3] + world_T_board[2, 3]
    return bool(heights.min() >= margin)


def reachable_poses(
    views: Sequence[np.ndarray],
    parent_T_camera: np.ndarray,
    carrier_T_board: np.ndarray,
    reach: Callable[[np.ndarray], bool],
    count: int,
) -> list[np.ndarray]:
    """Poses of what carries the board, from where camera and board are thought to be.

    The board may be upright in the picture, upside down or sideways: the way round
    that the arm reaches most often is taken first, the others where those do not suffice.

    Args:
        views: Wanted camera_T_board, of :func:`view_poses`.
        parent_T_camera: 4 x 4, roughly.
        carrier_T_board: 4 x 4, roughly.
        reach: Whether the arm can bring about a parent_T_carrier.
        count: At most so many.

    Returns:
        parent_T_carrier, 4 x 4 each. For a camera fixed in the world that is world_T_hand, for a
        wrist camera the inverse.
    """
    ways: list[list[np.ndarray]] = []
    for quarter in range(4):
        turned = geometry.transform(rpy=(0, 0, quarter * np.pi / 2)) @ geometry.inverse(
            carrier_T_board
        )
        found: list[np.ndarray] = []
        for view in views:
            pose = parent_T_camera @ view @ turned
            if reach(pose):
                found.append(pose)
                if len(found) == count:
                    return found
        ways.append(found)
    ways.sort(key=len, reverse=True)
    return [pose for found in ways for pose in found][:count]
