"""The learning baselines of Pinto and Gupta (2016), section IV-D, on HoG features.

k nearest neighbours: a test patch is compared with the training patches that were
tried in the same angle bin. Linear SVMs: 18 of them, one a bin. Both see what the
networks see (:mod:`hog`): the tries of the training set, with the rotation
augmentation (each try is added to other bins, turned), colour and height. Parameters
are chosen on held-out episodes, the same number of settings for each learner, the
network among them (``pinto_tuning``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from selfgrasp_nodes.learning.hog import (
    COMPONENTS,
    COPIES,
    FITTED_ON,
    PIXELS,
    Prepared,
)
from selfgrasp_nodes.learning.patch_data import PatchTries
from selfgrasp_nodes.learning.patch_metrics import balanced_accuracy, best_threshold
from selfgrasp_nodes.policies.patch.encoding import ANGLES, angle_bin

SETTINGS = 8
"""Settings of its parameters that a learner may try on the held-out episodes, networks, too."""

NEIGHBOURS = (1, 3, 5, 11, 21, 41, 81, 161)
PENALTIES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
"""Those settings."""


@dataclass
class Tuned:
    """A learner with its best setting.

    Attributes:
        name: Of the learner.
        setting: Chosen on the held-out episodes.
        threshold: Of its score, likewise.
        validation: Balanced accuracy there.
        score: (features, bins) -> scores.
        tried: Every setting with its balanced accuracy.
    """

    name: str
    setting: dict[str, Any]
    threshold: float
    validation: float
    score: Callable[[np.ndarray, np.ndarray], np.ndarray]
    tried: list[dict[str, Any]] = field(default_factory=list)

    def predict(self, features: np.ndarray, tries: PatchTries) -> np.ndarray:
        """(N,) bool.

        Args:
            features: (N, K) of :meth:`Prepared.features`.
            tries: Those that they are of.
        """
        return self.score(features, angle_bin(tries.angle)) >= self.threshold


def describe() -> dict[str, Any]:
    """What the baselines are, for the results."""
    return {
        "pixels": PIXELS,
        "copies": COPIES,
        "components": COMPONENTS,
        "fitted on": FITTED_ON,
        "neighbours": NEIGHBOURS[:SETTINGS],
        "penalties": PENALTIES[:SETTINGS],
    }


def tune_neighbours(
    training: Prepared,
    features: np.ndarray,
    validation: PatchTries,
    ks: Sequence[int] = NEIGHBOURS,
) -> Tuned:
    """The k nearest neighbours among the training patches of the same bin.

    The score is the neighbours' share of successes, those weighted so that both
    outcomes are as frequent.

    Args:
        training: To compare with.
        features: (N, K) of the held-out tries.
        validation: The held-out tries.
        ks: Numbers of neighbours to choose from.
    """
    from sklearn.neighbors import NearestNeighbors

    prior = max(float(training.success.mean()), 1e-6)
    indices = {}
    for index in range(ANGLES):
        mine = np.flatnonzero(training.bins == index)
        if len(mine):
            search = NearestNeighbors(algorithm="brute").fit(training.shown[mine])
            indices[index] = (search, training.success[mine])

    def neighbours(given: np.ndarray, asked: np.ndarray) -> list[np.ndarray]:
        """For each try, the success of its nearest ones, nearest first."""
        found: list[np.ndarray] = [np.zeros(0)] * len(given)
        for index, (search, outcome) in indices.items():
            mine = np.flatnonzero(asked == index)
            if len(mine):
                near = search.kneighbors(given[mine], min(max(ks), len(outcome)), False)
                for i, row in zip(mine, near, strict=True):
                    found[i] = outcome[row]
        return found

    def scores(near: list[np.ndarray], k: int) -> np.ndarray:
        share = np.array([row[:k].mean() if len(row) else prior for row in near])
        positive, negative = share / prior, (1 - share) / (1 - prior)
        return positive / (positive + negative)

    held = neighbours(features, angle_bin(validation.angle))
    tried: list[dict[str, Any]] = [
        {"k": k, **judged(scores(held, k), validation.success)} for k in ks[:SETTINGS]
    ]
    best = max(tried, key=lambda entry: entry["balanced_accuracy"])
    return Tuned(
        "kNN on HoG",
        {"k": best["k"]},
        best["threshold"],
        best["balanced_accuracy"],
        lambda given, asked: scores(neighbours(given, asked), int(best["k"])),
        tried,
    )


def tune_svms(
    training: Prepared,
    features: np.ndarray,
    validation: PatchTries,
    seed: int = 0,
    penalties: Sequence[float] = PENALTIES,
) -> Tuned:
    """18 linear SVMs, one for each bin, with balanced classes; arguments as above."""
    from sklearn.svm import LinearSVC

    asked = angle_bin(validation.angle)
    # Components of length 1 in all: multiplied by their root number, each is of order 1.
    scale = np.float32(np.sqrt(training.shown.shape[1]))
    tried, fitted = [], []
    for penalty in penalties[:SETTINGS]:
        machines: dict[int, Any] = {}
        for index in range(ANGLES):
            mine = training.bins == index
            success = training.success[mine]
            if success.any() and not success.all():
                machine = LinearSVC(
                    C=penalty,
                    class_weight="balanced",
                    dual=False,
                    tol=1e-3,
                    random_state=seed,
                )
                machines[index] = machine.fit(training.shown[mine] * scale, success)
        scores = _decisions(machines, features * scale, asked)
        tried.append({"C": penalty, **judged(scores, validation.success)})
        fitted.append(machines)
    best = int(np.argmax([entry["balanced_accuracy"] for entry in tried]))
    chosen = tried[best]
    return Tuned(
        "linear SVMs on HoG",
        {"C": chosen["C"]},
        chosen["threshold"],
        chosen["balanced_accuracy"],
        lambda given, bins: _decisions(fitted[best], given * scale, bins),
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


def judged(scores: np.ndarray, success: np.ndarray) -> dict[str, float]:
    """Best threshold of (N,) scores in 0..1, and the balanced accuracy that it gives."""
    threshold = best_threshold(scores, success)
    return {
        "threshold": threshold,
        "balanced_accuracy": balanced_accuracy(success, scores >= threshold),
    }
