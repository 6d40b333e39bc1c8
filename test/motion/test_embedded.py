from __future__ import annotations

import numpy as np
import pytest
from motion_cases import heightmap, tip

from selfgrasp_nodes.errors import MissingDependency, PlanningFailed, UnknownName
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.motion.options import load_options
from selfgrasp_nodes.motion.timing import interpolate

WIDTH = 0.07


def along(trajectory, dt=0.004):
    return interpolate(trajectory, np.arange(0, trajectory.duration + dt, dt))


def over(planner, x, y, z, angle=0.0):
    arm = planner.robot.arm()
    return planner.ik(arm.name, tip(arm, x, y, z, angle, WIDTH), np.array(arm.ready))


def test_a_line_is_straight_level_and_ends_where_it_should(planner):
    arm = planner.robot.arm()
    rng = np.random.default_rng(0)
    workspace = planner.robot.workspace.workspace
    for _ in range(12):
        x, y = rng.uniform(workspace.low + 0.03, workspace.high - 0.03)
        q = over(planner, x, y, rng.uniform(0.12, 0.2), rng.uniform(0, np.pi))
        start = planner.fk(arm.name, q)
        end = start.copy()
        end[:3, 3] += rng.uniform([-0.05, -0.05, -0.08], [0.05, 0.05, 0.15])
        trajectory = planner.plan_linear(arm.name, q, end, width=WIDTH)
        unit = (end - start)[:3, 3] / np.linalg.norm((end - start)[:3, 3])
        for joints in along(trajectory)[0]:
            pose = planner.fk(arm.name, joints)
            away = pose[:3, 3] - start[:3, 3]
            assert np.linalg.norm(away - (away @ unit) * unit) < 0.0005
            assert np.arccos(min((np.trace(pose[:3, :3].T @ end[:3, :3]) - 1) / 2, 1)) < 0.002
        np.testing.assert_allclose(planner.fk(arm.name, trajectory.positions[-1]), end, atol=1e-5)


def test_trajectories_stay_within_the_arms_limits(planner):
    arm = planner.robot.arm()
    speed, acceleration = np.array(arm.velocity_limits), np.array(arm.acceleration_limits)
    rng = np.random.default_rng(1)
    workspace = planner.robot.workspace.workspace
    q = np.array(arm.home)
    for _ in range(8):
        x, y = rng.uniform(workspace.low, workspace.high)
        free = planner.plan_free(arm.name, q, tip(arm, x, y, 0.1, 0.5, WIDTH), width=WIDTH)
        down = tip(arm, x, y, 0.03, 0.5, WIDTH)
        linear = planner.plan_linear(arm.name, free.positions[-1], down, width=WIDTH)
        for trajectory in (free, linear):
            _, speeds = along(trajectory, 0.002)
            assert np.all(np.abs(speeds) <= 1.002 * speed)
            rates = np.abs(np.diff(speeds, axis=0)) / 0.002
            assert np.all(np.percentile(rates, 98, axis=0) <= 1.10 * acceleration)
        q = free.positions[-1]


def test_the_tools_speed_is_kept_on_lines_and_scales(planner):
    arm = planner.robot.arm()
    q = over(planner, -0.5, 0, 0.05)
    end = tip(arm, -0.5, 0, 0.25, 0, WIDTH)
    lift = planner.plan_linear(arm.name, q, end, width=WIDTH, speed=0.2)
    heights = np.array([planner.fk(arm.name, j)[2, 3] for j in along(lift)[0]])
    assert np.abs(np.diff(heights)).max() / 0.004 == pytest.approx(0.2, rel=0.02)
    slow = planner.plan_linear(arm.name, q, end, width=WIDTH, speed=0.2, scale=0.5)
    assert slow.duration > 1.7 * lift.duration


