"""The one description of what runs where.

``launch/*.launch.py`` turn it into launch actions, ``selfgrasp up`` starts the
same processes where no ROS launch is installed. A description names the
processes, the nodes in each, their parameters and remappings, and what happens
when one dies.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from selfgrasp_nodes.bringup_arguments import check_arguments, integer, number
from selfgrasp_nodes.errors import InvalidConfig, MissingDependency
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots.loader import robot_file


class OnDeath(str, Enum):
    """What happens to the rest when a process ends by itself."""

    STOP = "stop"
    GO_ON = "go on"


@dataclass(frozen=True)
class NodeEntry:
    """One node: parameters on top of its file in ``config/nodes``, and remappings."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    remappings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Process:
    """One process.

    Attributes:
        name: For messages.
        nodes: Hosted in it.
        on_death: What happens to the rest when it dies.
        command: Something else than nodes of this package, e.g. ``rviz2``.
        remedy: What to do where that is not installed.
        files: Written before it starts, by name: their texts. ``{folder}`` in them, in
            commands and in nodes' parameters is the folder where they lie.
    """

    name: str
    nodes: tuple[NodeEntry, ...] = ()
    on_death: OnDeath = OnDeath.STOP
    command: tuple[str, ...] = ()
    remedy: str = ""
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Description:
    """What a bring-up starts.

    Attributes:
        kind: ``sim``, ``robot`` or ``collect``.
        processes: In the order in which they start.
        environment: Variables to set.
        arguments: The values that it was made from.
    """

    kind: str
    processes: tuple[Process, ...]
    environment: dict[str, str]
    arguments: dict[str, str]

    @property
    def nodes(self) -> dict[str, NodeEntry]:
        """All nodes by name."""
        return {node.name: node for process in self.processes for node in process.nodes}

    def check_programs(self) -> None:
        """Refuse, before anything starts, what starts programs that are not installed.

        Raises:
            MissingDependency: With all that is missing, and what to do about it.
        """
        missing: dict[str, str] = {}
        for process in self.processes:
            missing.update(dict.fromkeys(_missing(process.command), process.remedy))
        if missing:
            remedies = "; ".join(filter(None, dict.fromkeys(missing.values())))
            raise MissingDependency(
                f"not installed: {', '.join(missing)}" + (f"; {remedies}" if remedies else "")
            )

    def commands(self, folder: Path) -> list[list[str]]:
        """The command line of each process.

        Args:
            folder: Where the parameter files are written. The caller removes it
                when the processes have ended.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for process in self.processes:
            for name, text in process.files.items():
                (folder / name).write_text(text.replace(FOLDER, str(folder)))
        return [_command(process, folder, self) for process in self.processes]


def _missing(command: Sequence[str]) -> list[str]:
    """The program of a command line, and the package of a ``ros2 run``, that are not there."""
    if not command:
        return []
    missing = [] if shutil.which(command[0]) else [command[0]]
    if tuple(command[:2]) == ("ros2", "run"):
        prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
        marker = Path("share", "ament_index", "resource_index", "packages", command[2])
        if not any(prefix and (prefix / marker).is_file() for prefix in map(Path, prefixes)):
            missing.append(f"ROS package {command[2]}")
    return missing


FOLDER = "{folder}"
"""Stands for the folder of parameter files until it is known."""


def describe(kind: str, given: Mapping[str, str] | None = None) -> Description:
    """The description of a bring-up.

    Args:
        kind: One of :data:`selfgrasp_nodes.bringup_arguments.KINDS`.
        given: Arguments that differ from their defaults.

    Raises:
        UnknownName: If a name or a choice is not known.
        InvalidConfig: If a number is none.
    """
    values = check_arguments(kind, given or {})
    robot_file(values["robot"])  # refuses a name that is none
    simulated = kind in ("sim", "collect")
    nodes = _nodes(kind, values, simulated)
    processes = [
        Process(name, tuple(nodes[n] for n in names if n in nodes), on_death)
        for name, names, on_death in _groups(values["processes"], list(nodes), kind)
    ]
    processes = [process for process in processes if process.nodes]
    if values["rviz"] == "true":
        view = str(share_dir() / "config" / "rviz" / "selfgrasp.rviz")
        remedy = "rviz2 comes with a ROS distribution: source one, or leave rviz:=true out"
        command = ("rviz2", "-d", view)
        processes.append(Process("rviz", on_death=OnDeath.GO_ON, command=command, remedy=remedy))
    environment = {
        "ROS_AUTOMATIC_DISCOVERY_RANGE": values.get("discovery_range", "LOCALHOST"),
        # Small matrices: more threads than this only take the cores from each other.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # Worlds and pictures go back to the system when they are freed: left to itself, malloc
        # raises this limit and keeps some 24 MiB of each scene that is laid out.
        "MALLOC_MMAP_THRESHOLD_": "1048576",
    }
    return Description(kind, tuple(processes), environment, values)


def _nodes(kind: str, values: dict[str, str], simulated: bool) -> dict[str, NodeEntry]:
    """All nodes with their parameters, in the order in which they start."""
    namespace = values.get("camera_namespace", "")
    use_sim_time = simulated or values.get("use_sim_time") == "true"
    common = {"robot": values["robot"], "use_sim_time": use_sim_time}
    camera_parameter = {"camera_namespace": namespace} if namespace else {}
    special: dict[str, dict[str, Any]] = {
        "sim": {},
        **_camera_nodes(values, camera_parameter),
        "heightmap": dict(camera_parameter),
        "roi": dict(camera_parameter),
        "policy": {"policy": values["policy"]},
        "motion": {
            "backend": values["backend"],
            "workspace_confirmed": values.get("confirm", "false") == "false",
        },
        "label": {},
        "recorder": {"uri": values["record"], "record_at_start": kind != "collect"},
        "picker": {"record": bool(values["record"]), "simulated": simulated},
    }
    if simulated:
        special["sim"] = {
            "objects": integer(values, "objects"),
            "seed": integer(values, "seed"),
            "scene": values.get("scene", ""),
            "meshes": values["meshes"],
            "board": values.get("board", ""),
            "real_time_factor": number(values, "real_time_factor"),
            "stream_rate": number(values, "stream_rate"),
        }
    else:
        del special["sim"]
    if not values["record"]:
        del special["recorder"]
    if kind == "collect":
        special["picker"] |= {
            "collect_tries": integer(values, "tries"),
            "collect_resume": values["resume"] == "true",
            "collect_objects": integer(values, "objects"),
            "collect_seed": integer(values, "seed"),
            "collect_uri": values["record"],
        }
    return {name: NodeEntry(name, {**common, **more}) for name, more in special.items()}


def _camera_nodes(
    values: dict[str, str], camera_parameter: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """A real robot's camera and where it is; in simulation the sim node does both."""
    nodes: dict[str, dict[str, Any]] = {}
    if values.get("camera_frames") == "true":
        nodes["camera_frames"] = {}
    if values.get("camera", "topics") != "topics":
        serial = {"serial": values["camera_serial"]} if values["camera_serial"] else {}
        nodes[f"{values['camera']}_camera"] = {**camera_parameter, **serial, "use_sim_time": False}
    return nodes


