from __future__ import annotations

import numpy as np
import pytest

from selfgrasp_nodes.learning.pixelq_curves import (
    calibration,
    figures,
    grasp_curve,
    plot,
    push_then_grasp_curve,
)
from selfgrasp_nodes.types import Primitive

GRASP, PUSH = int(Primitive.GRASP), int(Primitive.PUSH)


def test_success_over_the_last_grasps() -> None:
    primitive = np.array([GRASP, PUSH, GRASP, GRASP, GRASP, PUSH])
    success = np.array([True, True, False, True, True, False])
    # A window of two: grasps 1; 1 0; 0 1; 1 1. What is missing at first counts as failed.
    np.testing.assert_allclose(grasp_curve(primitive, success, 2), [0.5, 0.5, 0.5, 0.5, 1.0, 1.0])


def test_against_counting_by_hand() -> None:
    rng = np.random.default_rng(0)
    primitive, success = rng.integers(0, 2, 300), rng.random(300) < 0.6
    curve = grasp_curve(primitive, success, 20)
    for n in range(300):
        last = [success[i] for i in range(n + 1) if primitive[i] == GRASP][-20:]
        assert curve[n] == pytest.approx(sum(last) / 20)


def test_grasps_after_pushes_of_the_same_episode() -> None:
    # Two worlds in turn: episode 1 pushes, then grasps well; episode 2 grasps alone.
    episode = np.array([1, 2, 1, 2, 1, 1])
    index = np.array([0, 0, 1, 1, 2, 3])
    primitive = np.array([PUSH, GRASP, GRASP, GRASP, PUSH, GRASP])
    success = np.array([True, True, True, False, False, False])
    curve = push_then_grasp_curve(episode, index, primitive, success, 2)
    np.testing.assert_allclose(curve, [0, 0, 0.5, 0.5, 0.5, 0.5])


def columns(count: int = 400) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    value = rng.uniform(0.05, 0.95, count)
    # The policy is too sure of itself: true log-odds are half of what it says.
    chance = 1 / (1 + np.exp(-0.5 * np.log(value / (1 - value))))
    success = rng.random(count) < chance
    return {
        "episode": np.arange(count) // 8,
        "index": np.arange(count) % 8,
        "primitive": np.where(np.arange(count) % 8 == 3, PUSH, GRASP),
        "success": success,
        "changed": success,
        "held": success,
        "value": value,
    }


def test_figures_and_calibration() -> None:
    found = figures(columns())
    assert found["tries"] == 400 and found["pushes"] == 50 and found["labels_wrong"] == 0
    rate = found["grasp_success_last"]
    assert rate["low"] < rate["value"] < rate["high"]
    fitted = calibration(columns(4000), window=4000)
    assert fitted["grasp_scale"] == pytest.approx(0.5, abs=0.1)
    assert fitted["grasp_offset"] == pytest.approx(0.0, abs=0.15)
    few = {name: values[:20] for name, values in columns().items()}
    assert calibration(few) == {}


def test_the_curves_are_a_picture(tmp_path) -> None:
    cv2 = pytest.importorskip("cv2")
    plot(columns(), tmp_path / "c.png", "title")
    picture = cv2.imread(str(tmp_path / "c.png"))
    assert picture.shape[0] > 300 and len(np.unique(picture)) > 10
