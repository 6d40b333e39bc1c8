from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from selfgrasp_nodes.learning.patch_metrics import (
    balanced_accuracy,
    best_threshold,
    by_episode,
    calibrate,
    calibration_error,
    ranking,
)


def test_balanced_accuracy_counts_both_outcomes_alike() -> None:
    success = np.array([True] * 2 + [False] * 8)
    assert balanced_accuracy(success, np.zeros(10, bool)) == 0.5
    predicted = np.array([True, False] + [True] * 2 + [False] * 6)
    assert balanced_accuracy(success, predicted) == (0.5 + 0.75) / 2
    assert np.isnan(balanced_accuracy(success[:2], predicted[:2]))


def test_ranking_is_the_chance_of_the_right_order() -> None:
    success = np.array([True, True, False, False])
    assert ranking(success, np.array([3.0, 2.0, 1.0, 0.0])) == 1
    assert ranking(success, np.array([1.0, 1.0, 1.0, 1.0])) == 0.5
    assert ranking(success, np.array([0.0, 3.0, 1.0, 2.0])) == 0.5


def test_calibration_undoes_a_distortion() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(-2.5, 1.5, 6000)
    success = rng.random(6000) < expit(true)
    shown = (true + 3) * 4  # overconfident, and far too hopeful
    fitted = calibrate(shown, success)
    assert abs(fitted.scale - 0.25) < 0.03
    chance = fitted.probability(shown)
    assert calibration_error(success, chance) < 0.015
    assert calibration_error(success, expit(shown)) > 0.3
    # The best threshold for balanced accuracy is the share of successes.
    assert abs(fitted.threshold - success.mean()) < 0.05


def test_a_threshold_separates_what_can_be_separated() -> None:
    chance = np.array([0.1, 0.2, 0.3, 0.8, 0.9])
    success = np.array([False, False, False, True, True])
    assert 0.3 < best_threshold(chance, success) < 0.8


def test_a_classifier_without_an_error_has_an_interval_too() -> None:
    right = np.ones(71)
    found = by_episode(lambda i: right[i].mean(), np.arange(71) % 10)
    assert found.value == found.high == 1
    assert found.low == pytest.approx(10 / (10 + 1.96**2), abs=1e-3)


def test_intervals_resample_episodes() -> None:
    values = np.repeat([0.0, 1.0], 50)
    one = by_episode(lambda i: values[i].mean(), np.repeat(["a", "b"], 50))
    many = by_episode(lambda i: values[i].mean(), np.arange(100).astype(str))
    assert one.value == many.value == 0.5
    assert one.high - one.low == 1.0 and many.high - many.low < 0.3
