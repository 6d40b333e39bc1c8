"""The bring-up in Gazebo: what a robot's bring-up starts, and what stands in for the robot.

A description like those of :mod:`selfgrasp_nodes.bringup`; ``launch/gazebo.launch.py``
turns it into launch actions. It is apart because it makes SDF and scenes, which need the
simulation's modules.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

import yaml

from selfgrasp_nodes import bringup
from selfgrasp_nodes.bringup import FOLDER, Description, OnDeath, Process
from selfgrasp_nodes.bringup_arguments import Argument, arguments
from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.robots import RobotSpec, load_robot
from selfgrasp_nodes.simulation.gazebo_robot import (
    bridge,
    controller_names,
    controllers,
    gazebo_urdf,
    in_gazebo,
)
from selfgrasp_nodes.simulation.gazebo_world import SHAPES, WORLD, object_sdf, world_sdf
from selfgrasp_nodes.simulation.scenes import random_scene

KIND = "gazebo"

_REMEDY = "docs/gazebo.md names the Debian packages of Gazebo, its bridge and its controllers"

_REPLACED = ("use_sim_time", "discovery_range", "confirm")
ARGUMENTS = (
    *(a for a in arguments("robot") if a.name not in _REPLACED),
    Argument("objects", "5", "blocks spawned on the table, 0 to 30"),
    Argument("seed", "1", "of the blocks and where they lie"),
    Argument("gui", "true", "Gazebo's window; false renders without a screen", ("true", "false")),
)
"""Arguments of ``gazebo.launch.py``."""


def describe(given: Mapping[str, str] | None = None) -> Description:
    """What a bring-up in Gazebo starts.

    Args:
        given: Arguments that differ from their defaults.

    Raises:
        UnknownName: If a name or a choice is not known.
        InvalidConfig: If a number is none or out of range.
        MissingDependency: If the robot's meshes are not installed.
    """
    table = {argument.name: argument for argument in ARGUMENTS}
    values = {name: argument.default for name, argument in table.items()}
    for name, value in (given or {}).items():
        if name not in table:
            raise UnknownName("argument of gazebo.launch.py", name, table)
        if table[name].choices and value not in table[name].choices:
            raise UnknownName(f"value of {name}", value, table[name].choices)
        values[name] = value
    robot = in_gazebo(load_robot(values["robot"]))
    values["confirm"] = "false"
    own = {name: values.pop(name) for name in ("objects", "seed", "gui")}
    graph = bringup.describe("robot", {**values, "use_sim_time": "true"})
    processes = tuple(
        replace(
            process,
            nodes=tuple(
                replace(node, parameters={**node.parameters, "robot": f"{FOLDER}/robot.yaml"})
                for node in process.nodes
            ),
        )
        for process in graph.processes
    )
    world = _world(robot, own["gui"] == "true")
    spawned = _objects(robot, _number(own, "objects", 30), _number(own, "seed", 2**31 - 1))
    environment = {
        **graph.environment,
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        # Gazebo looks for gz_ros2_control's plugin where the ROS libraries are.
        "GZ_SIM_SYSTEM_PLUGIN_PATH": os.pathsep.join(
            p for v in ("GZ_SIM_SYSTEM_PLUGIN_PATH", "LD_LIBRARY_PATH") if (p := os.getenv(v))
        ),
    }
    others = (replace(process, remedy=_REMEDY) for process in (*world, *spawned))
    return Description(KIND, (*others, *processes), environment, {**graph.arguments, **own})


def _world(robot: RobotSpec, gui: bool) -> list[Process]:
    """Gazebo, the robot in it, its controllers and the bridge."""
    state = {
        "/**": {
            "ros__parameters": {
                "use_sim_time": True,
                "robot_description": gazebo_urdf(robot, f"{FOLDER}/controllers.yaml"),
            }
        }
    }
    files = {
        "world.sdf": world_sdf(robot),
        "controllers.yaml": yaml.safe_dump(controllers(robot), sort_keys=False),
        "bridge.yaml": yaml.safe_dump(bridge(robot), sort_keys=False),
        "description.yaml": yaml.safe_dump(state),
        "robot.yaml": yaml.safe_dump(robot.model_dump(mode="json"), sort_keys=False),
    }
    screen = () if gui else ("-s", "--headless-rendering")
    run = ("ros2", "run")
    parameters = ("--ros-args", "-p", "use_sim_time:=true")
    return [
        Process(
            "gazebo", command=("gz", "sim", "-r", *screen, f"{FOLDER}/world.sdf"), files=files
        ),
        Process(
            "robot_state_publisher",
            command=(
                *run,
                *2 * ("robot_state_publisher",),
                "--ros-args",
                "--params-file",
                f"{FOLDER}/description.yaml",
            ),
        ),
        Process(
            "create_robot",
            on_death=OnDeath.GO_ON,
            command=(
                *(*run, "ros_gz_sim", "create", "-world", WORLD),
                *("-topic", "robot_description", "-name", robot.name),
            ),
        ),
        Process(
            "bridge",
            command=(
                *(*run, "ros_gz_bridge", "parameter_bridge", *parameters),
                *("-p", f"config_file:={FOLDER}/bridge.yaml"),
            ),
        ),
        Process(
            "controllers",
            on_death=OnDeath.GO_ON,  # it ends when they are active
            command=(
                *(*run, "controller_manager", "spawner", *controller_names(robot)),
                *("--controller-manager-timeout", "120"),
            ),
        ),
    ]


def _objects(robot: RobotSpec, count: int, seed: int) -> list[Process]:
    """One process for each block, which ends when Gazebo has it."""
    kinds = [kind for kind in robot.blocks or SHAPES if kind in SHAPES]
    if not count:
        return []
    scene = random_scene(robot, count, seed, kinds)
    processes = []
    for name, obj in zip(scene.names(), scene.objects, strict=True):
        file = f"{name}.sdf"
        command = ("ros2", "run", "ros_gz_sim", "create", "-world", WORLD)
        processes.append(
            Process(
                f"create_{name}",
                on_death=OnDeath.GO_ON,
                command=(*command, "-name", name, "-file", f"{FOLDER}/{file}"),
                files={file: object_sdf(robot, name, obj)},
            )
        )
    return processes


def _number(values: dict[str, str], name: str, largest: int) -> int:
    try:
        number = int(values[name])
    except ValueError:
        raise InvalidConfig(f"{name} must be an integer, not {values[name]!r}") from None
    if not 0 <= number <= largest:
        raise InvalidConfig(f"{name} must lie in 0 to {largest}, not {number}")
    return number
