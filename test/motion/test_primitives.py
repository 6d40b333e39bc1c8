from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from motion_cases import grasp, heightmap, push

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidCandidate
from selfgrasp_nodes.motion.candidates import check_candidate, executed, table_safe
from selfgrasp_nodes.motion.options import load_options
from selfgrasp_nodes.motion.primitives import (
    Grip,
    Move,
    MoveJoints,
    clip_stroke,
    grasp_steps,
    height_below,
    push_steps,
    release_pose,
)
from selfgrasp_nodes.robots.gripper import tcp_distance
from selfgrasp_nodes.types import PhaseCode

P = PhaseCode


def moves(steps):
    return [s for s in steps if isinstance(s, Move)]


def fingertip_height(pose, planned_width, width, gripper):
    """Of a hand whose flange brings the TCP to ``pose`` at the planned width."""
    flange = pose[2, 3] + tcp_distance(gripper, planned_width)
    return flange - tcp_distance(gripper, width) - gripper.pad_length / 2


def test_a_grasp_goes_through_its_phases_in_order(robot, options):
    steps = grasp_steps(
        executed(grasp(-0.5, 0.05), robot.arm(), options), robot, robot.arm(), options
    )
    phases = list(dict.fromkeys(s.phase for s in steps))
    assert phases == [P.APPROACH, P.DESCEND, P.ACT, P.LIFT, P.CARRY, P.RELEASE, P.HOME]
    assert isinstance(steps[-1], MoveJoints)


@pytest.mark.parametrize("height", [0.25, 0.15])
def test_a_grasp_descends_from_the_configured_height_and_lifts_by_it(robot, height):
    options = load_options(grasp={"approach_height": height})
    candidate = executed(grasp(-0.45, 0.1, 0.03, 0.7), robot.arm(), options)
    approach, descend, lift, carry = moves(grasp_steps(candidate, robot, robot.arm(), options))
    np.testing.assert_allclose(descend.world_T_tcp, candidate.pose)
    np.testing.assert_allclose(approach.world_T_tcp[:3, 3], [-0.45, 0.1, 0.03 + height])
    np.testing.assert_allclose(lift.world_T_tcp[:3, 3], [-0.45, 0.1, 0.03 + 0.20])
    assert carry.world_T_tcp[2, 3] == pytest.approx(robot.bin.release_height)
    assert (approach.linear, descend.linear, lift.linear, carry.linear) == (
        False,
        True,
        True,
        False,
    )
    assert descend.guarded and carry.carries


def test_releases_are_spread_over_the_bin_and_stay_inside(any_robot):
    workspace = any_robot.workspace.workspace
    for arm in any_robot.arms:
        box = any_robot.bin_of(arm)
        spots = np.array(
            [
                release_pose(geometry.grasp_pose(x, y, 0.02, 0), any_robot, arm, 0.5)[:2, 3]
                for x in (workspace.low[0], workspace.center[0], workspace.high[0])
                for y in (workspace.low[1], workspace.center[1], workspace.high[1])
            ]
        )
        np.testing.assert_allclose(spots[4], box.center)
        np.testing.assert_allclose(np.ptp(spots, axis=0), 0.5 * np.array(box.size[:2]))
        assert len(np.unique(spots.round(6), axis=0)) == 9


def test_the_hand_opens_on_its_way_and_closes_with_the_candidates_force(robot, options):
    candidate = executed(grasp(-0.5, 0.0, width=0.06, max_force=12.0), robot.arm(), options)
    grips = [s for s in grasp_steps(candidate, robot, robot.arm(), options) if isinstance(s, Grip)]
    assert [(g.phase, g.width, g.wait) for g in grips[:2]] == [
        (P.APPROACH, 0.06, False),
        (P.APPROACH, 0.06, True),
    ]
    assert (grips[2].phase, grips[2].width, grips[2].force) == (P.ACT, 0.0, 12.0)
    assert grips[3].phase == P.RELEASE and grips[3].opens_by > 0


@pytest.mark.parametrize("width", [0.02, 0.05, 0.08, 0.11])
def test_fingertips_stay_above_the_table_at_every_opening(robot, options, width):
    gripper = robot.arm().gripper
    pose = executed(grasp(-0.5, 0.0, 0.0, width=width), robot.arm(), options).pose
    heights = [
        fingertip_height(pose, width, w, gripper)
        for w in np.linspace(gripper.width_min, width, 200)
    ]
    assert min(heights) == pytest.approx(options.safety.table_clearance, abs=1e-5)


def test_an_arc_gripper_would_reach_the_table_while_it_closes(robot):
    """Why the pose is raised: safe when open is not safe when closed."""
    gripper = robot.arm().gripper
    pose = geometry.grasp_pose(-0.5, 0, gripper.pad_length / 2 + 0.003, 0)
    assert fingertip_height(pose, 0.1, 0.1, gripper) > 0
    assert fingertip_height(pose, 0.1, 0.0, gripper) < -0.01


