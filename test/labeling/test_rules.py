from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from traces import BAXTER, BLIND, MS, RG2, grasp, observation

from selfgrasp_nodes.errors import EmptyObservation, InvalidConfig
from selfgrasp_nodes.labeling.options import LabelOptions, load_options
from selfgrasp_nodes.labeling.rules import GraspRule
from selfgrasp_nodes.types import OutcomeCode


@pytest.fixture(scope="module")
def rule() -> GraspRule:
    return GraspRule()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("gripper", [RG2, BLIND], ids=["rg2", "no force"])
@pytest.mark.parametrize("width", [0.0015, 0.005, 0.01, 0.03, 0.05])
def test_held_objects_of_any_width_succeed(rule, gripper, width, seed):
    outcome = rule.label_grasp(grasp(gripper, width, seed=seed), gripper)
    assert outcome.code == OutcomeCode.SUCCESS
    assert outcome.success
    assert outcome.width_lifted == pytest.approx(width, abs=0.001)
    assert outcome.width_closed == pytest.approx(width, abs=0.001)
    assert outcome.payload == pytest.approx(0.5, abs=0.6)
    assert outcome.stalled
    assert outcome.force_measured == gripper.measures_force
    assert outcome.confidence > 0.6
    if gripper.measures_force:
        assert outcome.force_held == pytest.approx(20, abs=2)
        assert outcome.force_peak >= outcome.force_held


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("gripper", [RG2, BLIND], ids=["rg2", "no force"])
def test_closing_on_nothing_is_a_miss(rule, gripper, seed):
    empty = grasp(gripper, gripper.width_min, force=0.1, weight=0, seed=seed)
    empty = replace(empty, candidate=replace(empty.candidate, max_force=20.0))
    outcome = rule.label_grasp(empty, gripper)
    assert outcome.code == OutcomeCode.MISSED
    assert not outcome.stalled
    assert outcome.confidence > 0.6


def test_fingers_that_strike_each_other_hold_nothing(rule):
    """Their motor reads its full force for a moment, up to 30 ms before it stops."""
    empty = grasp(RG2, RG2.width_min, force=0.1, weight=0)
    force = empty.trace.force.copy()
    time = empty.trace.time // MS
    for at, read in ((1660, 20.0), (1670, 5.0), (1680, 2.0), (1690, 0.9)):
        force[time == at] = read
    struck = replace(empty, trace=replace(empty.trace, force=force))
    assert rule.label_grasp(struck, RG2).code == OutcomeCode.MISSED


@pytest.mark.parametrize("gripper", [RG2, BLIND], ids=["rg2", "no force"])
def test_a_hand_that_brakes_on_its_way_down_weighs_no_more(rule, gripper):
    """As measured where approach and descent are one trajectory: 4.5 N for as long as -4.5 N."""
    empty = grasp(gripper, gripper.width_min, force=0.1, weight=0)
    time, wrench = empty.trace.time // MS, empty.trace.wrench.copy()
    wrench[(time > 400) & (time <= 610), 2] -= 4.5
    wrench[(time > 610) & (time <= 820), 2] += 4.5
    braked = replace(empty, trace=replace(empty.trace, wrench=wrench))
    outcome = rule.label_grasp(braked, gripper)
    assert outcome.payload == pytest.approx(0.0, abs=0.4)
    assert outcome.code == OutcomeCode.MISSED


def test_a_hand_that_leans_on_something_cannot_weigh(rule):
    empty = grasp(BLIND, BLIND.width_min, weight=0)
    time, wrench = empty.trace.time // MS, empty.trace.wrench.copy()
    wrench[(time > 760) & (time < 1720), 2] -= 6.0
    leaning = replace(empty, trace=replace(empty.trace, wrench=wrench))
    outcome = rule.label_grasp(leaning, BLIND)
    assert math.isnan(outcome.payload)
    assert outcome.code == OutcomeCode.MISSED


@pytest.mark.parametrize("seed", range(5))
def test_friction_of_the_gripper_is_no_object_where_it_is_configured(seed):
    """Closed on nothing, its motor still feels 0.5 N; an object as thin feels more."""
    rule = GraspRule(load_options(grasp={"stop_force": 0.5}))
    empty = grasp(RG2, RG2.width_min, force=0.5, weight=0, seed=seed, residue=0.5)
    assert rule.label_grasp(empty, RG2).code == OutcomeCode.MISSED
    thin = grasp(RG2, RG2.width_min, force=3.0, seed=seed, residue=0.5)
    assert rule.label_grasp(thin, RG2).code == OutcomeCode.SUCCESS


