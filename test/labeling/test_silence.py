"""Sensors that fall silent, say nothing of use, or speak seldom."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from traces import BAXTER, BLIND, PHASES, RG2, grasp, seldom, without

from selfgrasp_nodes.labeling.options import load_options
from selfgrasp_nodes.labeling.rules import GraspRule
from selfgrasp_nodes.types import OutcomeCode, PhaseCode

CARRIED = (*PHASES, (PhaseCode.CARRY, 2300, 2600))


@pytest.fixture(scope="module")
def rule() -> GraspRule:
    return GraspRule()


def empty(gripper, **options):
    return grasp(gripper, gripper.width_min, force=0.0, weight=0, residue=0.0, **options)


def repeated(execution):
    """With each reading in every sample until the next one, as recordings had it once."""
    trace = execution.trace
    said = np.where(np.isfinite(trace.width), np.arange(len(trace.time)), 0)
    last = np.maximum.accumulate(said)
    trace = replace(trace, width=trace.width[last], force=trace.force[last])
    return replace(execution, trace=trace)


@pytest.mark.parametrize("since", [1650, 1900, 2000, 2200])
@pytest.mark.parametrize("gripper", [RG2, BLIND], ids=["rg2", "no force"])
def test_a_gripper_that_fell_silent_leaves_the_try_unlabelled(rule, gripper, since):
    outcome = rule.label_grasp(without(grasp(gripper, 0.03), since=since), gripper)
    assert outcome.code == OutcomeCode.UNKNOWN
    assert outcome.confidence == 0
    assert f"silent {1e-3 * (2300 - since):.2f} s before the end" in outcome.reason
    assert math.isnan(outcome.width_lifted)
    assert outcome.width_closed == pytest.approx(0.03, abs=0.001)


def test_a_gripper_that_missed_a_few_readings_is_not_silent(rule):
    held = without(grasp(RG2, 0.03), since=2260)
    assert rule.label_grasp(held, RG2).code == OutcomeCode.SUCCESS


def test_a_weight_beyond_doubt_tells_when_the_gripper_is_silent(rule):
    heavy = without(grasp(RG2, 0.03, weight=3.0), since=1900)
    outcome = rule.label_grasp(heavy, RG2)
    assert outcome.code == OutcomeCode.SUCCESS
    assert outcome.confidence <= 0.8
    assert "hang on the hand" in outcome.reason and "silent" in outcome.reason
    # A wrist that is silent as well tells nothing.
    deaf = without(heavy, width=False, force=False, wrench=True, since=1900)
    assert rule.label_grasp(deaf, RG2).code == OutcomeCode.UNKNOWN


@pytest.mark.parametrize("seed", range(3))
def test_without_a_width_a_force_still_tells(rule, seed):
    held = without(grasp(RG2, 0.03, weight=0, seed=seed), force=False)
    outcome = rule.label_grasp(held, RG2)
    assert outcome.code == OutcomeCode.SUCCESS
    assert outcome.confidence <= 0.8
    assert math.isnan(outcome.width_lifted) and not outcome.stalled
    # No force, from a gripper that does not know its opening, may be anything.
    missed = rule.label_grasp(without(empty(RG2, seed=seed), force=False), RG2)
    assert missed.code == OutcomeCode.UNKNOWN
    blind = rule.label_grasp(without(grasp(BLIND, 0.03, weight=0, seed=seed)), BLIND)
    assert blind.code == OutcomeCode.UNKNOWN
    heavy = rule.label_grasp(without(grasp(BLIND, 0.03, weight=3.0, seed=seed)), BLIND)
    assert heavy.code == OutcomeCode.SUCCESS


def test_without_a_width_full_force_on_empty_fingers_tells_nothing():
    rule = GraspRule(load_options(grasp={"stop_force": math.inf}))
    held = without(grasp(RG2, 0.03), force=False)
    assert rule.label_grasp(held, RG2).code == OutcomeCode.UNKNOWN


@pytest.mark.parametrize("since", [0, 1900, 2200])
def test_without_the_force_it_measures_closed_fingers_tell_nothing(rule, since):
    """What is as thin as the closed gripper shows in its force alone."""
    thin = without(grasp(BAXTER, BAXTER.width_min, force=20), width=False, since=since)
    outcome = rule.label_grasp(thin, BAXTER)
    assert outcome.code == OutcomeCode.UNKNOWN
    assert "no force was read" in outcome.reason
    assert math.isnan(outcome.force_held)
    heavy = grasp(BAXTER, BAXTER.width_min, force=20, weight=3.0)
    heavy = without(heavy, width=False, since=since)
    assert rule.label_grasp(heavy, BAXTER).code == OutcomeCode.SUCCESS
    wide = rule.label_grasp(without(grasp(BAXTER, 0.06), width=False, since=since), BAXTER)
    assert wide.code == OutcomeCode.SUCCESS
    assert wide.confidence <= 0.8
    lost = without(grasp(BAXTER, 0.06, lost_at=2250), width=False, since=since)
    assert rule.label_grasp(lost, BAXTER).code == OutcomeCode.SLIPPED


def test_single_readings_without_a_value_do_no_harm(rule):
    held = grasp(RG2, 0.03)
    width, force = held.trace.width.copy(), held.trace.force.copy()
    width[::3], force[1::4] = np.nan, np.inf
    held = replace(held, trace=replace(held.trace, width=width, force=force))
    outcome = rule.label_grasp(held, RG2)
    assert outcome.code == OutcomeCode.SUCCESS
    assert outcome.width_lifted == pytest.approx(0.03, abs=0.001)
    assert outcome.force_held == pytest.approx(20, abs=2)


def test_a_descent_that_nobody_felt_end_is_not_blocked(rule):
    never = replace(grasp(RG2, 0.04), phases=grasp(RG2, 0.04).phases[:2])
    no_trace = replace(never, trace=None)
    no_descent = replace(never, phases=never.phases[:1])
    no_wrist = without(never, width=False, force=False, wrench=True)
    for execution in (never, no_trace, no_descent, no_wrist, replace(never, phases=())):
        outcome = rule.label_grasp(execution, RG2)
        assert outcome.code == OutcomeCode.UNKNOWN
        assert outcome.confidence == 0
        assert "never closed" in outcome.reason
    struck = grasp(RG2, 0.04, strike=40)
    slightly = rule.label_grasp(replace(struck, phases=never.phases), RG2)
    assert slightly.code == OutcomeCode.BLOCKED
    assert slightly.confidence < 0.9
    struck = grasp(RG2, 0.04, strike=100)
    clearly = rule.label_grasp(replace(struck, phases=never.phases), RG2)
    assert clearly.code == OutcomeCode.BLOCKED
    assert 0.9 < clearly.confidence < 1.0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lost_at", [2150, 2230, 2250, 2270])
@pytest.mark.parametrize("period", [20, 50, 100])
@pytest.mark.parametrize("gripper", [RG2, BLIND], ids=["rg2", "no force"])
def test_a_slow_gripper_sees_a_loss_just_before_the_end(rule, gripper, period, lost_at, seed):
    for lost in (
        seldom(grasp(gripper, 0.03, lost_at=lost_at, seed=seed), period),
        grasp(gripper, 0.03, lost_at=lost_at, seed=seed, step=10 if period == 20 else period),
    ):
        assert rule.label_grasp(lost, gripper).code == OutcomeCode.SLIPPED


@pytest.mark.parametrize("lost_at", [2270, 2280, 2290])
def test_a_loss_shows_in_the_force_of_the_last_reading(rule, lost_at):
    late = sum(
        rule.label_grasp(grasp(gripper, 0.05, lost_at=lost_at, seed=seed), gripper).success
        for gripper in (RG2, BAXTER)
        for seed in range(50)
    )
    assert late <= 2
    # So it does where an older recording repeats the readings of a slow gripper.
    for lost in (seldom(grasp(RG2, 0.03, lost_at=lost_at), period) for period in (50, 100)):
        assert not rule.label_grasp(repeated(lost), RG2).success


@pytest.mark.parametrize(
    "felt",
    [
        (0.8, 3.7, 4.0, 3.6, 2.0, 0.1),
        (0.0, 5.3, 2.9, 0.1, 1.0, 0.1),
        (0.8, 3.8, 4.2, 3.1, 0.0, 0.4),
    ],
)
def test_fingers_that_strike_each_other_at_the_end_of_the_lift_hold_nothing(rule, felt):
    """As measured where they lost something so late that they have only just closed."""
    lost = grasp(RG2, 0.03, lost_at=2050)
    force = lost.trace.force.copy()
    force[-6:] = felt
    lost = replace(lost, trace=replace(lost.trace, force=force))
    assert rule.label_grasp(lost, RG2).code == OutcomeCode.SLIPPED


@pytest.mark.parametrize("period", [20, 50, 100, 200])
@pytest.mark.parametrize("gripper", [RG2, BLIND, BAXTER], ids=["rg2", "no force", "baxter"])
def test_a_slow_gripper_labels_as_a_fast_one_does(rule, gripper, period):
    """With few readings the noise passes a threshold of three deviations now and then."""
    wrong = 0
    for seed in range(30):
        for width in (gripper.width_min + 0.003, 0.05):
            held = seldom(grasp(gripper, width, seed=seed), period)
            wrong += rule.label_grasp(held, gripper).code != OutcomeCode.SUCCESS
            lost = grasp(gripper, width, lost_at=1900, seed=seed, residue=0.0)
            wrong += rule.label_grasp(seldom(lost, period), gripper).success
        wrong += rule.label_grasp(seldom(empty(gripper, seed=seed), period), gripper).success
    assert wrong <= 0.02 * 30 * 5


@pytest.mark.parametrize("period", [50, 100])
@pytest.mark.parametrize("gripper", [RG2, BLIND], ids=["rg2", "no force"])
def test_the_first_word_after_the_lift_counts_for_a_slow_gripper(rule, gripper, period):
    """Lost between its last word before the end and the end."""
    for first in (10, 20, 30):  # the last word is 40, 30 or 20 ms before the end, or more
        lost = seldom(grasp(gripper, 0.03, lost_at=2285, phases=CARRIED), period, first)
        assert rule.label_grasp(lost, gripper).code == OutcomeCode.SLIPPED
        held = seldom(grasp(gripper, 0.03, phases=CARRIED), period, first)
        assert rule.label_grasp(held, gripper).code == OutcomeCode.SUCCESS
    # A fast one's word at the end stands: what is lost on the way to the bin was held.
    carried = grasp(gripper, 0.03, lost_at=2330, phases=CARRIED)
    assert rule.label_grasp(carried, gripper).code == OutcomeCode.SUCCESS


def test_older_recordings_are_labelled_again_as_they_are(rule):
    """In them a slow gripper's readings stand in every sample until the next one."""
    held = seldom(grasp(RG2, 0.03), 50)
    first = rule.label_grasp(held, RG2)
    again = rule.relabel(repeated(held), RG2, replace(first, changed_area=0.1))
    assert (again.code, again.changed_area) == (OutcomeCode.SUCCESS, 0.1)
    assert again.rule_version == "grasp/4"
