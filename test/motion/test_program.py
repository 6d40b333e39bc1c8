from __future__ import annotations

import itertools

import numpy as np
import pytest
from motion_cases import grasp, heightmap, push

from selfgrasp_nodes.errors import InvalidCandidate, PlanningFailed
from selfgrasp_nodes.motion.primitives import Grip, Rest
from selfgrasp_nodes.motion.program import MoveSegment, plan_candidate
from selfgrasp_nodes.robots.gripper import tip_T_tcp
from selfgrasp_nodes.types import PhaseCode

P = PhaseCode


def moves(segments):
    return [s for s in segments if isinstance(s, MoveSegment)]


def joined(*stages):
    return [s.trajectory for stage in stages for s in moves(stage)]


def test_a_grasp_is_planned_whole_and_without_gaps(planner, options):
    arm = planner.robot.arm()
    home = np.array(arm.home)
    program = plan_candidate(planner, grasp(-0.45, 0.08, angle=0.4), home, options)
    for stages in (
        (program.act, program.place, program.home),
        (program.act, program.retreat),
    ):
        way = joined(*stages)
        np.testing.assert_array_equal(way[0].positions[0], home)
        for first, second in itertools.pairwise(way):
            np.testing.assert_allclose(first.positions[-1], second.positions[0], atol=1e-9)
        np.testing.assert_allclose(way[-1].positions[-1], home, atol=1e-9)
    phases = [s.phase for s in (*program.act, *program.place, *program.home)]
    assert phases == sorted(phases)


def test_the_hand_gets_where_the_candidate_says(planner, options):
    arm = planner.robot.arm()
    candidate = grasp(-0.52, -0.1, 0.04, 1.1, width=0.06)
    program = plan_candidate(planner, candidate, np.array(arm.home), options, whole=False)
    descend = next(s for s in moves(program.act) if s.phase == P.DESCEND)
    tcp = planner.fk(arm.name, descend.end) @ tip_T_tcp(arm.gripper, 0.06)
    np.testing.assert_allclose(tcp[:3, 3], candidate.pose[:3, 3], atol=1e-5)
    # Up to half a turn about the approach, which changes nothing for a grasp.
    np.testing.assert_allclose(np.abs(tcp[:3, :3]), np.abs(candidate.pose[:3, :3]), atol=1e-5)
    assert program.place == program.retreat == program.home == ()


def test_the_quicker_half_turn_is_taken(planner, options):
    arm = planner.robot.arm()
    start = np.array(arm.ready)
    for angle in np.linspace(0, np.pi, 9):
        program = plan_candidate(planner, grasp(-0.5, 0, angle=angle), start, options, whole=False)
        assert abs(moves(program.act)[0].end[5] - start[5]) < np.pi / 2 + 0.35


def test_a_wrist_near_its_limit_turns_the_other_way(planner, options):
    arm = planner.robot.arm()
    start = np.array(arm.ready)
    start[5] = 2 * np.pi - 0.05
    for angle in np.linspace(0, np.pi, 9):
        program = plan_candidate(planner, grasp(-0.5, 0, angle=angle), start, options)
        for trajectory in joined(program.act, program.place, program.home):
            assert np.all(np.abs(trajectory.positions) <= 2 * np.pi + 1e-6)


def test_a_push_has_nothing_to_put_away(planner, options):
    arm = planner.robot.arm()
    program = plan_candidate(planner, push(-0.5, 0.0, 0.02, 0.9), np.array(arm.home), options)
    assert program.place == () and program.home == ()
    np.testing.assert_allclose(program.q_end(placed=True), arm.home, atol=1e-9)
    stroke = next(s for s in moves(program.act) if s.phase == P.ACT)
    a, b = (planner.fk(arm.name, q)[:3, 3] for q in stroke.trajectory.positions[[0, -1]])
    np.testing.assert_allclose(b - a, [0.1 * np.cos(0.9), 0.1 * np.sin(0.9), 0], atol=1e-5)


def test_the_end_is_predicted(planner, options):
    arm = planner.robot.arm()
    program = plan_candidate(planner, grasp(-0.5, 0.0), np.array(arm.home), options)
    x, y = planner.fk(arm.name, program.q_end(placed=True))[:2, 3]
    np.testing.assert_allclose((x, y), planner.robot.bin.center, atol=1e-4)
    np.testing.assert_allclose(program.q_end(placed=True, at_home=True), arm.home, atol=1e-9)
    np.testing.assert_allclose(program.q_end(placed=False), arm.home, atol=1e-9)
    ahead = plan_candidate(planner, grasp(-0.4, 0.1), program.q_end(placed=True), options)
    np.testing.assert_array_equal(joined(ahead.act)[0].positions[0], program.q_end(placed=True))


def test_the_view_is_said_to_clear_on_the_way_out(planner, options):
    arm = planner.robot.arm()
    program = plan_candidate(planner, grasp(-0.5, 0.0), np.array(arm.home), options)
    for stage in (program.place, program.retreat):
        segment = moves(stage)[-1]
        assert 0 < segment.view_clear < segment.trajectory.duration


def test_obstacles_are_heeded(planner, options):
    arm = planner.robot.arm()
    seen = heightmap(planner.robot, (-0.60, -0.57, -0.2, 0.2, 0.12))
    planner.set_obstacles(seen)
    program = plan_candidate(planner, grasp(-0.5, 0.0), np.array(arm.home), options, seen)
    # The obstacle is beside the hand, so that the hand need not begin above it.
    assert planner.fk(arm.name, moves(program.act)[0].end)[2, 3] < 0.35


@pytest.mark.parametrize(
    ("candidate", "error", "reason"),
    [
        (grasp(-0.5, 0.0, width=0.2), InvalidCandidate, "stroke"),
        (grasp(-0.9, 0.0), InvalidCandidate, "outside"),
        (grasp(-0.5, 0.0, arm="third"), Exception, "third"),
    ],
)
def test_what_makes_no_sense_is_refused(planner, options, candidate, error, reason):
    with pytest.raises(error, match=reason):
        plan_candidate(planner, candidate, np.array(planner.robot.arm().home), options)


def test_a_failure_names_its_phase(planner, options):
    seen = heightmap(planner.robot, (-0.72, -0.28, -0.22, 0.22, 0.3))
    planner.set_obstacles(seen)
    with pytest.raises(PlanningFailed, match="approach: "):
        plan_candidate(planner, grasp(-0.5, 0.0), np.array(planner.robot.arm().home), options)


def test_gripper_commands_and_rests_stay_in_their_order(planner, options):
    arm = planner.robot.arm()
    program = plan_candidate(planner, grasp(-0.5, 0.0), np.array(arm.home), options)
    kinds = [type(s) for s in program.act]
    assert kinds == [Grip, MoveSegment, Grip, MoveSegment, Grip, MoveSegment, Rest]
    assert [type(s) for s in program.place] == [MoveSegment, Grip]