@pytest.mark.parametrize("lost_at", [1750, 1900, 2100, 2200, 2250])
@pytest.mark.parametrize("width", [0.005, 0.05])
@pytest.mark.parametrize("gripper", [RG2, BLIND], ids=["rg2", "no force"])
def test_losing_it_during_the_lift_is_a_slip(rule, gripper, width, lost_at):
    """Also when it is lost so late that the fingers have not closed yet."""
    outcome = rule.label_grasp(grasp(gripper, width, lost_at=lost_at), gripper)
    assert outcome.code == OutcomeCode.SLIPPED
    assert outcome.stalled


@pytest.mark.parametrize("seed", range(10))
def test_a_force_that_ended_just_before_the_end_does_not_count(rule, seed):
    """Fingers that have just come together: the window's first half still held."""
    execution = grasp(RG2, 0.003, lost_at=2262, seed=seed)
    assert not rule.label_grasp(execution, RG2).success


def test_an_object_as_thin_as_the_closed_gripper_is_told_by_force(rule):
    held = grasp(BAXTER, BAXTER.width_min, force=20)
    outcome = rule.label_grasp(held, BAXTER)
    assert outcome.code == OutcomeCode.SUCCESS
    assert "as thin as the closed gripper" in outcome.reason
    assert outcome.confidence <= 0.8
    heavy = rule.label_grasp(grasp(BAXTER, BAXTER.width_min, force=20, weight=3.0), BAXTER)
    assert heavy.confidence > outcome.confidence
    empty = replace(
        grasp(BAXTER, BAXTER.width_min, force=0.1, weight=0),
        candidate=replace(held.candidate, max_force=20.0),
    )
    assert rule.label_grasp(empty, BAXTER).code == OutcomeCode.MISSED
    wide = rule.label_grasp(grasp(BAXTER, 0.06), BAXTER)
    assert wide.code == OutcomeCode.SUCCESS


def test_where_closed_fingers_press_on_each_other_only_a_weight_tells():
    """A gripper that reports its full force when it closed on nothing (``stop_force: .inf``)."""
    options = load_options(grasp={"stop_force": math.inf, "version": "grasp/4"})
    rule = GraspRule(options)
    empty = grasp(RG2, RG2.width_min, force=20, weight=0)
    assert rule.label_grasp(empty, RG2).code == OutcomeCode.MISSED
    heavy = grasp(RG2, RG2.width_min, force=20, weight=3)
    outcome = rule.label_grasp(heavy, RG2)
    assert outcome.code == OutcomeCode.SUCCESS
    assert outcome.rule_version == "grasp/4"
    assert rule.label_grasp(grasp(RG2, 0.005, force=20), RG2).code == OutcomeCode.SUCCESS


def test_without_force_and_width_a_weight_tells(rule):
    blind = BAXTER.model_copy(update={"measures_force": False})
    assert rule.label_grasp(grasp(blind, 0.037, weight=3), blind).code == OutcomeCode.SUCCESS
    assert rule.label_grasp(grasp(blind, 0.037, weight=0), blind).code == OutcomeCode.MISSED


def test_a_weak_grasp_is_still_a_grasp(rule):
    outcome = rule.label_grasp(grasp(RG2, 0.04, force=3.0), RG2)
    assert outcome.code == OutcomeCode.SUCCESS


