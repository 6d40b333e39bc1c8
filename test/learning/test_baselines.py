"""Heuristics and classical learners on drawn bars, where the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from patch_synthesis import OPENING, SIZES, bars

from selfgrasp_nodes.learning import heuristic_classifiers as heuristic
from selfgrasp_nodes.learning.patch_metrics import balanced_accuracy


def test_the_smallest_eigenvector_lies_across_the_bar() -> None:
    tries = bars(60, seed=3)
    shape = heuristic.moments(tries, SIZES)
    assert shape.found.all()
    threshold = heuristic.tune_threshold(shape, tries.success)
    predicted = heuristic.predict(shape, threshold)
    # Every success closes across its bar; what is too wide, the rule cannot know.
    assert predicted[tries.success].mean() > 0.9
    narrow = shape.small < OPENING - 0.01
    assert balanced_accuracy(tries.success[narrow], predicted[narrow]) > 0.8
    assert not heuristic.predict(shape, threshold, limit=1.0).any()


def test_optimistic_parameters_are_the_best_there_are() -> None:
    tries = bars(60, seed=5)
    shape = heuristic.moments(tries, SIZES)
    threshold, limit, best = heuristic.tune(shape, tries.success)
    predicted = heuristic.predict(shape, threshold, limit)
    assert balanced_accuracy(tries.success, predicted) == best
    plain = heuristic.predict(shape, heuristic.tune_threshold(shape, tries.success))
    assert best >= balanced_accuracy(tries.success, plain)


@pytest.mark.parametrize("learner", ["tune_neighbours", "tune_svms"])
def test_classical_learners_learn_bars(learner: str) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("skimage")
    from selfgrasp_nodes.learning import classical

    training, validation, novel = bars(240, seed=1), bars(80, seed=2), bars(120, seed=3)
    prepared = classical.turned_features(training, SIZES, copies=2)
    tuned = getattr(classical, learner)(prepared, validation, SIZES)
    assert len(tuned.tried) == classical.SETTINGS
    assert tuned.validation == max(entry["balanced_accuracy"] for entry in tuned.tried)
    accuracy = balanced_accuracy(novel.success, tuned.predict(novel))
    assert accuracy > 0.6, accuracy


def test_features_turn_with_the_patch() -> None:
    pytest.importorskip("skimage")
    from selfgrasp_nodes.learning.classical import hog_features, turned_features

    tries = bars(6)
    plain = hog_features(tries, SIZES)
    features, bins, success = turned_features(tries, SIZES, 2, seed=0)
    assert features.shape == (18, plain.shape[1]) and bins.shape == success.shape == (18,)
    assert np.array_equal(features[:6], plain)
    assert hog_features(tries, SIZES, depth=False).shape[1] * 2 == plain.shape[1]
