"""How good a row's judgement of tries is, as the protocol's tables say it."""

from __future__ import annotations

from typing import Any

import numpy as np

from selfgrasp_nodes.learning.patch_data import PatchTries
from selfgrasp_nodes.learning.patch_metrics import (
    Calibration,
    balanced_accuracy,
    by_episode,
    calibration_error,
    ranking,
)
from selfgrasp_nodes.types import OutcomeCode

BLOCKED = OutcomeCode.BLOCKED.name


def scored(tries: PatchTries, odds: np.ndarray, calibration: Calibration) -> dict[str, Any]:
    """Of log-odds and the calibration that turns them into a yes or no.

    Args:
        tries: N.
        odds: (N,) log-odds.
        calibration: Fitted on other tries.

    Returns:
        :func:`accuracies`, the area under the ROC curve, which no threshold has a part in, and
        the expected calibration error of the probabilities, with the calibration and without.
    """
    chance = calibration.probability(odds)
    return {
        **accuracies(tries, chance >= calibration.threshold),
        "roc_area": ranking(tries.success, chance),
        "calibration_error": calibration_error(tries.success, chance),
        "calibration_error_before": calibration_error(
            tries.success, Calibration().probability(odds)
        ),
    }


def accuracies(tries: PatchTries, predicted: np.ndarray) -> dict[str, Any]:
    """Balanced accuracy of (N,) predictions: over episodes, over objects, and not blocked.

    A hand that is stopped on its way down tells little about grasping: what the others alone
    give stands under ``not_blocked``.
    """

    def accuracy(index: np.ndarray) -> float:
        return balanced_accuracy(tries.success[index], predicted[index])

    free = np.flatnonzero(tries.code != BLOCKED)
    reached = by_episode(lambda i: accuracy(free[i]), tries.episode[free])
    return {
        "balanced_accuracy": by_episode(accuracy, tries.episode).as_dict(),
        "over_objects": by_episode(accuracy, tries.object).as_dict(),
        "not_blocked": {"balanced_accuracy": reached.as_dict(), "tries": len(free)},
        "tries": len(tries),
        "positives": int(tries.success.sum()),
    }