def test_striking_something_on_the_way_down_is_blocked(rule):
    # The fingers landed on top: they close on nothing afterwards, or never.
    struck = grasp(RG2, RG2.width_min, force=0.1, weight=0, strike=60)
    struck = replace(struck, candidate=replace(struck.candidate, max_force=20.0))
    outcome = rule.label_grasp(struck, RG2)
    assert outcome.code == OutcomeCode.BLOCKED
    assert "struck" in outcome.reason
    never = replace(struck, phases=struck.phases[:2])
    outcome = rule.label_grasp(never, RG2)
    assert outcome.code == OutcomeCode.BLOCKED
    assert "N on the way down" in outcome.reason
    # A wrench limit that stopped the arm is reported by motion as a failure.
    stopped = replace(never, code=OutcomeCode.EXECUTION_FAILED, error="wrench limit")
    assert rule.label_grasp(stopped, RG2).code == OutcomeCode.BLOCKED
    calm = replace(grasp(RG2, 0.04), phases=never.phases, code=OutcomeCode.EXECUTION_FAILED)
    assert rule.label_grasp(calm, RG2).code == OutcomeCode.EXECUTION_FAILED
    # Held all the same: the strike does not count.
    assert rule.label_grasp(grasp(RG2, 0.04, strike=60), RG2).code == OutcomeCode.SUCCESS


@pytest.mark.parametrize("step", [1, 2, 10, 20, 50])
def test_any_sample_rate_will_do(rule, step):
    assert rule.label_grasp(grasp(RG2, 0.006, step=step), RG2).code == OutcomeCode.SUCCESS
    lost = grasp(RG2, 0.03, step=step, lost_at=1900)
    assert rule.label_grasp(lost, RG2).code == OutcomeCode.SLIPPED


def test_what_ended_early_or_was_not_measured(rule):
    held = grasp(RG2, 0.04)
    failed = replace(held, code=OutcomeCode.EXECUTION_FAILED, error="controller aborted")
    outcome = rule.label_grasp(failed, RG2)
    assert (outcome.code, outcome.reason) == (OutcomeCode.EXECUTION_FAILED, "controller aborted")
    assert outcome.rule_version == "grasp/4"
    assert rule.label_grasp(replace(held, trace=None), RG2).code == OutcomeCode.UNKNOWN
    silent = replace(held, trace=held.trace.between(0, 700 * MS))
    assert rule.label_grasp(silent, RG2).code == OutcomeCode.UNKNOWN
    cut = replace(held, trace=held.trace.between(0, 1750 * MS))
    outcome = rule.label_grasp(cut, RG2)
    assert outcome.code == OutcomeCode.UNKNOWN
    assert outcome.confidence == 0


def test_a_robot_without_a_wrist_sensor(rule):
    held = grasp(RG2, 0.04)
    held = replace(
        held, trace=replace(held.trace, wrench=np.full((len(held.trace.time), 6), np.nan))
    )
    outcome = rule.label_grasp(held, RG2)
    assert outcome.code == OutcomeCode.SUCCESS
    assert math.isnan(outcome.payload)


def test_labels_can_be_computed_again_with_another_rule(rule):
    first = rule.label_grasp(grasp(RG2, 0.0015), RG2)
    strict = GraspRule(load_options(grasp={"width_margin": 0.004, "version": "grasp/9"}))
    blind = grasp(BLIND, 0.0015)
    again = strict.relabel(blind, BLIND, replace(first, changed_area=0.1))
    assert again.code == OutcomeCode.MISSED
    assert again.rule_version == "grasp/9"
    assert again.changed_area == 0.1


def test_a_push_changed_the_table_or_not(rule):
    moved = rule.label_push(observation(0.05), observation(0.0))
    assert moved.code == OutcomeCode.CHANGED
    assert moved.success
    assert moved.changed_area == pytest.approx(2500 * 0.002**2)
    assert moved.rule_version == "push/1"
    still = rule.label_push(observation(0.05), observation(0.049))
    assert still.code == OutcomeCode.NO_CHANGE
    assert not still.success
    with pytest.raises(EmptyObservation, match="after the action"):
        rule.label_push(observation(0.05), replace(observation(0.05), heightmap=None))


def test_the_shipped_parameters_are_the_defaults():
    assert load_options() == LabelOptions()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("grasp: {widht_margin: 0.1}", "grasp.widht_margin"),
        ("grasp: {force_share: 2}", "grasp.force_share"),
        ("grasp: {version: latest}", "grasp.version"),
        ("[1, 2]", "sections"),
        ("grasp: {", "cannot be read"),
    ],
)
def test_bad_parameters_are_refused_with_their_name(tmp_path, text, named):
    file = tmp_path / "labeling.yaml"
    file.write_text(text)
    with pytest.raises(InvalidConfig, match=named):
        GraspRule.from_file(file)
