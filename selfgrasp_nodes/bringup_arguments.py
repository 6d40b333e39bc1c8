"""The arguments of a bring-up: names, defaults, descriptions, and the check of given values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from selfgrasp_nodes.errors import InvalidConfig, UnknownName


@dataclass(frozen=True)
class Argument:
    """One argument of a bring-up, for ``--show-args`` and ``selfgrasp up``."""

    name: str
    default: str
    description: str
    choices: tuple[str, ...] = ()


_COMMON = (
    Argument(
        "robot", "ur5_rg2", "robot: a name in config/robots or config/drivers, or a YAML file"
    ),
    Argument("policy", "antipodal", "policy that chooses where to grasp and push"),
    Argument(
        "processes",
        "grouped",
        "grouped: few processes, for few cores; separate: one process a node",
        ("grouped", "separate"),
    ),
    Argument("record", "", "folder for the bags of what is done; empty: nothing is recorded"),
    Argument("namespace", "", "ROS namespace of all nodes"),
    Argument("parameters", "", "YAML file of ROS parameters that win over config/nodes"),
    Argument("rviz", "false", "also start rviz2 with the project's view", ("true", "false")),
    Argument(
        "backend",
        "embedded",
        "who plans: embedded, or MoveIt where it is installed (docs/moveit.md)",
        ("embedded", "moveit", "moveit_py", "move_group"),
    ),
    Argument("log_level", "info", "of all nodes", ("debug", "info", "warn", "error")),
)
_SIM = (
    Argument("objects", "10", "objects dropped on the table at the start, 0 to 100"),
    Argument("seed", "1", "of the scene and of the sensors' noise"),
    Argument(
        "scene", "", "scene file (JSON), whose first scene is laid out instead of a random drop"
    ),
    Argument(
        "meshes",
        "",
        "objects instead of blocks: pybullet, pybullet:0-99, or a folder of OBJ, STL, PLY or OFF "
        "files (FOLDER@0.001 scales millimetres)",
    ),
    Argument(
        "board",
        "",
        "calibration board in the cell: BOARD@ARM in its fingers, or BOARD@table, e.g. "
        "charuco:7x5:0.024@arm; empty: none",
    ),
    Argument("real_time_factor", "1.0", "speed of the simulation; 0: as fast as it can"),
    Argument(
        "stream_rate",
        "0.0",
        "pictures of each camera a second without being asked for, at most 30; 0: on request",
    ),
)
_ROBOT = (
    Argument(
        "camera",
        "topics",
        "who drives the overhead camera: realsense or kinect2, a node of this package; topics, a "
        "driver that runs already (docs/cameras.md)",
        ("realsense", "kinect2", "topics"),
    ),
    Argument(
        "camera_namespace",
        "",
        "of the overhead camera's topics; empty: as the robot's description says",
    ),
    Argument(
        "camera_serial",
        "",
        "serial number of the overhead camera; empty: the one that was calibrated, else any",
    ),
    Argument(
        "camera_frames",
        "true",
        "publish where the cameras are, as the robot's description says; false: a driver does",
        ("true", "false"),
    ),
    Argument(
        "discovery_range",
        "SUBNET",
        "how far the nodes are seen (ROS_AUTOMATIC_DISCOVERY_RANGE)",
        ("LOCALHOST", "SUBNET", "SYSTEM_DEFAULT"),
    ),
    Argument("use_sim_time", "false", "time from /clock (Gazebo)", ("true", "false")),
    Argument(
        "confirm",
        "true",
        "execute nothing until `selfgrasp trace` has led the hand round the workspace's border "
        "and somebody confirmed it",
        ("true", "false"),
    ),
)
_COLLECT = (
    Argument("record", "out/collect", "folder for the bags and the index of trials"),
    Argument("objects", "10", "objects of each scene, 1 to 100"),
    Argument("seed", "1", "of the scenes and of the sensors' noise"),
    Argument("tries", "100", "tries to record, on one random scene after the other"),
    Argument("resume", "false", "go on with the run in the folder of record", ("true", "false")),
)

_BASE = {"sim": _COMMON + _SIM, "robot": _COMMON + _ROBOT}
KINDS = ("sim", "robot", "collect")
"""What can be brought up."""


def arguments(kind: str) -> tuple[Argument, ...]:
    """The arguments of a kind of bring-up.

    Raises:
        UnknownName: If there is no such kind.
    """
    if kind == "collect":
        changed = {argument.name: argument for argument in _COLLECT}
        kept = [changed.pop(a.name, a) for a in _BASE["sim"] if a.name not in ("scene", "board")]
        return (*kept, *changed.values())
    if kind not in _BASE:
        raise UnknownName("bring-up", kind, KINDS)
    return _BASE[kind]


def check_arguments(kind: str, given: Mapping[str, str]) -> dict[str, str]:
    """Given values over the defaults.

    Raises:
        UnknownName: If an argument or one of its choices is not known.
    """
    table = {argument.name: argument for argument in arguments(kind)}
    for name, value in given.items():
        if name not in table:
            raise UnknownName(f"argument of 'up {kind}'", name, table)
        if table[name].choices and value not in table[name].choices:
            raise UnknownName(f"value of {name}", value, table[name].choices)
    return {name: str(given.get(name, argument.default)) for name, argument in table.items()}


def integer(values: Mapping[str, str], name: str) -> int:
    """A value as an integer.

    Raises:
        InvalidConfig: If it is none.
    """
    try:
        return int(values[name])
    except ValueError:
        raise InvalidConfig(f"{name} must be an integer, not {values[name]!r}") from None


def number(values: Mapping[str, str], name: str) -> float:
    """A value as a number.

    Raises:
        InvalidConfig: If it is none.
    """
    try:
        return float(values[name])
    except ValueError:
        raise InvalidConfig(f"{name} must be a number, not {values[name]!r}") from None
