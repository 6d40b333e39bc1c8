"""How much of the workspace is left ahead of a push."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from selfgrasp_nodes.geometry import pixel_to_point
from selfgrasp_nodes.policies.pixelq.actions import ROTATIONS, STEP, Motions
from selfgrasp_nodes.policies.push_heuristic import stroke_inside
from selfgrasp_nodes.types import Workspace


def room(
    motions: Motions,
    workspace: Workspace,
    rows: np.ndarray,
    cols: np.ndarray,
    angle: np.ndarray,
) -> np.ndarray:
    """(N, 3): share of the stroke that fits; room around its end, and beyond it, in 0..1.

    Args:
        motions: Of the gripper.
        workspace: What the heightmap covers.
        rows: (N,) of the starts.
        cols: Likewise.
        angle: (N,) directions [rad].
    """
    x, y = pixel_to_point(workspace, rows, cols).T
    length = motions.push_lengths(workspace, x, y, angle)
    end = np.stack([x + length * np.cos(angle), y + length * np.sin(angle)], 1)
    edge = np.minimum(end - workspace.low, workspace.high - end).min(1)
    beyond = stroke_inside(workspace, x, y, angle, length.max() + 0.1) - length
    share = length / motions.strokes.push_length
    return np.stack([share, np.clip(edge / 0.1, 0, 1), np.clip(beyond / 0.1, 0, 1)], 1)


class LatticeRoom:
    """What of it depends on the start and the direction alone, for all starts of a lattice.

    Attributes:
        length: (16, H, W) of the strokes [m].
        room: (16, H, W, 3), of :func:`room`.
        inside: (16, H, W) way to where ``push_room`` is left before the border [m].
    """

    def __init__(self, motions: Motions, workspace: Workspace, rows: np.ndarray, cols: np.ndarray):
        """Measure it.

        Args:
            motions: Of the gripper.
            workspace: What the heightmap covers.
            rows: (H,) of the lattice.
            cols: (W,) likewise.
        """
        self._thickness = motions.fingers.gripper.finger_thickness
        shape = ROTATIONS, len(rows), len(cols)
        grid = np.stack(np.meshgrid(rows, cols, indexing="ij")).reshape(2, -1)
        x, y = pixel_to_point(workspace, grid[0], grid[1]).T
        keep, rooms, inside = max(motions.strokes.push_room, 0.0), [], []
        for rotation in range(ROTATIONS):
            angle = np.full(len(x), STEP * rotation)
            rooms.append(room(motions, workspace, grid[0], grid[1], angle))
            inside.append(stroke_inside(workspace, x, y, angle, 1.0, keep))
        self.room = np.stack(rooms).reshape(*shape, 3)
        self.length = self.room[..., 0] * motions.strokes.push_length
        self.inside = np.stack(inside).reshape(shape)

    def fits(
        self, ahead: Tensor, path: Tensor, at: tuple[int, np.ndarray, np.ndarray]
    ) -> np.ndarray:
        """(N,) bool: what stands ahead, pushed together before the fingers, stays inside.

        Args:
            ahead: (N, K) whether something stands at each point of the path.
            path: (K, 2) those points [m], in columns along the stroke.
            at: Rotation, and (N,) rows and columns of the starts on the lattice.
        """
        columns, which = path[:, 0].unique(return_inverse=True)
        in_column = torch.nn.functional.one_hot(which).float()
        filled = ahead.float() @ in_column > 0
        depth = filled.sum(1).numpy() * float(columns[1] - columns[0])
        return self.length[at] + self._thickness / 2 + depth <= self.inside[at]
