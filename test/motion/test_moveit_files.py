"""MoveIt's configuration: current, true to the robot, refused where MoveIt is silent."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pinocchio as pin
import pytest
import yaml

from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.motion.model import RobotModel
from selfgrasp_nodes.motion.moveit_parameters import (
    OMPL,
    PILZ,
    moveit_folder,
    moveit_parameters,
    parameter_file,
    planner_id,
)
from selfgrasp_nodes.motion.options import load_options
from selfgrasp_nodes.motion.sampling import planner_names
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots import RobotSpec, load_robot
from selfgrasp_nodes.robots.loader import robot_file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tools"))
import moveit_collisions as collisions
import moveit_config as tool

ROBOTS = sorted(p.name for p in (share_dir() / "config" / "moveit").iterdir())


def name_and_folder(robot: RobotSpec) -> tuple[Path, str]:
    folder = moveit_folder(robot)
    return folder, (folder / f"{robot.name}.srdf").read_text()


def copied(tmp_path: Path, robot: str = "ur5_rg2") -> tuple[RobotSpec, Path]:
    folder = tmp_path / "moveit"
    shutil.copytree(moveit_folder(load_robot(robot)), folder)
    return load_robot(robot), folder


def edit(file: Path, change) -> None:
    content = yaml.safe_load(file.read_text())
    change(content)
    file.write_text(yaml.safe_dump(content))


def test_both_robots_have_one() -> None:
    assert set(ROBOTS) >= {"ur5_rg2", "baxter"}
    with pytest.raises(InvalidConfig, match=r"tools/moveit_config\.py panda"):
        moveit_parameters(load_robot("panda"), use_sim_time=False)


@pytest.mark.parametrize("name", ROBOTS)
def test_files_are_what_the_tool_writes(name: str, tmp_path: Path) -> None:
    robot = load_robot(name)
    folder, _ = name_and_folder(robot)
    wanted = tool.files(robot, load_options(robot=name))
    assert {p.name for p in folder.iterdir()} == {*wanted, f"{name}.srdf"}
    for file, content in wanted.items():
        assert yaml.safe_load((folder / file).read_text()) == content, file


def test_the_semantic_description_is_what_the_tool_writes() -> None:
    robot = load_robot("ur5_rg2")
    assert name_and_folder(robot)[1] == tool.srdf(robot, collisions.disabled_collisions(robot))


@pytest.mark.parametrize("name", ROBOTS)
def test_pairs_that_are_not_checked_do_not_touch(name: str) -> None:
    """On configurations that the tool has not seen; neighbours and always-touching aside."""
    robot = load_robot(name)
    root = ElementTree.fromstring(name_and_folder(robot)[1])
    reasons = {
        (e.get("link1"), e.get("link2")): e.get("reason") for e in root.iter("disable_collisions")
    }
    model = RobotModel(robot)
    shapes = model.shapes.copy()
    names = [model.model.frames[s.parentFrame].name for s in shapes.geometryObjects]
    never = {pair for pair, reason in reasons.items() if reason == "Never"}
    pairs = []
    for i, a in enumerate(names):
        for j in range(i + 1, len(names)):
            pair = (min(a, names[j]), max(a, names[j]))
            if pair in never or (a != names[j] and pair not in reasons):
                shapes.addCollisionPair(pin.CollisionPair(i, j))
                pairs.append(pair)
    touched = set(
        collisions.touching(
            model,
            shapes,
            pairs,
            collisions.random_configurations(model, np.random.default_rng(99), 2000),
        )
    )
    # What touches once in 2,000 and was not seen in 20,000: 1 in 10,000 chance a pair.
    assert not touched & never
    # The check is not empty: pairs that are checked do touch.
    assert len(touched - never) >= 5


def test_arms_are_checked_against_each_other() -> None:
    root = ElementTree.fromstring(name_and_folder(load_robot("baxter"))[1])
    for element in root.iter("disable_collisions"):
        sides = {str(element.get(k)).split("_")[0] for k in ("link1", "link2")}
        assert sides != {"left", "right"}, element.attrib


@pytest.mark.parametrize("name", ROBOTS)
def test_groups_are_the_arms(name: str) -> None:
    robot = load_robot(name)
    parameters = moveit_parameters(robot, use_sim_time=True)
    urdf = ElementTree.fromstring(parameters["robot_description"])
    links = {link.get("name") for link in urdf.findall("link")}
    parents = {
        j.find("child").get("link"): (j.find("parent").get("link"), j.get("name"), j.get("type"))
        for j in urdf.findall("joint")
    }
    assert links - set(parents) == {"world"}  # the model frame
    base = next(j for j in urdf.findall("joint") if j.find("parent").get("link") == "world")
    np.testing.assert_allclose(
        [float(x) for x in base.find("origin").get("xyz").split()], robot.world_T_base.xyz
    )
    root = ElementTree.fromstring(parameters["robot_description_semantic"])
    groups = {g.get("name"): g for g in root.findall("group")}
    for arm in robot.arms:
        chain = groups[arm.name].find("chain")
        link, moving = chain.get("tip_link"), []
        while link != chain.get("base_link"):
            link, joint, kind = parents[link]
            moving = ([joint] if kind != "fixed" else []) + moving
        assert tuple(moving) == arm.joints
        states = {(s.get("group"), s.get("name")): s for s in root.findall("group_state")}
        for pose in ("home", "ready"):
            found = {j.get("name"): float(j.get("value")) for j in states[arm.name, pose]}
            assert found == pytest.approx(
                dict(zip(arm.joints, getattr(arm, pose), strict=True)), abs=1e-5
            )
    effectors = root.findall("end_effector")
    assert [e.get("parent_link") for e in effectors] == [a.tip_link for a in robot.arms]
    assert all(e.get("group") in groups and e.get("parent_group") in groups for e in effectors)
    mimics = {j.get("name") for j in urdf.findall("joint") if j.find("mimic") is not None}
    assert {p.get("name") for p in root.findall("passive_joint")} == mimics
    for element in root.iter("disable_collisions"):
        assert {element.get("link1"), element.get("link2")} <= links


# Every parameter that MoveItCpp, PlanRequestParameters, the pipelines, Pilz, the model
# loader and the simple controller manager read, at moveit2 8fcb5d2.
READ = [
    "robot_description",
    "robot_description_semantic",
    "use_sim_time",
    "planning_scene_monitor_options.name",
    "planning_scene_monitor_options.robot_description",
    "planning_scene_monitor_options.wait_for_initial_state_timeout",
    "planning_pipelines.pipeline_names",
    "ompl.planning_plugins",
    "ompl.request_adapters",
    "ompl.response_adapters",
    "pilz_industrial_motion_planner.planning_plugins",
    "pilz_industrial_motion_planner.request_adapters",
    "pilz_industrial_motion_planner.response_adapters",
    "robot_description_planning.cartesian_limits.max_trans_vel",
    "robot_description_planning.cartesian_limits.max_trans_acc",
    "robot_description_planning.cartesian_limits.max_trans_dec",
    "robot_description_planning.cartesian_limits.max_rot_vel",
    "moveit_controller_manager",
    "moveit_manage_controllers",
    "moveit_simple_controller_manager.controller_names",
]
REQUEST = [
    "planner_id",
    "planning_pipeline",
    "planning_time",
    "planning_attempts",
    "max_velocity_scaling_factor",
    "max_acceleration_scaling_factor",
]


def at(parameters: dict, dotted: str):
    for part in dotted.split("."):
        parameters = parameters[part]
    return parameters


@pytest.mark.parametrize("name", ROBOTS)
@pytest.mark.parametrize("move_group", [False, True])
def test_every_key_that_is_read_is_there(name: str, move_group: bool) -> None:
    robot = load_robot(name)
    parameters = moveit_parameters(robot, use_sim_time=True, move_group=move_group)
    for key in READ:
        if move_group and key.startswith("planning_pipelines"):
            assert parameters["planning_pipelines"] == [OMPL, PILZ]
            assert parameters["default_planning_pipeline"] == OMPL
            continue
        assert at(parameters, key) not in (None, "", [], {}), key
    for profile in ("plan_request_params", "free.plan_request_params", "line.plan_request_params"):
        assert set(at(parameters, profile)) == set(REQUEST)
    for arm in robot.arms:
        kinematics = parameters["robot_description_kinematics"][arm.name]
        assert set(kinematics) == {
            "kinematics_solver",
            "kinematics_solver_search_resolution",
            "kinematics_solver_timeout",
        }
        limits = parameters["robot_description_planning"]["joint_limits"]
        for joint, speed, acceleration in zip(
            arm.joints, arm.velocity_limits, arm.acceleration_limits, strict=True
        ):
            assert limits[joint]["max_velocity"] == speed
            assert limits[joint]["max_acceleration"] == acceleration
    manager = parameters["moveit_simple_controller_manager"]
    actions = {
        f"{controller}/{manager[controller]['action_ns']}"
        for controller in manager["controller_names"]
    }
    assert actions == {
        action for a in robot.arms for action in (a.trajectory_action, a.gripper.command_topic)
    }


@pytest.mark.parametrize("name", ROBOTS)
def test_doubles_stay_doubles_in_the_parameter_file(name: str, tmp_path: Path) -> None:
    parameters = moveit_parameters(load_robot(name), use_sim_time=True)
    path = parameter_file(parameters, tmp_path / "moveit.yaml")
    again = yaml.safe_load(path.read_text())["/**"]["ros__parameters"]
    assert again == parameters
    integers = set()

    def walk(value, where=""):
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{where}.{key}")
        elif type(value) is int:
            integers.add(where.rpartition(".")[2])

    walk(again)
    assert integers == {"planning_attempts"}


@pytest.mark.parametrize("name", ROBOTS)
def test_an_unknown_planner_is_refused_by_us(name: str) -> None:
    robot = load_robot(name)
    parameters = moveit_parameters(robot, use_sim_time=True)
    for arm in robot.arms:
        assert parameters[OMPL][arm.name]["default_planner_config"] == "EST"
        for planner in planner_names():
            assert planner_id(parameters, arm.name, planner) == planner
        with pytest.raises(UnknownName, match=r"ESTT.*valid: .*EST"):
            planner_id(parameters, arm.name, "ESTT")
    with pytest.raises(UnknownName, match=robot.arms[0].name):
        planner_id(parameters, "third", "EST")


def test_a_planner_that_no_group_lists_is_refused(tmp_path: Path) -> None:
    robot, folder = copied(tmp_path)
    edit(folder / "ompl_planning.yaml", lambda c: c["planner_configs"].pop("EST"))
    with pytest.raises(InvalidConfig, match="'EST' of 'arm' has no type"):
        moveit_parameters(robot, use_sim_time=True, folder=folder)


@pytest.mark.parametrize(
    ("file", "change", "reason"),
    [
        (
            "moveit_cpp.yaml",
            lambda c: c["planning_scene_monitor_options"].update(joint_state_topic="/other"),
            "reads no joint_state_topic",
        ),
        (
            "moveit_cpp.yaml",
            lambda c: c["free"]["plan_request_params"].update(planning_time=1),
            r"free\.planning_time' must be a float",
        ),
        (
            "moveit_cpp.yaml",
            lambda c: c["planning_pipelines"].update(pipeline_names=["ompl"]),
            "lacks pilz",
        ),
        (
            "joint_limits.yaml",
            lambda c: c["joint_limits"]["elbow_joint"].update(has_acceleration_limits=False),
            "elbow_joint lacks the acceleration limit",
        ),
        ("kinematics.yaml", lambda c: c.update(x=c.pop("arm")), "'arm' has no solver"),
        ("ompl_planning.yaml", lambda c: c.update(request_adapters=[]), "is no ROS parameter"),
        ("ompl_planning.yaml", lambda c: c.pop("arm"), "lists no planner_configs"),
    ],
)
def test_what_moveit_would_drop_is_refused(tmp_path: Path, file, change, reason) -> None:
    robot, folder = copied(tmp_path)
    edit(folder / file, change)
    with pytest.raises(InvalidConfig, match=reason):
        moveit_parameters(robot, use_sim_time=True, folder=folder)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    robot, folder = copied(tmp_path)
    (folder / "kinematics.yaml").unlink()
    with pytest.raises(InvalidConfig, match=r"kinematics\.yaml"):
        moveit_parameters(robot, use_sim_time=True, folder=folder)


def test_the_command_makes_the_configuration_of_a_laboratorys_robot(tmp_path: Path) -> None:
    """Beside its YAML, where whatever starts MoveIt looks first."""
    file = tmp_path / "mine.yaml"
    panda = robot_file("panda").read_text()
    file.write_text(panda.replace("name: panda\n", "name: mine\n"))
    (tmp_path / "driver.yaml").write_text("base: mine\nspeed_scale: 0.25\n")
    robot = load_robot(file)
    with pytest.raises(InvalidConfig, match=rf"tools/moveit_config\.py {file}"):
        moveit_folder(robot, file)
    script = share_dir() / "tools" / "moveit_config.py"
    subprocess.run([sys.executable, str(script), str(file)], check=True, timeout=300)
    folder = tmp_path / "moveit" / "mine"
    assert moveit_folder(robot, file) == moveit_folder(robot, tmp_path / "driver.yaml") == folder
    parameters = moveit_parameters(robot, use_sim_time=False, folder=folder)
    assert planner_id(parameters, "arm", "EST") == "EST"
    command = [sys.executable, "-m", "selfgrasp_nodes.cli.main", "move-group", "--print"]
    command += ["--robot", str(tmp_path / "driver.yaml")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True)
    assert yaml.safe_load(printed.stdout)["/**"]["ros__parameters"]["ompl"] == parameters["ompl"]
