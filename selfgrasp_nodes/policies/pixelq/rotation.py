"""The heightmap in 16 orientations, as the reference network is shown it.

The map is zoomed, put into the middle of a square that holds it at any angle, and
turned about its centre so that the action of the orientation points along the
columns. :func:`into_canvas` and :func:`out_of_canvas` say where a pixel goes and
where it came from.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from selfgrasp_nodes.policies.pixelq.actions import STEP

ZOOM = 2
BLOCK = 32


def canvas_side(cells: int, zoom: int = ZOOM, block: int = BLOCK) -> int:
    """Side of the square: 640 for 224 cells (section IV: whole blocks of 32)."""
    return int(np.ceil(cells * zoom * np.sqrt(2) / block)) * block


def to_canvas(image: Tensor, zoom: int = ZOOM, block: int = BLOCK) -> Tensor:
    """(B, C, N, N) zoomed to the nearest and padded with 0 to (B, C, S, S)."""
    side = canvas_side(image.shape[-1], zoom, block)
    zoomed = F.interpolate(image, scale_factor=zoom, mode="nearest")
    pad = (side - zoomed.shape[-1]) // 2
    return F.pad(zoomed, (pad, pad, pad, pad))


def turned(image: Tensor, angles: Tensor, back: bool = False) -> Tensor:
    """Square images turned about their centre, to the nearest pixel.

    Args:
        image: (B, C, S, S).
        angles: (B,) [rad]; what points along an angle points along the columns then.
        back: Undo it.
    """
    c, s = angles.cos(), angles.sin()
    if back:
        s = -s
    zero = torch.zeros_like(c)
    frames = torch.stack([torch.stack([c, -s, zero], -1), torch.stack([s, c, zero], -1)], -2)
    points = F.affine_grid(frames, list(image.shape), align_corners=True)
    return F.grid_sample(image, points, mode="nearest", align_corners=True)


def into_canvas(
    row: np.ndarray, col: np.ndarray, rotation: int, cells: int, zoom: int = ZOOM
) -> tuple[np.ndarray, np.ndarray]:
    """Where the middle of a pixel lies on the turned canvas: fractional row and column."""
    side = canvas_side(cells, zoom)
    angle = STEP * rotation
    y = (np.asarray(row, float) + 0.5 - cells / 2) * zoom
    x = (np.asarray(col, float) + 0.5 - cells / 2) * zoom
    c, s = np.cos(angle), np.sin(angle)
    return -s * x + c * y + side / 2 - 0.5, c * x + s * y + side / 2 - 0.5


def out_of_canvas(
    row: np.ndarray, col: np.ndarray, rotation: int, cells: int, zoom: int = ZOOM
) -> tuple[np.ndarray, np.ndarray]:
    """The pixel under a point of the turned canvas; inverse of :func:`into_canvas`.

    Returns:
        Row and column, int; outside 0..cells - 1 where the canvas shows nothing.
    """
    side = canvas_side(cells, zoom)
    angle = STEP * rotation
    y = np.asarray(row, float) + 0.5 - side / 2
    x = np.asarray(col, float) + 0.5 - side / 2
    c, s = np.cos(angle), np.sin(angle)
    found_row = (s * x + c * y) / zoom + cells / 2
    found_col = (c * x - s * y) / zoom + cells / 2
    return np.floor(found_row + 1e-9).astype(int), np.floor(found_col + 1e-9).astype(int)
