"""Gazebo's files: read by its own library, equal to what the other programs read.

Gazebo itself is not started here: ``docs/gazebo.md`` says what has been run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
import pinocchio as pin
import pytest
import yaml

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidConfig, InvalidScene, MissingDependency, UnknownName
from selfgrasp_nodes.motion.model import RobotModel
from selfgrasp_nodes.nodes import gazebo
from selfgrasp_nodes.robots import load_robot, robot_names
from selfgrasp_nodes.robots.urdf import expand_urdf
from selfgrasp_nodes.simulation.gazebo_robot import (
    bridge,
    controller_names,
    controllers,
    gazebo_urdf,
    in_gazebo,
)
from selfgrasp_nodes.simulation.gazebo_world import SHAPES, pose_text, world_sdf
from selfgrasp_nodes.simulation.model import PhysicsOptions, build_cell
from selfgrasp_nodes.simulation.scenes import random_scene

ROBOTS = robot_names()
SDF = shutil.which("ign") or shutil.which("gz")
URDF = shutil.which("check_urdf")


def sdf(*arguments: str) -> str:
    """Gazebo's sdf command; skips where it is missing."""
    if SDF is None:
        pytest.skip("Gazebo's sdf tool is not installed (Debian: ignition-tools libsdformat-dev)")
    environment = {"IGN_CONFIG_PATH": "/usr/share/ignition"} | dict(os.environ)
    command = [SDF, "sdf", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if "cannot find any available" in ran.stdout + ran.stderr:
        pytest.skip("Gazebo's command line lacks the sdf verb (Debian: libsdformat-dev)")
    complaints = [x for x in ran.stderr.splitlines() if "Error" in x or "Warning" in x]
    assert ran.returncode == 0 and not complaints, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("name", ROBOTS)
def test_every_xacro_expands_for_every_argument(name: str) -> None:
    robot = load_robot(name)
    choices = {"world": ("true", "false"), "gazebo": ("true", "false")}
    text = Path(expand_file(robot)).read_text()
    if 'name="visual_ext"' in text:
        choices["visual_ext"] = ("dae", "stl")
    if 'name="collision_meshes"' in text:
        choices["collision_meshes"] = ("true", "false")
    home = " ".join(str(q) for arm in robot.arms for q in arm.home)
    for values in product(*choices.values()):
        given = dict(zip(choices, values, strict=True))
        root = ElementTree.fromstring(
            expand_urdf(robot, resolve=False, gz_home=home, gz_controllers="/c.yaml", **given)
        )
        links = {link.get("name") for link in root.findall("link")}
        assert ("world" in links) == (given["world"] == "true")
        assert (root.find("ros2_control") is not None) == (given["gazebo"] == "true")
        model = pin.buildModelFromXML(ElementTree.tostring(root, encoding="unicode"))
        assert all(model.existJointName(j) for arm in robot.arms for j in arm.joints)


def expand_file(robot) -> str:
    from selfgrasp_nodes.robots.urdf import urdf_file

    return str(urdf_file(robot))


@pytest.mark.parametrize("name", ROBOTS)
def test_urdfdom_reads_what_gazebo_gets(name: str, tmp_path: Path) -> None:
    if URDF is None:
        pytest.skip("urdfdom's check_urdf is not installed (Debian: liburdfdom-tools)")
    file = tmp_path / "robot.urdf"
    file.write_text(gazebo_urdf(load_robot(name), "/controllers.yaml"))
    ran = subprocess.run([URDF, str(file)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def urdf_model(robot):
    return pin.buildModelFromXML(gazebo_urdf(robot, "/controllers.yaml"))


@pytest.mark.parametrize("name", ROBOTS)
def test_pinocchio_and_mujoco_agree(name: str) -> None:
    """Masses, limits and forward kinematics, with and without what Gazebo needs."""
    robot = load_robot(name)
    model = RobotModel(robot)
    gz = urdf_model(robot)
    mj = build_cell(robot, PhysicsOptions()).spec.compile()
    data, mj_data = model.model.createData(), mujoco.MjData(mj)
    root = ElementTree.fromstring(expand_urdf(robot))
    total = sum(float(m.get("value")) for m in root.iter("mass"))
    bodies = {mj.body(i).name for i in range(mj.nbody)}
    links = [link.get("name") for link in root.findall("link")]
    assert set(links) <= bodies
    # MuJoCo gives each frame without mass a milligram: its bound.
    masses = sum(float(mj.body(link).mass[0]) for link in links)
    assert masses == pytest.approx(total, abs=1.1e-6 * len(links))
    for one in (model.model, gz):
        assert sum(i.mass for i in one.inertias) == pytest.approx(total, rel=1e-9)
    rng = np.random.default_rng(7)
    for _ in range(5):
        q = model.neutral()
        for arm in robot.arms:
            chain = model.indices(arm.joints)
            lower = model.model.lowerPositionLimit[chain]
            upper = model.model.upperPositionLimit[chain]
            q[chain] = rng.uniform(lower, upper)
            grip = arm.gripper
            model.set_width(q, arm, rng.uniform(grip.width_min, grip.width_max))
        for joint in model.model.names[1:]:
            index = model.model.idx_qs[model.model.getJointId(joint)]
            mj_joint = mj.joint(joint)
            mj_data.qpos[mj_joint.qposadr[0]] = q[index]
            other = gz.idx_qs[gz.getJointId(joint)]
            for limit in ("lowerPositionLimit", "upperPositionLimit"):
                assert getattr(gz, limit)[other] == getattr(model.model, limit)[index], joint
            if mj.jnt_limited[mj_joint.id]:
                low, high = mj.jnt_range[mj_joint.id]
                assert low == pytest.approx(model.model.lowerPositionLimit[index])
                assert high == pytest.approx(model.model.upperPositionLimit[index])
        mujoco.mj_kinematics(mj, mj_data)
        pin.framesForwardKinematics(model.model, data, q)
        for link in links:
            place = model.world_T_base @ data.oMf[model.model.getFrameId(link)].homogeneous
            np.testing.assert_allclose(mj_data.body(link).xpos, place[:3, 3], atol=1e-6)


@pytest.mark.parametrize("name", ROBOTS)
def test_the_world_passes_gazebos_own_check(name: str, tmp_path: Path) -> None:
    robot = load_robot(name)
    file = tmp_path / "world.sdf"
    file.write_text(world_sdf(robot, random_scene(robot, 4, 1, SHAPES)))
    assert "Valid" in sdf("-k", str(file))


def converted(robot, tmp_path: Path) -> ElementTree.Element:
    """The robot's model as Gazebo makes it of the URDF."""
    urdf, model = tmp_path / "robot.urdf", tmp_path / "robot.sdf"
    urdf.write_text(gazebo_urdf(robot, "/controllers.yaml"))
    text = sdf("-p", str(urdf))
    model.write_text(text)
    assert "Valid" in sdf("-k", str(model))
    return ElementTree.fromstring(text)


@pytest.mark.parametrize("name", ROBOTS)
def test_gazebo_keeps_joints_masses_and_sensors(name: str, tmp_path: Path) -> None:
    robot = load_robot(name)
    root = converted(robot, tmp_path)
    model = urdf_model(robot)
    joints = {j.get("name"): j for j in root.iter("joint")}
    for arm in robot.arms:
        for joint in (*arm.joints, arm.gripper.joint):
            limit = joints[joint].find("axis/limit")
            index = model.idx_qs[model.getJointId(joint)]
            for tag, wanted in (
                ("lower", model.lowerPositionLimit),
                ("upper", model.upperPositionLimit),
            ):
                assert float(limit.find(tag).text) == pytest.approx(wanted[index], abs=1e-6)
        sensor = joints[arm.joints[-1]].find("sensor")
        assert sensor.get("type") == "force_torque"
        x, y, z, *rpy = (float(v) for v in sensor.find("pose").text.split())
        wanted = flange(robot, arm)
        np.testing.assert_allclose(geometry.transform((x, y, z), rpy), wanted, atol=1e-6)
    # Fixed links are merged, and nothing is lost: Gazebo drops what has no mass alone.
    total = sum(float(m.text) for m in root.iter("mass"))
    assert total == pytest.approx(sum(i.mass for i in model.inertias), rel=1e-6)
    cameras = [s for s in root.iter("sensor") if s.get("type") == "rgbd_camera"]
    assert {c.get("name") for c in cameras} == {
        c.name for c in robot.cameras if c.parent != "world"
    }
    plugins = [p.get("name") for p in root.iter("plugin")]
    assert plugins == ["gz_ros2_control::GazeboSimROS2ControlPlugin"]


def flange(robot, arm) -> np.ndarray:
    """last joint_T_tip, by Pinocchio."""
    model = urdf_model(robot)
    data = model.createData()
    pin.framesForwardKinematics(model, data, pin.neutral(model))
    joint = data.oMi[model.getJointId(arm.joints[-1])]
    return joint.actInv(data.oMf[model.getFrameId(arm.tip_link)]).homogeneous


def offered(robot) -> set[str]:
    """Topics that the world and the robot's model publish."""
    topics = {"/clock"}
    for text in (world_sdf(robot), gazebo_urdf(robot, "/c.yaml")):
        for sensor in ElementTree.fromstring(text).iter("sensor"):
            name = "/" + sensor.find("topic").text
            if sensor.get("type") == "rgbd_camera":
                topics |= {
                    f"{name}/{t}" for t in ("image", "depth_image", "camera_info", "points")
                }
            else:
                topics.add(name)
    return topics


@pytest.mark.parametrize("name", ROBOTS)
def test_the_bridge_names_only_what_the_world_offers(name: str) -> None:
    robot = load_robot(name)
    entries = bridge(robot)
    assert {e["gz_topic_name"] for e in entries} <= offered(robot)
    assert {e["direction"] for e in entries} == {"GZ_TO_ROS"}
    ros = [e["ros_topic_name"] for e in entries]
    assert len(ros) == len(set(ros))
    # What our nodes listen to.
    for camera in robot.cameras:
        for kind in ("color/image_raw", "color/camera_info", "depth/image_raw"):
            assert f"{camera.namespace}/{kind}" in ros
    assert {arm.wrench_topic for arm in robot.arms} <= set(ros)


@pytest.mark.parametrize("name", ROBOTS)
def test_cameras_stand_where_the_description_says(name: str) -> None:
    robot = load_robot(name)
    for text in (world_sdf(robot), gazebo_urdf(robot, "/c.yaml")):
        for sensor in ElementTree.fromstring(text).iter("sensor"):
            if sensor.get("type") != "rgbd_camera":
                continue
            camera = robot.camera(sensor.get("name"))
            x, y, z, *rpy = (float(v) for v in sensor.find("pose").text.split())
            place = geometry.transform((x, y, z), rpy)
            optical = camera.pose.matrix
            np.testing.assert_allclose(place[:3, 0], optical[:3, 2], atol=1e-6)  # looks along x
            np.testing.assert_allclose(place[:3, 2], -optical[:3, 1], atol=1e-6)  # up is z
            np.testing.assert_allclose(place[:3, 3], optical[:3, 3], atol=1e-9)
            fov = float(sensor.find("camera/horizontal_fov").text)
            assert camera.width / 2 / np.tan(fov / 2) == pytest.approx(camera.fx, rel=1e-6)


def test_poses_are_written_as_they_are_read() -> None:
    rng = np.random.default_rng(0)
    straight = [(0, np.pi / 2, 0.3), (0.4, -np.pi / 2, 0.0), (0, 0, 0)]
    for rpy in [*straight, *rng.uniform(-np.pi, np.pi, (20, 3))]:
        pose = geometry.transform((1, 2, 3), rpy)
        x, y, z, *again = (float(v) for v in pose_text(pose).split())
        np.testing.assert_allclose(geometry.transform((x, y, z), again), pose, atol=1e-7)


@pytest.mark.parametrize("name", ROBOTS)
def test_controllers_are_those_of_the_description(name: str) -> None:
    robot = in_gazebo(load_robot(name))
    sections = controllers(robot)
    manager = sections["controller_manager"]["ros__parameters"]
    assert all("type" in manager[n] for n in controller_names(robot))
    control = ElementTree.fromstring(gazebo_urdf(robot, "/c.yaml")).find("ros2_control")
    commanded = {
        j.get("name"): j
        for j in control.findall("joint")
        if j.find("command_interface") is not None
    }
    followers = {j.get("name") for j in control.findall("joint")} - set(commanded)
    assert followers == {m.joint for m in RobotModel(robot).mimics}
    wanted = set()
    for arm in robot.arms:
        controller, action = arm.trajectory_action.split("/")
        assert action == "follow_joint_trajectory" and controller in controller_names(robot)
        assert tuple(sections[controller]["ros__parameters"]["joints"]) == arm.joints
        controller, action = arm.gripper.command_topic.split("/")
        assert action == "gripper_cmd"
        assert sections[controller]["ros__parameters"]["joint"] == arm.gripper.joint
        wanted |= {*arm.joints, arm.gripper.joint}
        for joint, angle in zip(arm.joints, arm.home, strict=True):
            first = commanded[joint].find("state_interface[@name='position']/param")
            assert float(first.text) == angle
    assert set(commanded) == wanted


@pytest.mark.parametrize("name", ROBOTS)
def test_the_bring_up_starts_gazebo_and_all_nodes_but_sim(name: str, tmp_path: Path) -> None:
    description = gazebo.describe({"robot": name, "objects": "3", "gui": "false"})
    assert "sim" not in description.nodes
    assert {"heightmap", "policy", "motion", "label", "picker"} <= set(description.nodes)
    commands = dict(
        zip([p.name for p in description.processes], description.commands(tmp_path), strict=True)
    )
    assert len([p for p in commands if p.startswith("create_object")]) == 3
    assert "--headless-rendering" in commands["gazebo"]
    for words in commands.values():
        for word in words:
            assert "{folder}" not in word
            if word.startswith(str(tmp_path)):
                assert Path(word).is_file(), word
    assert not [f for f in tmp_path.iterdir() if "{folder}" in f.read_text()]
    again = load_robot(tmp_path / "robot.yaml")
    assert again == in_gazebo(load_robot(name))
    for node in description.nodes:
        section = yaml.safe_load((tmp_path / f"{node}.yaml").read_text())[f"/**/{node}"]
        assert section["ros__parameters"]["robot"] == str(tmp_path / "robot.yaml")
        assert section["ros__parameters"]["use_sim_time"] is True
    for file in tmp_path.glob("*.sdf"):
        assert "Valid" in sdf("-k", str(file))


def test_without_gazebo_all_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("AMENT_PREFIX_PATH", "")
    with pytest.raises(MissingDependency, match=r"gz, .*ros_gz_bridge.*; docs/gazebo\.md"):
        gazebo.describe({"objects": "0"}).check_programs()


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(UnknownName, match="scene"):
        gazebo.describe({"scene": "x"})
    with pytest.raises(UnknownName, match="gui"):
        gazebo.describe({"gui": "maybe"})
    with pytest.raises(InvalidConfig, match="0 to 30"):
        gazebo.describe({"objects": "31"})
    robot = load_robot("ur5_rg2")
    with pytest.raises(InvalidScene, match="valid: brick"):
        world_sdf(robot, random_scene(robot, 1, 1, ("arch",)))