# On two cores: the simulator alone, then what works between two images, the
# policy (the only one with a network), motion, and what waits for the others.
_GROUPED = (
    ("sim", ("sim",), OnDeath.STOP),
    ("camera", ("realsense_camera", "kinect2_camera"), OnDeath.STOP),
    ("perception", ("camera_frames", "heightmap", "roi", "label"), OnDeath.STOP),
    ("policy", ("policy",), OnDeath.STOP),
    ("motion", ("motion",), OnDeath.STOP),
    ("picker", ("picker", "recorder"), OnDeath.STOP),
)
# Picking goes on without these two; a night's recording does not without its recorder.
_OPTIONAL = ("roi", "recorder")


def _groups(
    mode: str, names: Sequence[str], kind: str
) -> list[tuple[str, tuple[str, ...], OnDeath]]:
    if mode == "grouped":
        return list(_GROUPED)
    optional = ("roi",) if kind == "collect" else _OPTIONAL
    return [(name, (name,), OnDeath.GO_ON if name in optional else OnDeath.STOP) for name in names]


def _command(process: Process, folder: Path, description: Description) -> list[str]:
    if process.command:
        return [word.replace(FOLDER, str(folder)) for word in process.command]
    values = description.arguments
    command = [sys.executable, "-m", "selfgrasp_nodes.nodes.main"]
    command += [node.name for node in process.nodes] + ["--ros-args"]
    command += ["--log-level", values["log_level"]]
    if values["namespace"]:
        command += ["-r", f"__ns:=/{values['namespace'].strip('/')}"]
    for node in process.nodes:
        command += ["--params-file", str(parameter_file(node, folder))]
        for source, target in node.remappings.items():
            command += ["-r", f"{node.name}:{source}:={target}"]
    if values["parameters"]:
        if not Path(values["parameters"]).is_file():
            raise InvalidConfig(f"parameter file {values['parameters']!r} does not exist")
        command += ["--params-file", os.path.abspath(values["parameters"])]
    return command


def parameter_file(node: NodeEntry, folder: Path) -> Path:
    """Write a node's parameters: those of its file in ``config/nodes``, then its own.

    Raises:
        InvalidConfig: If the shipped file cannot be read.
    """
    shipped = share_dir() / "config" / "nodes" / f"{node.name}.yaml"
    parameters: dict[str, Any] = {}
    if shipped.is_file():
        try:
            content = yaml.safe_load(shipped.read_text()) or {}
            for section in content.values():
                parameters.update(section["ros__parameters"] or {})
        except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
            raise InvalidConfig(f"{shipped} is not a ROS parameter file: {error!r}") from error
    for name, value in node.parameters.items():
        parameters[name] = value.replace(FOLDER, str(folder)) if isinstance(value, str) else value
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{node.name}.yaml"
    path.write_text(yaml.safe_dump({f"/**/{node.name}": {"ros__parameters": parameters}}))
    return path
