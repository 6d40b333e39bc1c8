"""Windows of the heightmap in the hand's own frame.

An action is judged by what lies around it as the hand sees it: the window turns
with the orientation and moves with the pixel, and heights count from the
fingertips. So an object is the same object wherever and however it lies, by
construction (the equivariance of Zhu and others 2022, with a window in place of
group convolutions). Column 0 of a point runs along the action (the closing
direction of a grasp, the stroke of a push), column 1 across it.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from selfgrasp_nodes.policies.pixelq.state import RESOLUTION, State

UNKNOWN = 255
"""Code of a cell that was not measured."""

CODE_STEP = 0.0005
"""Height that one step of a code stands for [m]."""


def grid(columns: int, rows: int, spacing: float, start: float | None = None) -> Tensor:
    """(columns, rows, 2) points of a window [m].

    Args:
        columns: Points along the action.
        rows: Points across it; symmetric about the middle.
        spacing: Between points.
        start: Of the first column; symmetric about the middle where None.
    """
    first = -(columns - 1) / 2 * spacing if start is None else start
    u = first + spacing * torch.arange(columns)
    v = (torch.arange(rows) - (rows - 1) / 2) * spacing
    return torch.stack(torch.meshgrid(u, v, indexing="ij"), -1)


def codes(state: State) -> np.ndarray:
    """(224, 224) uint8: heights in steps of half a millimetre, or ``UNKNOWN``."""
    step = np.clip(np.rint(state.height / CODE_STEP), 0, UNKNOWN - 1).astype(np.uint8)
    return np.where(state.known, step, np.uint8(UNKNOWN))


def crop(image: np.ndarray, row: int, col: int, reach: int, fill: int) -> np.ndarray:
    """(2 reach + 1, 2 reach + 1, ...) cells around one; ``fill`` outside the map."""
    size = 2 * reach + 1
    found = np.full((size, size, *image.shape[2:]), fill, image.dtype)
    top, left = row - reach, col - reach
    rows = slice(max(top, 0), min(top + size, image.shape[0]))
    cols = slice(max(left, 0), min(left + size, image.shape[1]))
    found[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left] = image[
        rows, cols
    ]
    return found


def planes(coded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heights [m] and share of what is unknown, both smoothed over 3 x 3 cells.

    Args:
        coded: (S, S) uint8.

    Returns:
        Twice (S, S) float32. Smoothed, so that points some millimetres apart miss nothing.
    """
    known = (coded != UNKNOWN).astype(np.float32)
    height = coded * known * np.float32(CODE_STEP)
    share = smoothed(known)
    return smoothed(height) / np.maximum(share, np.float32(1e-3)), 1 - share


def colors(color: np.ndarray) -> np.ndarray:
    """(S, S, 3) float32 0..1 of uint8 colours, smoothed over 3 x 3 cells."""
    return smoothed(color.astype(np.float32)) / np.float32(255)


def smoothed(image: np.ndarray) -> np.ndarray:
    """(S, S, ...) float32 means over 3 x 3 cells; at the border over those that there are."""
    total = _sums(image)
    count = _sums(np.ones(image.shape[:2], np.float32))
    return total / (count if image.ndim == 2 else count[..., None])


def _sums(image: np.ndarray) -> np.ndarray:
    # OpenCV's filter takes a tenth of the time of torch's pooling.
    return cv2.boxFilter(
        image, cv2.CV_32F, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT
    )


def offsets(points: Tensor, angle: Tensor, shift: Tensor | None = None) -> Tensor:
    """Points of a window in cells.

    Args:
        points: (K, 2) [m].
        angle: (B,) of the action [rad].
        shift: (B, 2) added to the points in the hand's frame [m].

    Returns:
        (B, K, 2) float row and column, relative to the action's cell.
    """
    given = points[None] if shift is None else points[None] + shift[:, None]
    c, s = angle.cos()[:, None], angle.sin()[:, None]
    u, v = given[..., 0] / RESOLUTION, given[..., 1] / RESOLUTION
    return torch.stack([s * u + c * v, c * u - s * v], -1)


def mirrored(weight: Tensor, axes: tuple[int, ...]) -> list[Tensor]:
    """Weights of a quarter or half of a window as weights of all of it, for each parity.

    A linear function of a window whose weights repeat themselves, or change sign,
    where it is mirrored, keeps its value, or changes its sign, when the window is
    mirrored: its absolute value is invariant.

    Args:
        weight: (parts, F, columns, rows) of the part of a window on one side of each
            mirror; 2 parts for one axis, 4 for two.
        axes: Which to mirror: -2 along the action, -1 across it.

    Returns:
        For each part (F, columns x rows of the whole); the first is even under
        every mirroring.
    """
    signs: list[tuple[float, ...]] = [()]
    for _ in axes:
        signs = [(*s, sign) for s in signs for sign in (1.0, -1.0)]
    found = []
    for part, chosen in zip(weight, signs, strict=True):
        for axis, sign in zip(axes, chosen, strict=True):
            part = torch.cat([part, sign * part.flip(axis)], axis)
        found.append(part.flatten(1))
    return found