def test_a_safe_pose_is_left_alone(robot):
    pose = geometry.grasp_pose(-0.5, 0, 0.1, 0.3)
    np.testing.assert_array_equal(table_safe(pose, 0.08, robot.arm().gripper, 0.003), pose)


def test_the_descent_begins_above_what_is_under_the_hand(robot, options):
    seen = heightmap(robot, (-0.47, -0.44, -0.02, 0.02, 0.15))
    candidate = executed(grasp(-0.5, 0.0, 0.02, width=0.08), robot.arm(), options)
    low = moves(grasp_steps(candidate, robot, robot.arm(), options))[0].world_T_tcp[2, 3]
    high = moves(grasp_steps(candidate, robot, robot.arm(), options, seen))[0].world_T_tcp[2, 3]
    assert low == pytest.approx(candidate.pose[2, 3] + options.grasp.approach_height)
    tip = high - robot.arm().gripper.pad_length / 2
    assert tip == pytest.approx(0.15 + options.safety.obstacle_clearance)


def test_what_is_beyond_the_hand_does_not_raise_the_approach(robot):
    seen = heightmap(robot, (-0.40, -0.38, -0.02, 0.02, 0.15))
    pose = geometry.grasp_pose(-0.5, 0, 0.02, 0)
    assert height_below(seen, pose, 0.05, robot.arm().gripper) == 0.0


def test_a_push_keeps_the_fingers_closed_and_strokes_along_its_angle(robot, options):
    angle = 2.0
    candidate = executed(push(-0.5, 0.0, 0.02, angle, 0.1), robot.arm(), options)
    steps = push_steps(candidate, robot, robot.arm(), options)
    assert all(s.width == 0.0 for s in steps if isinstance(s, Grip))
    _, start, end, lift = moves(steps)
    assert [m.phase for m in moves(steps)] == [P.APPROACH, P.DESCEND, P.ACT, P.LIFT]
    stroke = end.world_T_tcp[:3, 3] - start.world_T_tcp[:3, 3]
    np.testing.assert_allclose(stroke, [0.1 * np.cos(angle), 0.1 * np.sin(angle), 0], atol=1e-12)
    assert lift.world_T_tcp[2, 3] == pytest.approx(start.world_T_tcp[2, 3] + 0.10)
    assert end.guarded and end.linear


def test_a_push_is_clipped_to_the_workspace(robot, options):
    candidate = executed(push(-0.3, 0.1, 0.02, 0.0, 0.1), robot.arm(), options)
    end = moves(push_steps(candidate, robot, robot.arm(), options))[2].world_T_tcp
    assert end[0, 3] == pytest.approx(robot.workspace.workspace.high[0])
    assert clip_stroke(robot, np.array([-0.5, 0.0]), 1.234, 0.1) == pytest.approx(0.1)
    assert clip_stroke(robot, np.array([-0.5, 0.2]), np.pi / 2, 0.1) == pytest.approx(0.024)


def test_what_a_candidate_leaves_open_is_filled_in(robot, options):
    arm = robot.arm()
    done = executed(push(-0.5, 0.0, length=0.0), arm, options)
    assert done.push_length == options.push.length
    assert done.arm == arm.name
    assert arm.gripper.force_min <= done.max_force <= arm.gripper.force_max
    assert executed(grasp(-0.5, 0, max_force=500.0), arm, options).max_force == 40.0


NAN = float("nan")


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (replace(grasp(-0.5, 0.0), pose=np.full((4, 4), NAN)), "NaN"),
        (replace(grasp(-0.5, 0.0), pose=np.eye(3)), "4 x 4"),
        (replace(grasp(-0.5, 0.0), pose=2 * np.eye(4)), "rotation"),
        (replace(grasp(-0.5, 0.0), pose=geometry.transform((-0.5, 0, 0.1))), "point down"),
        (grasp(-0.5, 0.0, width=NAN), "NaN"),
        (grasp(-0.1, 0.0), "outside the workspace"),
        (grasp(-0.5, 0.3), "outside the workspace"),
        (grasp(-0.5, 0.0, z=0.7), "outside the workspace"),
        (grasp(-0.5, 0.0, width=0.12), "stroke"),
        (grasp(-0.5, 0.0, width=0.0), "stroke"),
        (push(-0.5, 0.0, length=-0.1), "negative"),
        (push(-0.9, 0.0), "outside the workspace"),
    ],
)
def test_senseless_candidates_are_refused_with_a_reason(robot, candidate, reason):
    with pytest.raises(InvalidCandidate, match=reason):
        check_candidate(candidate, robot, robot.arm())
