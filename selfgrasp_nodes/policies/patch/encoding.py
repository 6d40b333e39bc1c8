"""Patches as a network is shown them, and the 18 angles.

Four bytes a pixel: red, green, blue, and height above the patch's plane in steps
of half a millimetre around 128, 0 where nothing was measured. A tried angle lies
in bin k if it is in [10 k, 10 k + 10) degrees; the bin stands for its middle.
"""

from __future__ import annotations

import cv2
import numpy as np

ANGLES = 18
STEP = np.pi / ANGLES
"""Width of a bin [rad]."""

HEIGHT_STEP = 0.0005
"""Of a height's code [m]."""

HEIGHT_ZERO = 128
"""The code of height 0; the code 0 stands for unknown."""

HEIGHT_LIMIT = 127 * HEIGHT_STEP
"""Heights are cut off here, above and below [m]."""


def angle_bin(angle: np.ndarray | float) -> np.ndarray:
    """Bin of an angle [rad], of any shape."""
    return np.floor(np.mod(angle, np.pi) / STEP).astype(int) % ANGLES


def bin_angle(index: np.ndarray | int) -> np.ndarray:
    """Middle of a bin [rad]; right inverse of :func:`angle_bin`."""
    return (np.asarray(index) + 0.5) * STEP


def encode(color: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Pictures as bytes.

    Args:
        color: (..., H, W, 3) uint8 RGB.
        height: (..., H, W) [m] above the patch's plane; NaN or infinite where unknown.

    Returns:
        (..., H, W, 4) uint8.
    """
    rows = np.ascontiguousarray(color).reshape(-1, color.shape[-2], 3)
    out = cv2.cvtColor(rows, cv2.COLOR_RGB2RGBA).reshape(*height.shape, 4)
    code = np.asarray(height, np.float32) * np.float32(1 / HEIGHT_STEP)
    code += HEIGHT_ZERO + 0.5  # the cast below cuts off
    unknown = ~np.isfinite(code)
    np.clip(code, 1, 255, out=code)
    code[unknown] = 0
    out[..., 3] = code
    return out


def shrink(encoded: np.ndarray, factor: int) -> np.ndarray:
    """Encoded pictures with every block of ``factor`` x ``factor`` pixels averaged.

    A block's height is the mean of what is known in it, unknown if less than half is.

    Args:
        encoded: (N, H, W, 4) uint8, H and W multiples of ``factor``.
        factor: Pixels.

    Returns:
        (N, H / factor, W / factor, 4) uint8.
    """
    if factor == 1:
        return encoded
    n, rows, cols, _ = encoded.shape
    blocks = encoded.reshape(n, rows // factor, factor, cols // factor, factor, 4)
    color = blocks[..., :3].mean(axis=(2, 4), dtype=np.float32)
    code = blocks[..., 3]
    known = (code > 0).sum(axis=(2, 4))
    total = code.sum(axis=(2, 4), dtype=np.float32)
    height = np.where(known * 2 >= factor**2, np.rint(total / np.maximum(known, 1)), 0)
    return np.concatenate([np.rint(color), height[..., None]], axis=-1).astype(np.uint8)
