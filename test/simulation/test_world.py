"""The world in lockstep: determinism, sensors, commands, put-away."""

from __future__ import annotations

import numpy as np
import pytest

from selfgrasp_nodes.errors import ExecutionFailed, UnknownName
from selfgrasp_nodes.robots import gripper as kinematics
from selfgrasp_nodes.simulation.objects import ObjectSpec
from selfgrasp_nodes.simulation.physics_check import quintic
from selfgrasp_nodes.simulation.scene import Scene, SceneObject
from selfgrasp_nodes.simulation.scenes import random_scene
from selfgrasp_nodes.simulation.world import World
from selfgrasp_nodes.types import Trajectory

UPRIGHT = (1.0, 0.0, 0.0, 0.0)


def block(z=0.025, shape="cube", xy=(0.0, 0.0)):
    return SceneObject(ObjectSpec(shape), (*xy, z), UPRIGHT)


def test_equal_seeds_and_calls_give_equal_runs(robot):
    scene = random_scene(robot, 3, 5)
    runs = []
    for seed in (1, 1, 2):
        world = World(robot)
        world.reset(scene, seed)
        world.command_joints("arm", robot.arms[0].ready)
        trace = []
        for _ in range(20):
            world.step(10)
            trace.append(np.concatenate([*world.joint_state("arm"), world.wrench("arm")]))
        runs.append(np.array(trace))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.abs(runs[0] - runs[2]).max() > 1e-6  # the noise is another one


def test_reset_forgets_the_run_before(robot):
    scene = random_scene(robot, 3, 5)
    world = World(robot)
    traces = []
    for _ in range(2):
        world.reset(scene, 3)
        world.command_gripper("arm", 0.02, 10)
        world.step(100)
        traces.append((*world.gripper_state("arm"), *world.truth()[0].world_T_object.ravel()))
    np.testing.assert_array_equal(traces[0], traces[1])
    assert world.time == 100 * round(world.timestep * 1e9)


def test_trajectory_is_followed(robot, quiet):
    arm = robot.arms[0]
    trajectory = quintic(arm, np.array(arm.home), np.array(arm.ready), 0.5)
    quiet.follow("arm", trajectory)
    steps = 0
    while quiet.moving("arm"):
        quiet.step(1)
        steps += 1
    assert steps * quiet.timestep == pytest.approx(trajectory.duration, abs=2 * quiet.timestep)
    quiet.step(50)
    np.testing.assert_allclose(quiet.joint_state("arm")[0], arm.ready, atol=1e-3)


def test_joint_names_decide_the_columns(robot, quiet):
    arm = robot.arms[0]
    plan = quintic(arm, np.array(arm.home), np.array(arm.ready), 0.5)
    order = [5, 3, 1, 0, 2, 4]
    mixed = Trajectory(
        tuple(arm.joints[i] for i in order),
        plan.time,
        plan.positions[:, order],
        plan.velocities[:, order],
    )
    quiet.follow("arm", mixed)
    quiet.step(round(plan.duration / quiet.timestep) + 50)
    np.testing.assert_allclose(quiet.joint_state("arm")[0], arm.ready, atol=1e-3)


def test_bad_trajectories_are_refused_before_anything_moves(robot, quiet):
    arm = robot.arms[0]
    home = np.array(arm.home)
    plan = quintic(arm, home, np.array(arm.ready), 0.9)
    late = Trajectory(plan.joints, plan.time, plan.positions + 0.2, plan.velocities)
    fast = Trajectory(plan.joints, plan.time / 3, plan.positions, plan.velocities * 3)
    alien = Trajectory(("a", *plan.joints[1:]), plan.time, plan.positions, plan.velocities)
    bad = Trajectory(plan.joints, plan.time, plan.positions * np.nan, plan.velocities)
    back = Trajectory(plan.joints, plan.time[::-1], plan.positions, plan.velocities)
    for trajectory, reason in (
        (late, "begins"),
        (fast, "largest speed"),
        (alien, "joints"),
        (bad, "finite"),
        (back, "increase"),
    ):
        with pytest.raises(ExecutionFailed, match=reason):
            quiet.follow("arm", trajectory)
    quiet.step(20)
    np.testing.assert_allclose(quiet.joint_state("arm")[0], home, atol=1e-4)