@pytest.mark.parametrize("name", ["RRTConnect", "EST"])
def test_a_blocked_way_is_gone_round(planner, robot, name):
    sampling = EmbeddedPlanner(robot, load_options(planner={"name": name, "timeout": 5.0}))
    arm = robot.arm()
    start, goal = over(planner, -0.35, 0.0, 0.06), over(planner, -0.65, 0.0, 0.06)
    straight = planner.plan_free(arm.name, start, goal, width=WIDTH)
    assert np.ptp([planner.fk(arm.name, q)[2, 3] for q in straight.positions]) < 0.1
    wall = heightmap(robot, (-0.52, -0.48, -0.2, 0.2, 0.10))
    sampling.set_obstacles(wall)
    try:
        round_it = sampling.plan_free(arm.name, start, goal, width=WIDTH)
    except MissingDependency as missing:
        pytest.skip(str(missing))
    np.testing.assert_allclose(round_it.positions[[0, -1]], [start, goal], atol=1e-9)
    # Over the wall, as seen by the tip of the open hand and not by the checker itself.
    for q in along(round_it)[0]:
        x, y, z = planner.fk(arm.name, q)[:3, 3]
        if -0.50 < x < -0.49 and abs(y) < 0.18:
            assert z - 0.2 > 0.0
    assert round_it.duration > straight.duration
    _, speeds = along(round_it)
    assert np.all(np.abs(speeds) <= 1.002 * np.array(arm.velocity_limits))


def test_no_way_at_all_is_refused(robot, planner):
    sampling = EmbeddedPlanner(robot, load_options(planner={"timeout": 0.3}))
    low, high = robot.workspace.workspace.low, robot.workspace.workspace.high
    ring = [(low[0], high[0], low[1], high[1], 0.0)]
    start = over(planner, -0.5, 0.0, 0.03)
    # Walls on all sides of the hand, as high as the heightmap sees.
    for box in (
        (-0.60, -0.57, -0.10, 0.10, 0.39),
        (-0.43, -0.40, -0.10, 0.10, 0.39),
        (-0.60, -0.40, -0.13, -0.10, 0.39),
        (-0.60, -0.40, 0.07, 0.10, 0.39),
    ):
        ring.append(box)
    sampling.set_obstacles(heightmap(robot, *ring))
    with pytest.raises(PlanningFailed):
        sampling.plan_free(robot.arm().name, start, np.array(robot.arm().home), width=WIDTH)


def test_an_unknown_planner_is_refused_at_once(robot):
    with pytest.raises(UnknownName, match=r"valid: .*EST.*RRTConnect"):
        EmbeddedPlanner(robot, load_options(planner={"name": "RRT*"}))


def test_goals_that_cannot_be_are_refused_with_their_reason(planner):
    arm = planner.robot.arm()
    home = np.array(arm.home)

    def refused(goal, reason):
        with pytest.raises(PlanningFailed, match=reason):
            planner.plan_free(arm.name, home, goal, width=WIDTH)

    refused(tip(arm, -1.3, 0.0, 0.2), "cannot reach")
    refused(tip(arm, -0.5, 0.0, -0.02, 0, WIDTH), "goal is in collision: .*table")
    refused(home + np.array([0, 0, 9.0, 0, 0, 0]), "past the joint limits: elbow_joint")
    refused(np.full(6, np.nan), "finite")
    refused(np.zeros(4), "6 finite joint positions or a 4 x 4")
    with pytest.raises(PlanningFailed, match="start"):
        planner.plan_free(arm.name, np.full(6, np.inf), home)
    low = over(planner, -0.5, 0.0, 0.03)
    planner.set_obstacles(heightmap(planner.robot, (-0.55, -0.45, -0.05, 0.05, 0.1)))
    with pytest.raises(PlanningFailed, match=r"where it starts: .*objects on the table"):
        planner.plan_free(arm.name, low, home, width=WIDTH)


def test_a_line_out_of_reach_or_into_the_table_is_refused(planner):
    arm = planner.robot.arm()
    q = over(planner, -0.5, 0, 0.1)
    with pytest.raises(PlanningFailed, match="cannot be followed"):
        planner.plan_linear(arm.name, q, tip(arm, -1.4, 0, 0.1, 0, WIDTH), width=WIDTH)
    with pytest.raises(PlanningFailed, match=r"line collides: .*table"):
        planner.plan_linear(arm.name, q, tip(arm, -0.5, 0, 0.0, 0, WIDTH), width=WIDTH)


