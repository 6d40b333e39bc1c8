#!/usr/bin/env python3
"""Write MoveIt's configuration of a robot: ``config/moveit/<robot>/``.

    python tools/moveit_config.py ur5_rg2 baxter
    python tools/moveit_config.py mine.yaml     # a robot of your own: moveit/<robot> beside it

Every file is made from the robot's description, its URDF and ``config/motion.yaml``, so
that each fact keeps its one place; ``test/motion/test_moveit_files.py`` holds that what is
committed is what this writes.

Which links are not checked against each other is computed: ``moveit_collisions``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from moveit_collisions import ALL, disabled_collisions

from selfgrasp_nodes.motion.model import RobotModel
from selfgrasp_nodes.motion.moveit_parameters import (
    OMPL,
    PILZ,
    controllers,
    gripper_group,
    ompl_types,
)
from selfgrasp_nodes.motion.options import MotionOptions, load_options
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots import ArmSpec, RobotSpec, load_robot
from selfgrasp_nodes.robots.loader import robot_file

_REQUEST = [
    f"default_planning_request_adapters/{name}"
    for name in (
        "ResolveConstraintFrames",
        "ValidateWorkspaceBounds",
        "CheckStartStateBounds",
        "CheckStartStateCollision",
    )
]
_VALIDATE = "default_planning_response_adapters/ValidateSolution"
_TOTG = "default_planning_response_adapters/AddTimeOptimalParameterization"
_ROTATION = 1.57  # of the tool along straight lines [rad/s]
_GRIPPER_RAMP = 0.1  # in which a gripper's joint comes to its speed [s]


def srdf(robot: RobotSpec, disabled: dict[tuple[str, str], str]) -> str:
    """The semantic description: groups, states, end effectors, passive joints, collisions."""
    root = ElementTree.Element("robot", name=robot.name)
    model = RobotModel(robot)

    def add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
        return ElementTree.SubElement(parent, tag, attributes)

    def state(name: str, group: str, joints: tuple[str, ...], values: tuple[float, ...]) -> None:
        element = add(root, "group_state", name=name, group=group)
        for joint, value in zip(joints, values, strict=True):
            add(element, "joint", name=joint, value=f"{value:.6g}")

    for arm in robot.arms:
        hand = gripper_group(arm)
        chain = add(root, "group", name=arm.name)
        add(chain, "chain", base_link=robot.base_link, tip_link=arm.tip_link)
        fingers = add(root, "group", name=hand)
        add(fingers, "joint", name=arm.gripper.joint)
        state("home", arm.name, arm.joints, arm.home)
        state("ready", arm.name, arm.joints, arm.ready)
        state("open", hand, (arm.gripper.joint,), (arm.gripper.joint_open,))
        state("closed", hand, (arm.gripper.joint,), (arm.gripper.joint_closed,))
        add(
            root,
            "end_effector",
            name=f"{arm.name}_hand",
            parent_link=arm.tip_link,
            group=hand,
            parent_group=arm.name,
        )
    for mimic in model.mimics:  # moved by another joint's motor
        add(root, "passive_joint", name=mimic.joint)
    for (first, second), reason in disabled.items():
        add(root, "disable_collisions", link1=first, link2=second, reason=reason)
    ElementTree.indent(root, "  ")
    command = f"python tools/moveit_config.py {robot.name}"
    return (
        f'<?xml version="1.0"?>\n<!-- Made by `{command}`; edit that, not this. -->\n'
        + ElementTree.tostring(root, encoding="unicode")
        + "\n"
    )


def files(robot: RobotSpec, options: MotionOptions) -> dict[str, Any]:
    """What goes into each YAML file of the configuration."""
    groups = [arm.name for arm in robot.arms]
    planners = ompl_types()
    ompl: dict[str, Any] = {
        "planning_plugins": ["ompl_interface/OMPLPlanner"],
        "request_adapters": list(_REQUEST),
        # TOTG times the path; it needs the acceleration limits of joint_limits.yaml.
        "response_adapters": [_TOTG, _VALIDATE],
        "planner_configs": {name: {"type": kind} for name, kind in planners.items()},
    }
    for arm in robot.arms:
        ompl[arm.name] = {
            # A planner that is not listed under the group becomes the default in silence.
            "default_planner_config": "EST",
            "planner_configs": list(planners),
            "projection_evaluator": f"joints({arm.joints[0]},{arm.joints[1]})",
            "longest_valid_segment_fraction": 0.005,
        }
    return {
        "kinematics.yaml": {
            group: {
                "kinematics_solver": "kdl_kinematics_plugin/KDLKinematicsPlugin",
                "kinematics_solver_search_resolution": 0.005,
                "kinematics_solver_timeout": 0.05,
            }
            for group in groups
        },
        "joint_limits.yaml": {
            "default_velocity_scaling_factor": options.speed.velocity,
            "default_acceleration_scaling_factor": options.speed.acceleration,
            "joint_limits": {
                joint: limits for arm in robot.arms for joint, limits in _limits(arm, robot)
            },
        },
        "ompl_planning.yaml": ompl,
        "pilz_industrial_motion_planner_planning.yaml": {
            "planning_plugins": ["pilz_industrial_motion_planner/CommandPlanner"],
            "default_planner_config": "LIN",
            "request_adapters": list(_REQUEST),
            # It times its own lines: no TOTG here.
            "response_adapters": [_VALIDATE],
        },
        "pilz_cartesian_limits.yaml": {
            "cartesian_limits": {
                "max_trans_vel": options.speed.linear_velocity,
                "max_trans_acc": options.speed.linear_acceleration,
                "max_trans_dec": -options.speed.linear_acceleration,
                "max_rot_vel": _ROTATION,
            }
        },
        "moveit_controllers.yaml": controllers(robot),
        "moveit_cpp.yaml": {
            "planning_scene_monitor_options": {
                "name": "planning_scene_monitor",
                "robot_description": "robot_description",
                "wait_for_initial_state_timeout": 10.0,
            },
            "planning_pipelines": {"pipeline_names": [OMPL, PILZ]},
            "plan_request_params": _request(OMPL, "EST", options),
            "free": {"plan_request_params": _request(OMPL, "EST", options)},
            "line": {"plan_request_params": _request(PILZ, "LIN", options)},
        },
    }


def _request(pipeline: str, planner: str, options: MotionOptions) -> dict[str, Any]:
    return {
        "planning_pipeline": pipeline,
        "planner_id": planner,
        "planning_attempts": 1,
        "planning_time": max(1.0, options.planner.timeout),
        "max_velocity_scaling_factor": options.speed.velocity,
        "max_acceleration_scaling_factor": options.speed.acceleration,
    }


def _limits(arm: ArmSpec, robot: RobotSpec) -> Iterator[tuple[str, dict[str, Any]]]:
    for joint, speed, acceleration in zip(
        arm.joints, arm.velocity_limits, arm.acceleration_limits, strict=True
    ):
        yield joint, _limit(speed, acceleration)
    model = RobotModel(robot).model
    speed = float(model.velocityLimit[model.idx_vs[model.getJointId(arm.gripper.joint)]])
    yield arm.gripper.joint, _limit(speed, speed / _GRIPPER_RAMP)


def _limit(speed: float, acceleration: float) -> dict[str, Any]:
    return {
        "has_velocity_limits": True,
        "max_velocity": round(float(speed), 6),
        "has_acceleration_limits": True,
        "max_acceleration": round(float(acceleration), 6),
    }


def write(robot: RobotSpec, folder: Path, samples: int = ALL) -> None:
    """Write all files of a robot's configuration into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    head = f"# Made by `python tools/moveit_config.py {robot.name}`; edit that, not this.\n"
    for name, content in files(robot, load_options(robot=robot.name)).items():
        text = yaml.safe_dump(content, sort_keys=False, width=96)
        (folder / name).write_text(head + text)
    (folder / f"{robot.name}.srdf").write_text(srdf(robot, disabled_collisions(robot, samples)))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("robots", nargs="+", help="names in config/robots, or YAML files")
    parser.add_argument(
        "--out", type=Path, help="default: moveit/<robot> beside a YAML file, else config/moveit"
    )
    given = parser.parse_args()
    for name in given.robots:
        robot = load_robot(name)
        file = robot_file(name)
        shipped = file.parent.parent == share_dir() / "config"
        own = share_dir() / "config" / "moveit" if shipped else file.parent / "moveit"
        folder = given.out or own / robot.name
        write(robot, folder)
        print(f"{folder}: written")


if __name__ == "__main__":
    main()