def test_stop_brings_the_arm_to_rest_within_a_tenth_of_a_second(robot, quiet):
    arm = robot.arms[0]
    quiet.follow("arm", quintic(arm, np.array(arm.home), np.array(arm.ready), 0.9))
    quiet.step(150)
    assert np.abs(quiet.joint_state("arm")[1]).max() > 0.5
    quiet.stop("arm")
    quiet.step(round(0.1 / quiet.timestep))
    assert np.abs(quiet.joint_state("arm")[1]).max() < 0.05
    assert not quiet.moving("arm")


@pytest.mark.parametrize("width", [0.0, 0.03, 0.07, 0.11])
def test_gripper_goes_to_widths_and_says_so(robot, quiet, width):
    quiet.command_gripper("arm", width, 20)
    quiet.step(round(1.2 / quiet.timestep))
    assert quiet.gripper_state("arm")[0] == pytest.approx(width, abs=5e-4)
    assert quiet.gripper_state("arm")[1] < 2.0  # nothing in the way: hardly any force


def test_gripper_moves_no_faster_than_its_speed(robot, quiet):
    gripper = robot.arms[0].gripper
    quiet.command_gripper("arm", 0.0, 40)
    widths = []
    for _ in range(500):
        quiet.step(1)
        widths.append(quiet.gripper_state("arm")[0])
    speed = -np.gradient(widths, quiet.timestep)
    assert 0.7 * gripper.speed < speed.max() < 1.1 * gripper.speed


def test_pads_are_where_the_tool_centre_point_says(robot, quiet):
    arm = robot.arms[0]
    quiet.set_arm("arm", arm.ready, 0.06)
    data = quiet.data
    tcp = data.body("tool0").xpos + data.body("tool0").xmat.reshape(3, 3)[:, 2] * (
        kinematics.tcp_distance(arm.gripper, 0.06)
    )
    pads = [data.body(f"rg2_{s}_pad").xpos for s in ("left", "right")]
    np.testing.assert_allclose((pads[0] + pads[1]) / 2, tcp, atol=1e-6)
    assert np.linalg.norm(pads[0] - pads[1]) == pytest.approx(0.06, abs=1e-6)


def test_wrist_feels_a_weight_and_not_the_gripper(robot, quiet):
    arm = robot.arms[0]
    for pose in (arm.home, arm.ready, (0.3, -1.2, 1.4, -1.0, -1.2, 0.7)):
        quiet.set_arm("arm", pose)
        quiet.step(50)
        np.testing.assert_allclose(quiet.wrench("arm"), 0, atol=0.02)
    quiet.set_arm("arm", arm.ready)
    finger = quiet.data.body("rg2_body")
    finger.xfrc_applied[:3] = (1.0, 2.0, -5.0)  # in the world's axes, at the body's centre
    quiet.step(100)
    rotation = quiet.data.body("tool0").xmat.reshape(3, 3)
    wrench = quiet.wrench("arm")
    np.testing.assert_allclose(rotation @ wrench[:3], (1.0, 2.0, -5.0), atol=0.05)
    lever = finger.xipos - quiet.data.body("tool0").xpos
    np.testing.assert_allclose(rotation @ wrench[3:], np.cross(lever, (1.0, 2.0, -5.0)), atol=0.02)


def test_noise_is_on_by_default_and_as_strong_as_configured(robot):
    world, arm = World(robot), robot.arms[0]
    world.reset(Scene("empty", ()), 4)
    q, widths, wrenches = [], [], []
    for _ in range(400):
        q.append(world.joint_state("arm")[0])
        widths.append(world.gripper_state("arm")[0])
        wrenches.append(world.wrench("arm"))
    assert np.std(q, axis=0).mean() == pytest.approx(arm.joint_noise[0], rel=0.15)
    assert np.std(widths) == pytest.approx(arm.gripper.width_noise, rel=0.15)
    spread = np.std(wrenches, axis=0)
    assert spread[:3].mean() == pytest.approx(arm.wrench_noise[0], rel=0.15)
    assert spread[3:].mean() == pytest.approx(arm.wrench_noise[1], rel=0.15)


