"""The robots in the world: where they stand, what carries what, true to their descriptions."""

from __future__ import annotations

import numpy as np
import pytest

from selfgrasp_nodes import geometry
from selfgrasp_nodes.robots import gripper as kinematics
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.world import World, WorldOptions


@pytest.mark.parametrize("name", ["ur5_rg2", "baxter"])
def test_at_home_the_arms_are_out_of_the_overhead_picture(name):
    """No pixel of the workspace shows anything but the table."""
    robot = load_robot(name)
    quiet = World(robot, WorldOptions(noise=False))
    view = quiet.render()
    rows, cols = np.nonzero(view.depth > 0)
    z = view.depth[rows, cols]
    fx, fy, cx, cy = view.intrinsics[[0, 1, 0, 1], [0, 1, 2, 2]]
    points = np.stack([(cols - cx) * z / fx, (rows - cy) * z / fy, z, np.ones_like(z)])
    x, y, height, _ = view.world_T_camera @ points
    low, high = robot.workspace.workspace.low - 0.02, robot.workspace.workspace.high + 0.02
    inside = (x > low[0]) & (x < high[0]) & (y > low[1]) & (y < high[1])
    assert np.sum(inside) > 30000
    assert np.abs(height[inside]).max() < 0.002
    assert view.stamp == quiet.time


def test_arm_pose_of_the_urdf_and_of_the_model_agree(robot, quiet):
    pin = pytest.importorskip("pinocchio")
    from selfgrasp_nodes.robots.urdf import expand_urdf

    model = pin.buildModelFromXML(expand_urdf(robot))
    data = model.createData()
    arm = robot.arms[0]
    rng = np.random.default_rng(2)
    for _ in range(5):
        q = rng.uniform(-2, 2, 6)
        full = pin.neutral(model)
        full[[model.idx_qs[model.getJointId(n)] for n in arm.joints]] = q
        pin.framesForwardKinematics(model, data, full)
        expected = robot.world_T_base.matrix @ data.oMf[model.getFrameId("tool0")].homogeneous
        quiet.set_arm("arm", q)
        body = quiet.data.body("tool0")
        np.testing.assert_allclose(body.xpos, expected[:3, 3], atol=1e-6)
        np.testing.assert_allclose(body.xmat.reshape(3, 3), expected[:3, :3], atol=1e-6)
    assert geometry.quaternion(expected).shape == (4,)


def test_baxters_arms_meet_each_other():
    """Both hands are told to go to the same place: they touch and do not pass through."""
    robot = load_robot("baxter")
    world = World(robot, WorldOptions(noise=False))
    for arm in robot.arms:
        world.command_joints(arm.name, arm.ready)
    world.step(round(2 / world.timestep))
    bodies = world.model.geom_bodyid[world.data.contact.geom]
    names = {frozenset(world.model.body(b).name.split("_")[0] for b in pair) for pair in bodies}
    assert frozenset({"left", "right"}) in names


def test_baxters_cameras_ride_on_its_hands():
    robot = load_robot("baxter")
    world = World(robot, WorldOptions(noise=False))
    before = world.render("left_hand_camera")
    assert before.color.shape == (720, 1280, 3)
    assert before.world_T_camera[2, 2] < -0.99  # home points down
    world.set_arm("left", robot.arm("left").ready)
    after = world.render("left_hand_camera")
    assert np.linalg.norm((after.world_T_camera - before.world_T_camera)[:3, 3]) > 0.2


@pytest.mark.parametrize("name", ["ur5_rg2", "baxter"])
def test_the_drives_law_is_the_grippers(name):
    """The drive computes width and lever in closed form; robots.gripper is the reference."""
    robot = load_robot(name)
    world, arm = World(robot, WorldOptions(noise=False)), robot.arms[0]
    gripper = arm.gripper
    drive = world._grippers[arm.name]
    for width in np.linspace(gripper.width_min, gripper.width_max, 9):
        drive.place(width)
        assert drive.width() == pytest.approx(width, abs=1e-9)
        assert drive.lever() == pytest.approx(
            abs(kinematics.width_per_joint(gripper, min(width, gripper.width_max - 1e-4))),
            rel=5e-3,
        )
