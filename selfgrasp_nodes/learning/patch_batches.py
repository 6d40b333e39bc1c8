"""Batches of tries for a patch network: pictures, frames, tips, bins, labels.

Turning, mirroring and shifting happen in the frames, so that a crop is
interpolated once, inside the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from selfgrasp_nodes.learning.patch_config import Augment, PatchTraining
from selfgrasp_nodes.learning.patch_data import PatchTries
from selfgrasp_nodes.policies.patch.encoding import (
    ANGLES,
    HEIGHT_STEP,
    STEP,
    angle_bin,
    bin_angle,
)

NONE = Augment(turn=False, mirror=False, shift=0, jitter=0, brightness=0, height_noise=0)
"""No augmentation."""


@dataclass(frozen=True, eq=False)
class Batch:
    """B tries as the network is shown them.

    Attributes:
        images: (B, P, P, 4) uint8.
        frames: (B, 2, 3).
        tips: (B,) [m].
        bins: (B,) int64 tried bin.
        shares: (B, 18) how much the try counts for each bin; rows sum to 1.
        labels: (B,) 0 or 1.
    """

    images: Tensor
    frames: Tensor
    tips: Tensor
    bins: Tensor
    shares: Tensor
    labels: Tensor


def frames(
    angle: np.ndarray, mirror: np.ndarray, shift: np.ndarray, ratio: float, crop_side: float
) -> np.ndarray:
    """Affine maps from patches to crops.

    Args:
        angle: (B,) world angle of a patch's column axis [rad].
        mirror: (B,) bool: rows of the patch upside down.
        shift: (B, 2) of the patch's middle, along the world's x and y [m].
        ratio: Patch side over crop side.
        crop_side: [m].

    Returns:
        (B, 2, 3) float32.
    """
    c, s = np.cos(angle), np.sin(angle)
    sign = np.where(mirror, -1.0, 1.0)
    turn = np.stack([np.stack([c, -s * sign], -1), np.stack([s, c * sign], -1)], -2) * ratio
    return np.concatenate([turn, (shift / (crop_side / 2))[..., None]], -1).astype(np.float32)


def make_batch(
    tries: PatchTries,
    index: np.ndarray,
    aligned: bool,
    sizes: tuple[float, float],
    augment: Augment = NONE,
    rng: np.random.Generator | None = None,
    soft_angle: float = 0.0,
) -> Batch:
    """One batch.

    Args:
        tries: To choose from.
        index: (B,) which.
        aligned: Whether the network judges all bins alike; the try is then shown
            at the very middle of a bin.
        sizes: (patch side, crop side) [m].
        augment: What is varied.
        rng: For that.
        soft_angle: See ``PatchTraining``.
    """
    rng = rng or np.random.default_rng(0)
    count = len(index)
    images = np.ascontiguousarray(tries.crops[index])
    angle, tip = tries.angle[index], tries.tip[index].astype(np.float32)
    mirror = (rng.random(count) < 0.5) if augment.mirror else np.zeros(count, bool)
    sign = np.where(mirror, -1.0, 1.0)
    if aligned:
        # The patch is turned so that the try appears in the middle of a bin.
        bins = rng.integers(0, ANGLES, count) if augment.turn else np.zeros(count, int)
        shown = bin_angle(bins)
        column = angle - sign * shown + rng.normal(0, augment.jitter or 1e-12, count)
    else:
        column = rng.uniform(0, 2 * np.pi, count) if augment.turn else np.zeros(count)
        shown = np.mod(
            sign * (angle - column) + rng.normal(0, augment.jitter or 1e-12, count), np.pi
        )
        bins = angle_bin(shown)
    shift = rng.normal(0, augment.shift or 1e-12, (count, 2))
    if augment.height_noise:
        offset = rng.normal(0, augment.height_noise, count).astype(np.float32)
        images = _raised(images, np.rint(offset / HEIGHT_STEP).astype(np.int16))
        tip = tip + np.rint(offset / HEIGHT_STEP).astype(np.float32) * np.float32(HEIGHT_STEP)
    if augment.brightness:
        images = _coloured(images, augment.brightness, rng)
    if augment.dropout:
        lost = rng.random(images.shape[:3]) < rng.uniform(0, augment.dropout, (count, 1, 1))
        images[..., 3][lost] = 0
    return Batch(
        torch.from_numpy(images),
        torch.from_numpy(frames(column, mirror, shift, sizes[0] / sizes[1], sizes[1])),
        torch.from_numpy(tip),
        torch.from_numpy(bins.astype(np.int64)),
        _shares(shown, bins, 0.0 if aligned else soft_angle),
        torch.from_numpy(tries.success[index].astype(np.float32)),
    )


def epoch_order(tries: PatchTries, config: PatchTraining, rng: np.random.Generator) -> np.ndarray:
    """Indices of one epoch in random order; tries of later stages ``new_weight`` times."""
    times = np.where(tries.stage > 0, config.new_weight, 1)
    return rng.permutation(np.repeat(np.arange(len(tries)), times))


def outcome_weights(tries: PatchTries, config: PatchTraining) -> tuple[float, float]:
    """Weights in the loss of a failure and of a success; their mean over the data is 1."""
    times = np.where(tries.stage > 0, config.new_weight, 1)
    positives = float(times[tries.success].sum())
    total = float(times.sum())
    share = positives / total
    failure, success = (0.5 / (1 - share)) ** config.balance, (0.5 / share) ** config.balance
    mean = failure * (1 - share) + success * share
    return failure / mean, success / mean


def _raised(images: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Pictures with all known heights raised by whole steps."""
    code = images[..., 3].astype(np.int16)
    moved = np.clip(code + steps[:, None, None], 1, 255)
    images = images.copy()
    images[..., 3] = np.where(code > 0, moved, 0).astype(np.uint8)
    return images


def _coloured(images: np.ndarray, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Pictures in another light: a factor and an offset on each colour, colours swapped."""
    count = len(images)
    factor = np.exp(rng.normal(0, spread, (count, 3))).astype(np.float32)
    offset = rng.normal(0, 255 * spread / 2, (count, 3)).astype(np.float32)
    swap = rng.permuted(np.tile(np.arange(3), (count, 1)), axis=1)
    levels = np.arange(256, dtype=np.float32)
    # Tables of 256 values cost less than arithmetic on every pixel.
    tables = np.clip(levels * factor[..., None] + offset[..., None], 0, 255).astype(np.uint8)
    changed = images.copy()
    for i in range(count):
        for channel in range(3):
            changed[i, :, :, channel] = tables[i, channel][images[i, :, :, swap[i, channel]]]
    return changed


def _shares(shown: np.ndarray, bins: np.ndarray, spread: float) -> Tensor:
    """(B, 18) Gaussian around the tried angle, or its bin alone."""
    if spread <= 0:
        return torch.nn.functional.one_hot(torch.from_numpy(bins.astype(np.int64)), ANGLES).float()
    away = shown[:, None] - bin_angle(np.arange(ANGLES))
    away = np.abs(np.mod(away + np.pi / 2, np.pi) - np.pi / 2)
    share = np.exp(-0.5 * (away / max(spread, STEP / 10)) ** 2)
    return torch.from_numpy((share / share.sum(1, keepdims=True)).astype(np.float32))
