"""Robots behind real drivers: files that say only what differs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from selfgrasp_nodes import bringup, geometry
from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.motion.moveit_parameters import moveit_parameters
from selfgrasp_nodes.motion.options import load_options
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots import CalibrationSpec, load_robot
from selfgrasp_nodes.robots.edit import write_calibration
from selfgrasp_nodes.robots.gripper import from_driver, joint_from_width, to_driver
from selfgrasp_nodes.robots.loader import driver_names, robot_file
from selfgrasp_nodes.robots.urdf import expand_urdf, urdf_file

DRIVERS = driver_names()


def test_there_is_one_for_each_robot() -> None:
    assert {load_robot(name).name for name in DRIVERS} >= {"ur5_rg2", "baxter"}


@pytest.mark.parametrize("name", DRIVERS)
def test_only_the_drivers_side_differs(name: str) -> None:
    robot = load_robot(name)
    base = load_robot(robot.name)
    assert robot.speed_scale < 1.0
    for key in ("urdf", "base_link", "world_T_base", "workspace", "table", "bin", "cameras"):
        assert getattr(robot, key) == getattr(base, key), key
    for arm, other in zip(robot.arms, base.arms, strict=True):
        assert (arm.name, arm.joints, arm.home) == (other.name, other.joints, other.home)
        assert np.all(np.array(arm.velocity_limits) <= other.velocity_limits)
        assert arm.gripper.width_max == other.gripper.width_max
        assert not arm.gripper.measures_force


@pytest.mark.parametrize("name", DRIVERS)
def test_it_can_be_brought_up_and_needs_a_confirmation(name: str) -> None:
    nodes = bringup.describe("robot", {"robot": name}).nodes
    assert "sim" not in nodes
    assert nodes["motion"].parameters["robot"] == name
    assert nodes["motion"].parameters["workspace_confirmed"] is False
    assert (
        bringup.describe("robot", {"robot": name, "confirm": "false"})
        .nodes["motion"]
        .parameters["workspace_confirmed"]
    )
    assert bringup.describe("sim").nodes["motion"].parameters["workspace_confirmed"]


@pytest.mark.parametrize("name", DRIVERS)
def test_moveit_keeps_to_the_drivers_limits(name: str) -> None:
    robot = load_robot(name)
    parameters = moveit_parameters(robot, use_sim_time=False)
    limits = parameters["robot_description_planning"]["joint_limits"]
    for arm in robot.arms:
        assert tuple(limits[j]["max_velocity"] for j in arm.joints) == arm.velocity_limits
        assert tuple(limits[j]["max_acceleration"] for j in arm.joints) == arm.acceleration_limits


@pytest.mark.parametrize("name", DRIVERS)
def test_moveit_addresses_the_drivers_controllers(name: str) -> None:
    robot = load_robot(name)
    manager = moveit_parameters(robot, use_sim_time=False)["moveit_simple_controller_manager"]
    found = {f"{c}/{manager[c]['action_ns']}" for c in manager["controller_names"]}
    wanted = {arm.trajectory_action for arm in robot.arms}
    for arm in robot.arms:  # MoveIt knows joints: no driver that takes metres, no tool output
        gripper = arm.gripper
        if gripper.driver_unit == "joint" and gripper.tool_io is None:
            wanted.add(gripper.command_topic)
    assert found == wanted


def test_the_speed_scale_slows_everything() -> None:
    options = load_options(robot="ur5_rg2")
    slow = options.slowed(0.25)
    for name, value in options.speed:
        assert getattr(slow.speed, name) == pytest.approx(0.25 * value), name
    assert slow.grasp == options.grasp and slow.safety == options.safety


def test_a_gripper_is_commanded_and_heard_in_its_drivers_unit() -> None:
    ours, onrobot = (load_robot(n).arms[0].gripper for n in ("ur5_rg2", "ur5_rg2_onrobot"))
    assert to_driver(onrobot, 0.06, 20.0) == ("grip_stroke", 0.06, 20.0)
    assert to_driver(onrobot, 0.5, 20.0)[1] == onrobot.width_max
    name, position, effort = to_driver(ours, 0.06, 20.0)
    assert name == "finger_joint" and position == joint_from_width(ours, 0.06)
    assert from_driver(ours, position, effort) == pytest.approx((0.06, 20.0))
    assert from_driver(onrobot, 0.06, 20.0) == (0.06, 20.0)


def write(tmp_path: Path, **content: object) -> Path:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def test_a_base_that_does_not_exist_and_one_that_is_itself(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="ur5_rg2_onrobot"):
        load_robot(write(tmp_path, base="ur6"))
    file = write(tmp_path, base=str(tmp_path / "mine.yaml"))
    with pytest.raises(InvalidConfig, match="its own base"):
        load_robot(file)


def laboratory(folder: Path) -> Path:
    """A robot of one's own outside of the package: YAML, xacro, and a driver's file over it."""
    folder.mkdir()
    content = yaml.safe_load(robot_file("panda").read_text())
    content |= {"name": "mine", "urdf": "mine.urdf.xacro"}
    (folder / "mine.yaml").write_text(yaml.safe_dump(content))
    shutil.copy2(share_dir() / "urdf" / "panda.urdf.xacro", folder / "mine.urdf.xacro")
    for included in ("inertia.xacro", "gazebo.xacro"):
        shutil.copy2(share_dir() / "urdf" / included, folder)
    driver = {"base": "mine", "speed_scale": 0.25}
    (folder / "mine_driver.yaml").write_text(yaml.safe_dump(driver))
    return folder


@pytest.mark.parametrize("relative", [False, True])
def test_a_laboratorys_files_stand_in_a_folder_of_their_own(
    tmp_path: Path, monkeypatch, relative: bool
) -> None:
    folder = laboratory(tmp_path / "lab")
    monkeypatch.chdir(folder if relative else tmp_path)
    names = [f if relative else str(folder / f) for f in ("mine.yaml", "mine_driver.yaml")]
    mine, driver = map(load_robot, names)
    assert (mine.name, mine.speed_scale) == ("mine", 1.0)
    assert (driver.name, driver.speed_scale) == ("mine", 0.25)
    assert urdf_file(driver) == folder / "mine.urdf.xacro"
    assert "panda_link7" in expand_urdf(driver)


def test_a_file_of_a_shipped_robots_name_may_stand_on_it(tmp_path: Path) -> None:
    file = tmp_path / "baxter.yaml"
    file.write_text("base: baxter\nspeed_scale: 0.5\n")
    assert load_robot(file).speed_scale == 0.5


def test_a_calibration_is_written_into_a_laboratorys_file(tmp_path: Path) -> None:
    file = laboratory(tmp_path / "lab") / "mine_driver.yaml"
    camera = load_robot(file).camera()
    pose = camera.pose.matrix @ geometry.transform((0.01, 0, 0))
    record = CalibrationSpec(
        date="2026-11-23",
        serial="1",
        width=camera.width,
        height=camera.height,
        intrinsics=(camera.fx, camera.fy, camera.cx, camera.cy),
        depth_scale=1.0,
        pictures=20,
        reprojection=0.1,
        error_3d=0.001,
    )
    write_calibration(file, camera.name, pose, record)
    np.testing.assert_allclose(load_robot(file).camera().pose.matrix, pose, atol=1e-5)
    assert load_robot(file.with_name("mine.yaml")).camera() == camera


def test_an_arm_that_the_base_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"'left'; valid: arm"):
        load_robot(write(tmp_path, base="ur5_rg2", arms=[{"name": "left"}]))
    with pytest.raises(InvalidConfig, match=r"arms\.0\.tip_linc"):
        load_robot(write(tmp_path, base="ur5_rg2", arms=[{"name": "arm", "tip_linc": "x"}]))


def test_unknown_names_list_robots_and_drivers() -> None:
    with pytest.raises(UnknownName, match=r"baxter, baxter_bridge, panda, ur5_rg2"):
        robot_file("ur6")
    with pytest.raises(UnknownName, match="baxter_bridge"):
        bringup.describe("robot", {"robot": "ur6"})
