"""Tries on drawn bars: a grasp succeeds across a bar that fits between the fingers."""

from __future__ import annotations

import numpy as np

from selfgrasp_nodes.learning.patch_data import PatchTries
from selfgrasp_nodes.policies.patch.encoding import encode
from selfgrasp_nodes.robots.patch import PatchGeometry

SIZES = PatchGeometry(0.157, 0.2355, 48)
PAIR = (SIZES.patch_side, SIZES.crop_side)
OPENING = 0.075


def bars(count: int, seed: int = 0, pixels: int = 48) -> PatchTries:
    rng = np.random.default_rng(seed)
    axis = (np.arange(pixels) + 0.5) / pixels * SIZES.crop_side - SIZES.crop_side / 2
    x, y = np.meshgrid(axis, axis)  # row = y, column = x
    along = rng.uniform(0, np.pi, count)
    width = rng.uniform(0.02, 0.11, count)
    off = rng.uniform(-0.01, 0.01, count)
    angle = rng.uniform(0, np.pi, count)
    crops = np.empty((count, pixels, pixels, 4), np.uint8)
    for i in range(count):
        across = -np.sin(along[i]) * x + np.cos(along[i]) * y - off[i]
        bar = np.abs(across) < width[i] / 2
        height = np.where(bar, 0.0, -0.03) + rng.normal(0, 0.001, bar.shape)
        height[rng.random(bar.shape) < 0.03] = np.nan
        color = np.where(bar[..., None], rng.integers(0, 255, 3), 90).astype(np.uint8)
        crops[i] = encode(color, height.astype(np.float32))
    turn = np.abs(np.mod(angle - along - np.pi / 2 + np.pi / 2, np.pi) - np.pi / 2)
    reach = width / np.cos(np.minimum(turn, 1.5)) / 2 + np.abs(off)
    success = (turn < np.deg2rad(35)) & (reach < OPENING / 2 - 0.002)
    return PatchTries(
        crops,
        angle,
        np.full(count, -0.028),
        success,
        np.zeros(count, int),
        np.array([f"run/{i // 5}" for i in range(count)]),
        np.array(["bar"] * count),
        np.zeros(count),
    )
