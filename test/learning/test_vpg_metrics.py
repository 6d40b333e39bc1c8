"""Intervals over scenes: known means, widths that follow scenes and not repeats, pairs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from selfgrasp_nodes.learning.metrics import FAILED, RunResult, proportion
from selfgrasp_nodes.learning.vpg_metrics import (
    cells,
    completion,
    difference,
    differences,
    estimate,
    measures,
)


def run(scene: int, cleared: int, actions: int, successes: int, seed: int = 0) -> RunResult:
    return RunResult(
        seed, f"s{scene}", 5, cleared, 0, actions, actions, successes, "", index=scene
    )


def repeats(chances: list[float], count: int = 30, seed: int = 0) -> list[RunResult]:
    """Runs of scenes that are completed with these chances."""
    rng = np.random.default_rng(seed)
    return [
        run(scene, 5 if rng.random() < chance else 2, 8, 4, seed=number)
        for scene, chance in enumerate(chances)
        for number in range(count)
    ]


def test_each_scene_weighs_the_same_and_the_paper_counts_completed_runs() -> None:
    runs = [run(0, 5, 5, 5), run(0, 5, 10, 5, seed=1), run(1, 2, 10, 2), run(1, 5, 5, 5, seed=1)]
    found = measures([runs])
    assert found["completion"]["value"] == pytest.approx((1 + 0.5) / 2)
    assert found["grasp_success"]["value"] == pytest.approx(((1 + 0.5) / 2 + (0.2 + 1) / 2) / 2)
    assert found["completed_runs"]["grasp_success"]["value"] == pytest.approx((0.75 + 1) / 2)
    assert found["completed_runs"]["action_efficiency"]["value"] == pytest.approx((0.75 + 1) / 2)
    assert found["completed_runs"]["count"] == 3
    json.dumps(found)


def test_a_scene_that_was_never_completed_is_left_out_of_the_papers_means() -> None:
    runs = [run(0, 5, 5, 5), run(1, 0, 10, 0)]
    found = measures([runs])
    assert found["completed_runs"]["grasp_success"]["value"] == 1.0
    assert found["grasp_success"]["value"] == 0.5
    nothing = measures([[run(0, 0, 10, 0)]])["completed_runs"]
    assert nothing["grasp_success"] == {"value": None, "low": None, "high": None}


def test_repeats_of_a_scene_do_not_narrow_the_interval_and_scenes_do() -> None:
    chances = [0.1, 0.9, 0.2, 1.0, 0.5, 0.0]
    few, many = (
        completion([repeats(chances, count)]) for count in (30, 3000)
    )  # as near as repeats can be
    assert many.high - many.low > 0.9 * (few.high - few.low) > 0.3
    more = completion([repeats(chances * 8, 30)])
    assert more.high - more.low < 0.5 * (few.high - few.low)


def test_the_interval_covers_the_mean_over_scenes_at_about_its_rate() -> None:
    rng = np.random.default_rng(4)
    hits = 0
    for number in range(60):
        chances = list(rng.random(20))
        found = completion([repeats(chances, 10, seed=number)])
        hits += found.low <= 0.5 <= found.high
    assert 0.85 <= hits / 60 <= 1.0


def test_training_seeds_widen_the_interval() -> None:
    good, bad = repeats([0.9] * 12), repeats([0.3] * 12, seed=1)
    one = completion([good])
    two = completion([good, bad])
    assert two.value == pytest.approx((one.value + completion([bad]).value) / 2)
    assert two.low < 0.4 and two.high > 0.8 and one.low > 0.8


def test_where_all_scenes_agree_the_interval_is_wilsons_over_scenes() -> None:
    all_done = repeats([1.0] * 6)
    assert completion([all_done]) == proportion(6, 6)
    assert completion([repeats([0.0] * 3)]) == proportion(0, 3)


def test_one_lost_run_does_not_narrow_the_interval() -> None:
    perfect = repeats([1.0] * 12)
    nearly = [*perfect[:-1], run(11, 2, 8, 4, seed=29)]
    whole, less = completion([perfect]), completion([nearly])
    assert less.low < whole.low + 0.01 < 0.8 and less.high == 1.0
    apart = differences([perfect], [nearly])["completion"]
    assert apart["low"] < -0.15 and apart["high"] > 0.15


def test_the_interval_covers_scenes_that_are_rare_and_hard() -> None:
    """One scene of twenty is never completed, the others in 99 runs of 100."""
    rng = np.random.default_rng(5)
    hits = 0
    for number in range(60):
        chances = [0.0 if rng.random() < 0.05 else 0.99 for _ in range(12)]
        found = completion([repeats(chances, 30, seed=number)])
        hits += found.low <= 0.95 * 0.99 <= found.high
    assert hits / 60 >= 0.9


def test_no_interval_is_without_width() -> None:
    # All grasps held; each scene one and the same efficiency; one scene; one against none of all.
    equal = [run(scene, 5, 8, 8, seed=n) for scene in range(4) for n in range(3)]
    found = measures([equal, equal])
    for name in ("grasp_success", "action_efficiency"):
        assert found[name]["high"] - found[name]["low"] > 0.3
        assert found["completed_runs"][name]["low"] < found[name]["value"]
    single = measures([[run(0, 5, 8, 6), run(0, 5, 9, 6, seed=1)]])
    assert single["grasp_success"]["high"] - single["grasp_success"]["low"] > 0.6
    apart = differences([repeats([1.0] * 11)], [repeats([0.0] * 11)])["completion"]
    assert apart["value"] == 1.0 and 0.5 < apart["low"] < 0.9 and apart["high"] == 1.0
    alike = differences([repeats([1.0] * 11)], [repeats([1.0] * 11)])["completion"]
    assert alike["value"] == 0 and alike["low"] < -0.1 and alike["high"] > 0.1


def test_nearly_perfect_grasps_do_not_widen_the_interval() -> None:
    """Two thirds of the runs hold all of 30 grasps, the others lose one."""
    runs = [
        RunResult(seed, "random", 30, 30, 0, 30, 30, 30 if seed % 3 else 29) for seed in range(30)
    ]
    worse = [RunResult(seed, "random", 30, 30, 0, 34, 34, 30 - seed % 4) for seed in range(30)]
    found = measures([runs])["grasp_success"]
    assert found["value"] == pytest.approx(1 - 1 / 90) and 0.98 < found["low"] < found["value"]
    apart = differences([runs], [worse])["grasp_success"]
    assert 0.1 < apart["low"] < apart["value"] < apart["high"] < 0.25


def test_random_scenes_are_a_scene_each() -> None:
    runs = [
        RunResult(seed, "random", 30, 30 if seed < 24 else 29, 0, 40, 40, 30) for seed in range(30)
    ]
    assert completion([runs]) == proportion(24, 30)
    assert len(cells([runs], "grasp_success").scenes) == 30


def test_differences_are_taken_scene_by_scene() -> None:
    chances = [0.05, 0.95, 0.1, 0.9, 0.2, 0.8]
    low = repeats(chances, 300)
    high = repeats([min(chance + 0.1, 1.0) for chance in chances], 300, seed=9)
    paired = difference(cells([high], "completion"), cells([low], "completion"))
    alone = estimate(cells([high], "completion"))
    assert paired.low > 0 and paired.value == pytest.approx(0.09, abs=0.04)
    assert paired.high - paired.low < 0.25 * (alone.high - alone.low)
    same = differences([low], [low])["completion"]
    assert same["value"] == 0 and same["low"] == same["high"] == 0


def test_a_run_that_broke_down_is_not_completed() -> None:
    broken = RunResult(0, "s0", 5, 5, 0, 0, 0, 0, stop_reason=FAILED, index=0)
    found = measures([[broken, run(0, 5, 5, 5, seed=1)]])
    assert found["completion"]["value"] == 0.5
