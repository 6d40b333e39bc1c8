"""URDF of the robots: kinematics against closed forms and against gripper.py."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pinocchio as pin
import pytest

from selfgrasp_nodes.errors import InvalidConfig, MissingDependency
from selfgrasp_nodes.robots import gripper as kinematics
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.robots.urdf import expand_urdf, package_path

UR5_DH = [  # d, a, alpha: the manufacturer's
    (0.089159, 0.0, np.pi / 2),
    (0.0, -0.425, 0.0),
    (0.0, -0.39225, 0.0),
    (0.10915, 0.0, np.pi / 2),
    (0.09465, 0.0, -np.pi / 2),
    (0.0823, 0.0, 0.0),
]


def dh(q):
    """base_T_flange of the UR5 by its Denavit-Hartenberg parameters."""
    pose = np.eye(4)
    for angle, (d, a, alpha) in zip(q, UR5_DH, strict=True):
        c, s, ca, sa = np.cos(angle), np.sin(angle), np.cos(alpha), np.sin(alpha)
        pose = pose @ np.array(
            [
                [c, -s * ca, s * sa, a * c],
                [s, c * ca, -c * sa, a * s],
                [0, sa, ca, d],
                [0, 0, 0, 1],
            ]
        )
    return pose


@pytest.fixture(scope="module")
def ur5():
    robot = load_robot("ur5_rg2")
    model = pin.buildModelFromXML(expand_urdf(robot))
    return robot, model, model.createData()


def place(model, data, frame):
    return data.oMf[model.getFrameId(frame, pin.FrameType.BODY)].homogeneous


def configuration(robot, model, q, width):
    full = pin.neutral(model)
    arm = robot.arms[0]
    for name, value in zip(arm.joints, q, strict=True):
        full[model.idx_qs[model.getJointId(name)]] = value
    joint = kinematics.joint_from_width(arm.gripper, width)
    for name in model.names:
        if name == arm.gripper.joint or name.startswith("rg2_"):
            full[model.idx_qs[model.getJointId(name)]] = joint
    return full


def test_flange_follows_the_manufacturers_parameters(ur5):
    robot, model, data = ur5
    rng = np.random.default_rng(1)
    for _ in range(20):
        q = rng.uniform(-np.pi, np.pi, 6)
        pin.framesForwardKinematics(model, data, configuration(robot, model, q, 0.05))
        world_T_tool = robot.world_T_base.matrix @ place(model, data, robot.arms[0].tip_link)
        # The controller's base frame is the world: half a turn against base_link.
        np.testing.assert_allclose(world_T_tool, dh(q), atol=1e-6)


@pytest.mark.parametrize("width", np.linspace(0, 0.110, 12))
def test_pads_are_where_gripper_kinematics_says(ur5, width):
    robot, model, data = ur5
    gripper = robot.arms[0].gripper
    pin.framesForwardKinematics(model, data, configuration(robot, model, np.zeros(6), width))
    tool = np.linalg.inv(place(model, data, "tool0"))
    left, right = (tool @ place(model, data, f"rg2_{s}_pad") for s in ("left", "right"))
    assert left[1, 3] - right[1, 3] == pytest.approx(width, abs=1e-6)
    middle = (left[:3, 3] + right[:3, 3]) / 2
    np.testing.assert_allclose(middle, [0, 0, kinematics.tcp_distance(gripper, width)], atol=1e-6)
    for pad in (left, right):  # parallel to the flange at every width
        np.testing.assert_allclose(pad[:3, :3], np.eye(3), atol=1e-9)


def test_masses_are_those_of_the_real_arm(ur5):
    _, model, _ = ur5
    arm = sum(model.inertias[model.getJointId(n)].mass for n in model.names[1:6])
    assert arm == pytest.approx(3.7 + 8.393 + 2.33 + 1.219 + 1.219)
    for inertia in model.inertias[1:]:  # physically possible: principal moments obey a + b >= c
        a, b, c = np.sort(np.linalg.eigvalsh(inertia.inertia))
        assert a > 0 and a + b >= c * (1 - 1e-9)


def test_addresses_stay_for_ros_and_resolve_for_the_simulator():
    robot = load_robot("ur5_rg2")
    text = expand_urdf(robot, resolve=False)
    assert "package://ur_description/meshes/ur5/visual/base.dae" in text
    assert "package://ur_description" not in expand_urdf(robot)
    assert 'link name="world"' in expand_urdf(robot, world="true")


def test_missing_mesh_package_and_file_are_named():
    with pytest.raises(MissingDependency, match="no_such_package"):
        package_path("package://no_such_package/a.stl")
    with pytest.raises(InvalidConfig, match="not_there"):
        robot = load_robot("ur5_rg2")
        expand_urdf(robot.model_copy(update={"urdf": "urdf/not_there.xacro"}))


BAXTER_JOINTS = ("s0", "s1", "e0", "e1", "w0", "w1", "w2")


@pytest.fixture(scope="module")
def baxter():
    robot = load_robot("baxter")
    model = pin.buildModelFromXML(expand_urdf(robot))
    return robot, model, model.createData()


def test_baxter_moves_as_the_published_description_says(baxter):
    """Hands of this description against those of the one that the meshes come with."""
    robot, model, data = baxter
    folder = package_path("package://baxter_description/urdf/baxter.urdf")
    published = pin.buildModelFromUrdf(str(folder))
    other = published.createData()
    rng = np.random.default_rng(3)
    for _ in range(10):
        full, reference = pin.neutral(model), pin.neutral(published)
        for arm in robot.arms:
            for name in arm.joints:
                angle = rng.uniform(-1, 1)
                full[model.idx_qs[model.getJointId(name)]] = angle
                reference[published.idx_qs[published.getJointId(name)]] = angle
        pin.framesForwardKinematics(model, data, full)
        pin.framesForwardKinematics(published, other, reference)
        for side in ("left", "right"):
            np.testing.assert_allclose(
                place(model, data, f"{side}_hand"),
                place(published, other, f"{side}_hand_link"),
                atol=1e-6,
            )
    total = [sum(i.mass for i in m.inertias) for m in (model, published)]
    assert total[0] == pytest.approx(total[1], rel=0.01)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("width", np.linspace(0.037, 0.075, 5))
def test_baxters_pads_are_where_gripper_kinematics_says(baxter, side, width):
    robot, model, data = baxter
    gripper = robot.arm(side).gripper
    full = pin.neutral(model)
    joint = kinematics.joint_from_width(gripper, width)
    for finger in ("left", "right"):
        full[model.idx_qs[model.getJointId(f"{side}_gripper_{finger}_finger_joint")]] = joint
    pin.framesForwardKinematics(model, data, full)
    hand = np.linalg.inv(place(model, data, f"{side}_hand"))
    left, right = (hand @ place(model, data, f"{side}_gripper_{f}_pad") for f in ("left", "right"))
    assert left[1, 3] - right[1, 3] == pytest.approx(width, abs=1e-9)
    middle = (left[:3, 3] + right[:3, 3]) / 2
    np.testing.assert_allclose(middle, [0, 0, kinematics.tcp_distance(gripper, width)], atol=1e-9)


def test_baxters_home_and_ready_are_mirrored_and_point_down(baxter):
    robot, model, data = baxter
    left, right = robot.arms
    mirror = np.array([-1, 1, -1, 1, -1, 1, -1])
    for pose in ("home", "ready"):
        np.testing.assert_allclose(getattr(left, pose), mirror * getattr(right, pose))
        full = pin.neutral(model)
        for arm in robot.arms:
            for name, angle in zip(arm.joints, getattr(arm, pose), strict=True):
                full[model.idx_qs[model.getJointId(name)]] = angle
        pin.framesForwardKinematics(model, data, full)
        for arm in robot.arms:
            hand = robot.world_T_base.matrix @ place(model, data, arm.tip_link)
            assert hand[2, 2] < -0.999
            if pose == "ready":
                assert robot.workspace.workspace.contains(hand[0, 3], hand[1, 3])


@pytest.mark.parametrize("name", ["ur5_rg2", "baxter"])
def test_ros_and_gazebo_read_the_descriptions(name, tmp_path):
    """urdfdom (RViz, MoveIt) parses them; sdformat (Gazebo) keeps every moving link."""
    check, convert = shutil.which("check_urdf"), shutil.which("ign") or shutil.which("gz")
    if check is None and convert is None:
        pytest.skip("neither urdfdom's check_urdf nor Gazebo's sdf tool is installed")
    robot = load_robot(name)
    file = tmp_path / "robot.urdf"
    file.write_text(expand_urdf(robot, resolve=False, world="true"))
    if check is not None:
        ran = subprocess.run([check, str(file)], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    if convert is not None:
        environment = {"IGN_CONFIG_PATH": "/usr/share/ignition"} | dict(os.environ)
        ran = subprocess.run(
            [convert, "sdf", "-p", str(file)],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        if "cannot find any available" in ran.stdout + ran.stderr:
            pytest.skip("Gazebo's command line lacks the sdf verb")
        assert ran.returncode == 0, ran.stderr
        for arm in robot.arms:
            for joint in (*arm.joints, arm.gripper.joint):
                assert f"<joint name='{joint}'" in ran.stdout


def test_threads_may_expand_at_the_same_time():
    robots = [load_robot(name) for name in ("baxter", "ur5_rg2")] * 3
    with ThreadPoolExecutor(6) as pool:
        # An argument that nothing uses keeps each out of the cache.
        texts = pool.map(
            lambda pair: expand_urdf(pair[1], resolve=False, number=str(pair[0])),
            enumerate(robots),
        )
        assert [text.count("<robot ") for text in texts] == [1] * 6
