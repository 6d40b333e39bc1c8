"""What a heightmap shows, as a shape that coal can check."""

from __future__ import annotations

import coal
import numpy as np

from selfgrasp_nodes.types import Heightmap, Workspace

_BELOW = -0.001  # the field's underside [m]: no more than a skin below the table's top


def pooled(heightmap: Heightmap, cell: float) -> np.ndarray:
    """Heights at the corners of larger cells, each the highest of its surroundings.

    Args:
        heightmap: As perceived.
        cell: Edge of the larger cells [m].

    Returns:
        (rows, cols) heights at a grid of corners that spans the workspace, row
        along +y, so that the surface through them lies above every cell [m].
    """
    step = max(1, round(cell / heightmap.workspace.resolution))
    rows, cols = heightmap.height.shape
    up = (-rows % step, -cols % step)
    padded = np.pad(heightmap.height, ((0, up[0]), (0, up[1])))
    blocks = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
    cells = np.pad(blocks.max(axis=(1, 3)), 1)
    corners = np.maximum(
        np.maximum(cells[:-1, :-1], cells[:-1, 1:]), np.maximum(cells[1:, :-1], cells[1:, 1:])
    )
    return np.asarray(corners, float)


def height_field(workspace: Workspace, corners: np.ndarray) -> coal.HeightFieldAABB:
    """A shape centred on the workspace, through heights at an even grid of corners [m]."""
    # coal's first row is the one at the largest y.
    return coal.HeightFieldAABB(
        workspace.size[0], workspace.size[1], np.ascontiguousarray(corners[::-1]), _BELOW
    )