def test_the_view_clears_on_the_way_home(planner):
    arm = planner.robot.arm()
    way = planner.plan_free(arm.name, over(planner, -0.5, 0, 0.2), np.array(arm.home))
    clear = planner.view_clear_at(arm.name, way)
    assert 0.1 < clear < way.duration
    stay = planner.plan_free(
        arm.name, over(planner, -0.4, 0, 0.2), over(planner, -0.6, 0, 0.2), width=WIDTH
    )
    assert planner.view_clear_at(arm.name, stay) is None
    back = planner.plan_free(arm.name, np.array(arm.home), np.array(arm.home))
    assert planner.view_clear_at(arm.name, back) == 0.0


def test_swept_boxes_hold_the_flange_all_along(planner):
    arm = planner.robot.arm()
    way = planner.plan_free(arm.name, np.array(arm.home), over(planner, -0.5, 0, 0.2))
    low, high = planner.swept(arm.name, way)
    for q in along(way, 0.01)[0]:
        # A point inside the gripper's body, 5 cm beyond the flange.
        point = planner.fk(arm.name, q) @ np.array([0, 0, 0.05, 1])
        inside = np.all((low - 0.02 <= point[:3]) & (point[:3] <= high + 0.02), axis=1)
        assert inside.any()


def test_every_robots_arms_plan_over_the_table(any_robot):
    planner = EmbeddedPlanner(any_robot)
    x, y = any_robot.workspace.center
    planned = 0
    for arm in any_robot.arms:
        shift = 0.05 * np.sign(planner.fk(arm.name, np.array(arm.ready))[1, 3] - y)
        pose = tip(arm, x, y + shift, 0.12)
        free = planner.plan_free(arm.name, np.array(arm.home), pose)
        down = planner.plan_linear(arm.name, free.positions[-1], tip(arm, x, y + shift, 0.05))
        assert np.allclose(
            planner.fk(arm.name, down.positions[-1])[:2, 3], [x, y + shift], atol=1e-4
        )
        planned += 1
    assert planned == len(any_robot.arms)


def test_a_hand_among_objects_gets_out_straight_up(planner, robot):
    arm = robot.arm()
    q = over(planner, -0.5, 0.0, 0.03)
    assert planner.plan_escape(arm.name, q, width=WIDTH) is None
    planner.set_obstacles(heightmap(robot, (-0.55, -0.45, -0.05, 0.05, 0.1)))
    out, end = planner.plan_escape(arm.name, q, width=WIDTH)
    start = planner.fk(arm.name, q)
    for joints in along(out)[0]:
        away = planner.fk(arm.name, joints)[:3, 3] - start[:3, 3]
        assert np.linalg.norm(away[:2]) < 0.0005 and away[2] > -0.0005
    # As far as it must, no farther; from there home, round what is in the way.
    assert 0.05 < end[2, 3] - start[2, 3] < 0.11
    home = np.array(arm.home)
    way = planner.plan_free(arm.name, out.positions[-1], home, width=WIDTH)
    np.testing.assert_allclose(way.positions[-1], home)


def test_the_way_out_is_no_way_into_other_things(planner, robot):
    arm = robot.arm()
    # A tilted hand under a shelf: straight up its wrist would come among the objects.
    low = over(planner, -0.5, 0.0, 0.03)
    planner.set_obstacles(heightmap(robot, (-0.72, -0.28, -0.2, 0.2, 0.39)))
    with pytest.raises(PlanningFailed, match="no way out"):
        planner.plan_escape(arm.name, low, width=WIDTH, rise=0.1)
    # Nothing else has become laxer.
    with pytest.raises(PlanningFailed, match=r"where it starts: .*objects on the table"):
        planner.plan_free(arm.name, low, np.array(arm.home), width=WIDTH)
