from __future__ import annotations

import numpy as np
import pytest

from selfgrasp_nodes.learning.metrics import (
    FAILED,
    RunResult,
    mean,
    proportion,
    summarise,
    wilson,
)


def run(cleared: int, actions: int, grasps: int, successes: int) -> RunResult:
    return RunResult(0, "s", 10, cleared, 0, actions, grasps, successes)


def test_completion_counts_every_run_and_ratios_the_completed_ones() -> None:
    summary = summarise([run(10, 10, 10, 10), run(10, 20, 20, 10), run(5, 25, 25, 5)])
    assert summary["completion"]["value"] == pytest.approx(2 / 3)
    assert summary["grasp_success"]["value"] == pytest.approx((1 + 0.5 + 0.2) / 3)
    assert summary["completed_runs"]["grasp_success"]["value"] == pytest.approx(0.75)
    assert summary["completed_runs"]["action_efficiency"]["value"] == pytest.approx(0.75)


def test_wilson_interval_of_a_known_case() -> None:
    # Wilson score interval of 8 in 10: 0.4902 to 0.9433.
    estimate = proportion(8, 10)
    assert (estimate.low, estimate.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_bootstrap_interval_covers_the_mean_at_about_its_rate() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        estimate = mean(rng.random(30), resamples=400)
        hits += estimate.low <= 0.5 <= estimate.high
    assert 0.88 <= hits / 200 <= 0.99


def test_perfect_runs_do_not_claim_certainty() -> None:
    assert mean([1.0] * 30) == proportion(30, 30) and mean([1.0] * 30).low < 0.9
    assert mean([0.0] * 30).high > 0.1 and mean([0.5] * 3).low < 0.3
    assert mean([10.0] * 3).as_dict() == {"value": 10.0, "low": None, "high": None}


@pytest.mark.parametrize("count", [1, 2, 7, 11, 13, 30, 33, 99])
def test_an_interval_holds_its_value(count: int) -> None:
    for value in (0.0, 0.5, 1.0):
        estimate = wilson(value, count)
        assert 0 <= estimate.low <= value <= estimate.high <= 1


def test_no_data_is_none_in_json() -> None:
    assert mean([]).as_dict() == {"value": None, "low": None, "high": None}


def test_a_run_that_broke_down_counts_in_every_rate_but_is_no_grasp() -> None:
    failed = RunResult(0, "s", 10, 10, 0, 0, 0, 0, stop_reason=FAILED)
    assert not failed.completed
    summary = summarise([run(10, 10, 10, 10), failed])
    assert summary["completion"]["value"] == 0.5 and summary["failed"] == 1
    assert summary["grasp_success"]["value"] == 1.0
    broken = RunResult(0, "s", 10, 0, 0, 0, 0, 0, stop_reason=FAILED)
    assert summarise([run(10, 10, 10, 10), broken])["action_efficiency"]["value"] == 0.5
    many = RunResult(0, "s", 10, 0, 0, 12, 12, 0, stop_reason="no_change", longest_no_success=10)
    assert summarise([many, run(10, 10, 10, 10)])["ten_without_success"] == 1


def test_a_grasp_of_two_makes_no_run_more_than_efficient() -> None:
    assert summarise([run(10, 8, 8, 8)])["action_efficiency"]["value"] == 1.0
    assert np.isnan(RunResult(0, "s", 0, 0, 0, 0, 0, 0).efficiency)
