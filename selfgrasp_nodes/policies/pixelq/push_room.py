"""How much of the workspace is left ahead of a push."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from selfgrasp_nodes.geometry import pixel_to_point
from selfgrasp_nodes.policies.pixelq.actions import Motions
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


def fits(
    motions: Motions,
    workspace: Workspace,
    ahead: Tensor,
    path: Tensor,
    length: np.ndarray,
    rows: np.ndarray,
    cols: np.ndarray,
    angle: float,
) -> np.ndarray:
    """(N,) bool: what stands ahead, pushed together before the fingers, stays inside.

    Args:
        motions: Of the gripper; ``push_room`` of its strokes must be left beyond.
        workspace: What the heightmap covers.
        ahead: (N, K) whether something stands at each point of the path.
        path: (K, 2) those points [m], in columns along the stroke.
        length: (N,) of the strokes [m].
        rows: (N,) of their starts.
        cols: Likewise.
        angle: Their direction [rad].
    """
    columns, which = path[:, 0].unique(return_inverse=True)
    in_column = torch.nn.functional.one_hot(which).float()
    filled = ahead.float() @ in_column > 0
    depth = filled.sum(1).numpy() * float(columns[1] - columns[0])
    x, y = pixel_to_point(workspace, rows, cols).T
    reach = length + motions.fingers.gripper.finger_thickness / 2 + depth
    direction = np.full(len(x), angle)
    return reach <= stroke_inside(workspace, x, y, direction, 1.0, motions.strokes.push_room)
