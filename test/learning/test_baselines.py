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
    from selfgrasp_nodes.learning import classical, hog

    training, validation, novel = bars(240, seed=1), bars(80, seed=2), bars(120, seed=3)
    prepared = hog.prepare(training, SIZES)
    held = prepared.features(validation)
    tuned = getattr(classical, learner)(prepared, held, validation)
    assert len(tuned.tried) == classical.SETTINGS
    assert tuned.validation == max(entry["balanced_accuracy"] for entry in tuned.tried)
    predicted = tuned.predict(prepared.features(novel), novel)
    accuracy = balanced_accuracy(novel.success, predicted)
    assert accuracy > 0.6, accuracy


def test_features_turn_with_the_patch() -> None:
    pytest.importorskip("skimage")
    from selfgrasp_nodes.learning.hog import hog_features, prepare
    from selfgrasp_nodes.policies.patch.encoding import STEP, angle_bin

    tries = bars(30)
    prepared = prepare(tries, SIZES, copies=2, seed=0)
    assert len(prepared.shown) == len(prepared.bins) == len(prepared.success) == 90
    assert np.allclose(prepared.shown[:30], prepared.features(tries), atol=1e-5)
    # A copy is the patch that is cut at the angle that its bin was turned by.
    turn = (angle_bin(tries.angle) - prepared.bins[30:60]) % 18 * STEP
    hog = (hog_features(tries, SIZES, turn) - prepared.mean) / prepared.spread
    assert np.allclose(hog @ prepared.basis, prepared.shown[30:60], atol=1e-4)
    plain = hog_features(tries, SIZES)
    assert prepared.about["of HoG"] == plain.shape[1] > prepared.about["components"]
    assert hog_features(tries, SIZES, depth=False).shape[1] * 2 == plain.shape[1]
