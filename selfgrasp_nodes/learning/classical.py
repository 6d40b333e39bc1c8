"""The learning baselines of Pinto and Gupta (2016), section IV-D, on HoG features.

k nearest neighbours: a test patch is compared with the training patches that were
tried in the same angle bin. Linear SVMs: 18 of them, one a bin. Both see what the
networks see: the tries of the training set, with the rotation augmentation (each
try is added to other bins, turned), colour and height. Parameters are chosen on
held-out episodes, the same number of settings for each learner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from selfgrasp_nodes.errors import MissingDependency
from selfgrasp_nodes.learning.patch_data import PatchTries
from selfgrasp_nodes.learning.patch_metrics import balanced_accuracy, best_threshold
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

SETTINGS = 8
"""Settings of its parameters that each learner may try on the held-out episodes."""

SPAN = 0.04
"""Heights this far above and below the surface fill the range of the height picture [m]."""


Prepared = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Features, bins and success of training tries, of :func:`turned_features`."""


@dataclass
class Tuned:
    """A learner with its best setting.

    Attributes:
        name: Of the learner.
        setting: Chosen on the held-out episodes.
        threshold: Of its score, likewise.
        validation: Balanced accuracy there.
        score: Tries -> scores.
        tried: Every setting with its balanced accuracy.
    """

    name: str
    setting: dict[str, Any]
    threshold: float
    validation: float
    score: Callable[[PatchTries], np.ndarray]
    tried: list[dict[str, Any]] = field(default_factory=list)

    def predict(self, tries: PatchTries) -> np.ndarray:
        """(N,) bool."""
        return self.score(tries) >= self.threshold


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


def turned_features(
    tries: PatchTries, sizes: PatchGeometry, copies: int = 3, seed: int = 0, depth: bool = True
) -> Prepared:
    """Features of the tries and of turned copies of them, the tried angle turned along.

    Returns:
        Features (M, F), bins (M,), success (M,); M = N (1 + copies).
    """
    rng = np.random.default_rng(seed)
    features, bins = [hog_features(tries, sizes, 0.0, depth)], [angle_bin(tries.angle)]
    for _ in range(copies):
        turn = rng.integers(1, ANGLES, len(tries)) * STEP
        features.append(hog_features(tries, sizes, turn, depth))
        bins.append(angle_bin(tries.angle - turn))
    return np.concatenate(features), np.concatenate(bins), np.tile(tries.success, 1 + copies)


def tune_neighbours(
    training: Prepared,
    validation: PatchTries,
    sizes: PatchGeometry,
    ks: Sequence[int] = (1, 3, 5, 11, 21, 41, 81, 161),
) -> Tuned:
    """The k nearest neighbours among the training patches of the same bin.

    The score is the neighbours' share of successes, those weighted so that both
    outcomes are as frequent.
    """
    from sklearn.neighbors import NearestNeighbors

    features, bins, success = training
    prior = max(float(success.mean()), 1e-6)
    indices = {}
    for index in range(ANGLES):
        mine = np.flatnonzero(bins == index)
        if len(mine):
            indices[index] = (NearestNeighbors().fit(features[mine]), success[mine])

    def neighbours(tries: PatchTries) -> list[np.ndarray]:
        """For each try, the success of its nearest ones, nearest first."""
        given = hog_features(tries, sizes)
        found: list[np.ndarray] = [np.zeros(0)] * len(tries)
        asked = angle_bin(tries.angle)
        for index, (tree, outcome) in indices.items():
            mine = np.flatnonzero(asked == index)
            if len(mine):
                near = tree.kneighbors(given[mine], min(max(ks), len(outcome)), False)
                for i, row in zip(mine, near, strict=True):
                    found[i] = outcome[row]
        return found

    def scores(near: list[np.ndarray], k: int) -> np.ndarray:
        share = np.array([row[:k].mean() if len(row) else prior for row in near])
        positive, negative = share / prior, (1 - share) / (1 - prior)
        return positive / (positive + negative)

    held = neighbours(validation)
    tried: list[dict[str, Any]] = [
        {"k": k, **_judged(scores(held, k), validation.success)} for k in ks[:SETTINGS]
    ]
    best = max(tried, key=lambda entry: entry["balanced_accuracy"])
    return Tuned(
        "kNN on HoG",
        {"k": best["k"]},
        best["threshold"],
        best["balanced_accuracy"],
        lambda tries: scores(neighbours(tries), int(best["k"])),
        tried,
    )


def tune_svms(
    training: Prepared,
    validation: PatchTries,
    sizes: PatchGeometry,
    seed: int = 0,
    penalties: Sequence[float] = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0),
) -> Tuned:
    """18 linear SVMs, one for each bin, with balanced classes."""
    from sklearn.svm import LinearSVC

    features, bins, success = training
    mean, spread = features.mean(0), features.std(0) + 1e-3
    held, asked = (hog_features(validation, sizes) - mean) / spread, angle_bin(validation.angle)
    tried, fitted = [], []
    for penalty in penalties[:SETTINGS]:
        machines: dict[int, Any] = {}
        for index in range(ANGLES):
            mine = bins == index
            if success[mine].any() and not success[mine].all():
                machine = LinearSVC(
                    C=penalty,
                    class_weight="balanced",
                    dual=False,
                    tol=1e-3,
                    random_state=seed,
                )
                machines[index] = machine.fit((features[mine] - mean) / spread, success[mine])
        scores = _decisions(machines, held, asked)
        tried.append({"C": penalty, **_judged(scores, validation.success)})
        fitted.append(machines)
    best = int(np.argmax([entry["balanced_accuracy"] for entry in tried]))

    def score(tries: PatchTries) -> np.ndarray:
        given = (hog_features(tries, sizes) - mean) / spread
        return _decisions(fitted[best], given, angle_bin(tries.angle))

    chosen = tried[best]
    return Tuned(
        "linear SVMs on HoG",
        {"C": chosen["C"]},
        chosen["threshold"],
        chosen["balanced_accuracy"],
        score,
        tried,
    )


def _decisions(machines: dict[int, Any], features: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """(N,) logistic of each try's decision value; 0.5 in bins without a machine."""
    scores = np.full(len(features), 0.5)
    for index, machine in machines.items():
        mine = bins == index
        if mine.any():
            scores[mine] = 1 / (1 + np.exp(-machine.decision_function(features[mine])))
    return scores


def _judged(scores: np.ndarray, success: np.ndarray) -> dict[str, float]:
    threshold = best_threshold(scores, success)
    return {
        "threshold": threshold,
        "balanced_accuracy": balanced_accuracy(success, scores >= threshold),
    }
