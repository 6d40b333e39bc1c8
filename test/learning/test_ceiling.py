"""The ceiling: known chances give known bounds; real tries repeat under noise."""

from __future__ import annotations

import numpy as np
import pytest

from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.learning.ceiling import bounds, measure
from selfgrasp_nodes.learning.collect_config import CollectConfig

SETS = "gripper: rg2\nsets:\n  blocks: [{block: cube}, {block: brick}, {block: tile}]\n"
RECIPES = "recipes:\n  ur5_rg2: {objects: [3, 4], tries: 4}\n"


def drawn(chances: np.ndarray, repeats: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((len(chances), repeats)) < chances[:, None]


def test_tries_that_repeat_themselves_have_no_ceiling() -> None:
    outcomes = drawn(np.repeat([0.0, 1.0], [90, 10]), 5)
    found = bounds(outcomes, np.arange(100))
    for name in ("agreement", "accuracy_upper", "accuracy_lower", "balanced_upper"):
        assert found[name]["value"] == 1.0
    assert found["mixed"]["value"] == 0.0 and found["positives"]["value"] == pytest.approx(0.1)


@pytest.mark.parametrize("chances", [(0.1, 0.9), (0.02, 0.5), (0.3, 0.3)])
def test_the_bounds_hold_the_best_classifier_between_them(chances) -> None:
    p = np.repeat(chances, [1600, 400])
    outcomes = drawn(p, 5)
    found = bounds(outcomes, np.arange(2000) // 4)
    best = float(np.maximum(p, 1 - p).mean())
    yes = p > p.mean() + 1e-9
    balanced = (p[yes].sum() / p.sum() + (1 - p)[~yes].sum() / (1 - p).sum()) / 2
    assert (
        found["accuracy_lower"]["value"] - 0.01 <= best <= found["accuracy_upper"]["value"] + 0.01
    )
    low, high = found["balanced_lower"]["value"], found["balanced_upper"]["value"]
    assert low - 0.02 <= balanced <= high + 0.02
    pairs = float((p**2 + (1 - p) ** 2).mean())
    assert found["agreement"]["low"] < pairs < found["agreement"]["high"]


def test_one_class_alone_has_no_balanced_accuracy() -> None:
    found = bounds(np.zeros((10, 5), bool), np.arange(10))
    assert found["balanced_upper"]["value"] is None and found["accuracy_upper"]["value"] == 1.0
    assert bounds(np.zeros((0, 5), bool), np.zeros(0, int))["agreement"]["value"] is None


def test_real_tries_are_repeated(tmp_path) -> None:
    (tmp_path / "sets.yaml").write_text(SETS)
    for noise in ("{position: 0.0, angle: 0.0}", "{position: 0.015, angle: 0.4}"):
        (tmp_path / "recipes.yaml").write_text(RECIPES + f"repeat: {noise}\n")
        config = CollectConfig(
            "ur5_rg2",
            objects="blocks",
            seed=2,
            recipes=tmp_path / "recipes.yaml",
            sets=tmp_path / "sets.yaml",
        )
        done: list[int] = []
        found = measure(config, 8, 4, 1, done.append)
        assert found["tries"] + found["unlabelled"] == 8 == done[-1]
        if noise.startswith("{position: 0.0,"):
            still = found
    assert still["agreement"]["value"] > 0.85
    assert found["agreement"]["value"] < still["agreement"]["value"]
    assert 0 < np.mean(found["outcomes"]) < 1
    with pytest.raises(InvalidConfig, match="two repetitions"):
        measure(config, 8, 1)