def test_truth_says_what_is_held(robot, quiet):
    arm = robot.arms[0]
    quiet.reset(Scene("one", (block(),)), 0)
    quiet.set_arm("arm", arm.ready, 0.07)
    tool = quiet.data.body("tool0")
    start = int(quiet.model.joint("object_00").qposadr[0])
    place = tool.xpos + np.array([0, 0, -kinematics.tcp_distance(arm.gripper, 0.05)])
    quiet.data.qpos[start : start + 3] = place
    quiet.data.qpos[start + 3 : start + 7] = tool.xquat
    quiet.model.opt.gravity[:] = 0  # until the fingers have it
    assert quiet.truth()[0].held_by == ""
    quiet.command_gripper("arm", 0.0, 20)
    quiet.step(300)
    quiet.model.opt.gravity[:] = (0, 0, -9.81)
    quiet.step(500)
    truth = quiet.truth()[0]
    assert (truth.id, truth.shape, truth.held_by) == ("object_00", "cube", "arm")
    assert truth.world_T_object[2, 3] == pytest.approx(place[2], abs=2e-3)
    assert quiet.gripper_state("arm")[1] == pytest.approx(20, rel=0.05)
    quiet.command_gripper("arm", 0.11, 20)
    quiet.step(500)
    assert quiet.truth()[0].held_by == ""
    assert quiet.truth()[0].world_T_object[2, 3] < 0.08  # it fell: nothing else held it


def test_two_objects_between_the_fingers_are_both_held(robot, quiet):
    """As when blocks stand side by side: each finger touches another one."""
    arm = robot.arms[0]
    half = ObjectSpec("cube", (0.05, 0.025, 0.05))
    blocks = tuple(SceneObject(half, (x, 0.0, 0.0255), (1.0, 0.0, 0.0, 0.0)) for x in (-0.1, 0.1))
    quiet.reset(Scene("two", (*blocks, block())), 0)
    quiet.set_arm("arm", arm.ready, 0.07)
    tool = quiet.data.body("tool0")
    side = tool.xmat.reshape(3, 3)[:, 1]
    place = tool.xpos + np.array([0, 0, -kinematics.tcp_distance(arm.gripper, 0.05)])
    for name, shift in (("object_00", -0.0126), ("object_01", 0.0126)):
        start = int(quiet.model.joint(name).qposadr[0])
        quiet.data.qpos[start : start + 3] = place + shift * side
        quiet.data.qpos[start + 3 : start + 7] = tool.xquat
    quiet.model.opt.gravity[:] = 0
    quiet.command_gripper("arm", 0.0, 30)
    quiet.step(300)
    quiet.model.opt.gravity[:] = (0, 0, -9.81)
    quiet.step(500)
    assert [truth.held_by for truth in quiet.truth()] == ["arm", "arm", ""]
    quiet.command_gripper("arm", 0.11, 20)
    quiet.step(500)
    assert [truth.held_by for truth in quiet.truth()] == ["", "", ""]


def test_a_removed_object_is_gone_and_what_lay_on_it_falls(robot, quiet):
    quiet.reset(Scene("stack", (block(0.0255), block(0.0765))), 0)
    quiet.step(1000)  # long enough to sleep
    assert quiet.truth()[1].world_T_object[2, 3] == pytest.approx(0.075, abs=1e-3)
    quiet.remove_object("object_00")
    quiet.step(300)
    (left,) = quiet.truth()
    assert left.id == "object_01"
    assert left.world_T_object[2, 3] == pytest.approx(0.025, abs=1e-3)
    with pytest.raises(UnknownName, match="object_01"):
        quiet.remove_object("object_00")


def test_the_table_stops_the_gripper_and_the_wrist_feels_it(robot, quiet):
    arm = robot.arms[0]
    quiet.set_arm("arm", arm.ready, 0.0)
    q = np.array(arm.ready)
    for _ in range(12):  # lower the tool by the shoulder, far beyond the table
        q = q + np.array([0, 0.06, 0, -0.06, 0, 0])
        quiet.command_joints("arm", q)
        quiet.step(100)
    tip = quiet.data.body("tool0").xpos[2] - kinematics.tcp_distance(arm.gripper, 0.0)
    assert tip > -0.02
    assert -quiet.wrench("arm")[2] > 20  # pushed back along the tool's -z


def test_names_that_do_not_exist_are_refused(quiet):
    for call in (quiet.joint_state, quiet.gripper_state, quiet.wrench, quiet.stop):
        with pytest.raises(UnknownName, match="arm"):
            call("third")
    with pytest.raises(UnknownName):
        quiet.render("no camera")
    with pytest.raises(ExecutionFailed, match="finite"):
        quiet.command_gripper("arm", float("nan"), 10)
    with pytest.raises(ExecutionFailed, match="finite"):
        quiet.command_joints("arm", [np.nan] * 6)
