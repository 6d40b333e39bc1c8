"""What the classical baselines see of a patch: principal components of HoG.

HoG of both pictures has some thousand numbers; the learners get its
:data:`COMPONENTS` principal components, with which 40,000 tries take minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from selfgrasp_nodes.errors import MissingDependency
from selfgrasp_nodes.learning.patch_data import PatchTries
from selfgrasp_nodes.perception.patches import cut_patches
from selfgrasp_nodes.policies.patch.encoding import (
    ANGLES,
    HEIGHT_STEP,
    HEIGHT_ZERO,
    STEP,
    angle_bin,
)
from selfgrasp_nodes.robots.patch import PatchGeometry

PIXELS = 64
"""Rows and columns of a patch that HoG is computed on."""

COPIES = 2
"""Turned copies of each training try."""

COMPONENTS = 256
"""Principal components of HoG that the learners are shown."""

FITTED_ON = 8000
"""Training patches, at most, that the components are found on."""

SPAN = 0.04
"""Heights this far above and below the surface fill the range of the height picture [m]."""

BLOCK = 500
"""Patches that are cut at a time."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Training tries as the learners are shown them, and how others are shown alike.

    Attributes:
        shown: (M, K) float32 components of the tries and of turned copies of them.
        bins: (M,) tried bin, turned along.
        success: (M,) bool.
        mean: (F,) of HoG.
        spread: (F,) its standard deviation.
        basis: (F, K) principal components, scaled so that a patch's have length 1 on average.
        sizes: Of the crops.
        about: For the results: how many features there were and are, and their variance.
    """

    shown: np.ndarray
    bins: np.ndarray
    success: np.ndarray
    mean: np.ndarray
    spread: np.ndarray
    basis: np.ndarray
    sizes: PatchGeometry
    about: dict[str, Any]

    def features(self, tries: PatchTries) -> np.ndarray:
        """(N, K) of other tries, as they were made."""
        return _projected(tries, self.sizes, 0.0, self.mean, self.spread, self.basis)


def hog_features(
    tries: PatchTries, sizes: PatchGeometry, turned: np.ndarray | float = 0.0, depth: bool = True
) -> np.ndarray:
    """HoG of grey and of height, side by side.

    Args:
        tries: N.
        sizes: Of the crops.
        turned: (N,) angle at which each patch is cut [rad].
        depth: Whether height is used; the paper had colour alone.

    Returns:
        (N, F) float32.

    Raises:
        MissingDependency: If scikit-image is not installed.
    """
    try:
        from skimage.feature import hog
    except ImportError as error:
        raise MissingDependency(
            "the classical baselines need scikit-image: pip install -r requirements-learning.txt"
        ) from error
    crops = np.asarray(tries.crops)
    pixels = crops.shape[1]
    geometry = PatchGeometry(sizes.patch_side, sizes.crop_side, pixels)
    code = crops[..., 3].astype(np.float32)
    height = np.where(code > 0, (code - HEIGHT_ZERO) * HEIGHT_STEP, np.nan).astype(np.float32)
    color, height = cut_patches(crops[..., :3], height, geometry, PIXELS, turned)
    grey = color @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    level = np.clip(np.nan_to_num(height, nan=-SPAN) / (2 * SPAN) + 0.5, 0, 1)
    planes = [grey, level] if depth else [grey]
    rows = []
    for index in range(len(crops)):
        parts = [
            hog(
                plane[index],
                orientations=9,
                pixels_per_cell=(8, 8),
                cells_per_block=(2, 2),
                feature_vector=True,
            )
            for plane in planes
        ]
        rows.append(np.concatenate(parts).astype(np.float32))
    return np.stack(rows) if rows else np.empty((0, 0), np.float32)


def prepare(
    tries: PatchTries, sizes: PatchGeometry, copies: int = COPIES, seed: int = 0
) -> Prepared:
    """HoG of the tries and of turned copies of them, the tried angle turned along.

    Args:
        tries: N to train on.
        sizes: Of the crops.
        copies: Turned ones of each.
        seed: Of the turns, and of the tries that the components are found on.
    """
    rng = np.random.default_rng(seed)
    some = np.sort(rng.permutation(len(tries))[:FITTED_ON])
    turn = rng.uniform(0, 2 * np.pi, len(some))
    hog = hog_features(tries.take(some), sizes, turn)
    mean, spread = hog.mean(0), hog.std(0) + np.float32(1e-3)
    basis, share = _components((hog - mean) / spread)
    turns = [np.zeros(len(tries), int)]
    turns += [rng.integers(1, ANGLES, len(tries)) for _ in range(copies)]
    shown = [_projected(tries, sizes, t * STEP, mean, spread, basis) for t in turns]
    return Prepared(
        np.concatenate(shown),
        np.concatenate([angle_bin(tries.angle - t * STEP) for t in turns]),
        np.tile(tries.success, 1 + copies),
        mean,
        spread,
        basis,
        sizes,
        {"of HoG": len(mean), "components": basis.shape[1], "variance kept": share},
    )


def _components(rows: np.ndarray) -> tuple[np.ndarray, float]:
    """Basis (F, K) of the largest variance, and the share of variance that it keeps."""
    from scipy import linalg

    size = rows.shape[1]
    count = min(COMPONENTS, size, max(1, len(rows) - 1))
    covariance = rows.T @ rows / len(rows)
    values, vectors = linalg.eigh(covariance, subset_by_index=(size - count, size - 1))
    kept = float(values.sum())
    basis = vectors[:, ::-1] / np.sqrt(kept)
    return np.ascontiguousarray(basis, np.float32), kept / float(np.trace(covariance))


def _projected(
    tries: PatchTries,
    sizes: PatchGeometry,
    turned: np.ndarray | float,
    mean: np.ndarray,
    spread: np.ndarray,
    basis: np.ndarray,
) -> np.ndarray:
    """(N, K) components of HoG, a block at a time: all of HoG would not fit in memory."""
    turned = np.broadcast_to(np.asarray(turned, float), (len(tries),))
    out = np.empty((len(tries), basis.shape[1]), np.float32)
    for first in range(0, len(tries), BLOCK):
        part = np.arange(first, min(first + BLOCK, len(tries)))
        hog = hog_features(tries.take(part), sizes, turned[part])
        out[part] = ((hog - mean) / spread) @ basis
    return out
