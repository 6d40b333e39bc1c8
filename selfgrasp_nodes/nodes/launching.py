"""The bring-up description as actions of ROS's launch system.

Imported by ``launch/*.launch.py`` alone: ``launch`` is not among the PyPI wheels,
where ``selfgrasp up`` starts the same description.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration

from launch import LaunchContext, LaunchDescription  # type: ignore[attr-defined]
from selfgrasp_nodes import bringup
from selfgrasp_nodes.bringup_arguments import arguments
from selfgrasp_nodes.nodes import gazebo
from selfgrasp_nodes.supervisor import Death, last_error

# Between SIGINT and SIGTERM, and again to SIGKILL [s]: what hangs is gone in less than 5 s.
_PATIENCE = "2"


def launch_description(kind: str) -> LaunchDescription:
    """What ``ros2 launch`` runs for one kind of bring-up.

    Args:
        kind: One of :data:`selfgrasp_nodes.bringup_arguments.KINDS`, or ``gazebo``.
    """
    simulator = kind == gazebo.KIND
    table = gazebo.ARGUMENTS if simulator else arguments(kind)
    declared = [
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.description,
            **({"choices": list(argument.choices)} if argument.choices else {}),
        )
        for argument in table
    ]

    def start(context: LaunchContext) -> list[Any]:
        given = {a.name: LaunchConfiguration(a.name).perform(context) for a in table}
        return _actions(gazebo.describe(given) if simulator else bringup.describe(kind, given))

    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def _actions(description: bringup.Description) -> list[Any]:
    description.check_programs()
    actions: list[Any] = []
    folder = Path(tempfile.mkdtemp(prefix="selfgrasp-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # a node may be started late
    commands = description.commands(folder)
    for process, command in zip(description.processes, commands, strict=True):
        lines: list[str] = []
        action = ExecuteProcess(
            cmd=command,
            name=process.name,
            output="screen",
            additional_env={**description.environment, "PYTHONUNBUFFERED": "1"},
            sigterm_timeout=_PATIENCE,
            sigkill_timeout=_PATIENCE,
        )
        actions += [action, *_watch(action, process, lines)]
    return actions


def _watch(action: ExecuteProcess, process: bringup.Process, lines: list[str]) -> list[Any]:
    """Keep the last lines of a process; when it dies, name it and do as described."""
    from launch.event_handlers import OnProcessIO

    def take(event: Any) -> None:
        lines.extend(event.text.decode(errors="replace").splitlines())
        del lines[:-60]

    def ended(event: Any, context: LaunchContext) -> list[Any]:
        if context.is_shutdown:
            return []
        stops = process.on_death is bringup.OnDeath.STOP
        nodes = tuple(node.name for node in process.nodes)
        reason = str(Death(process.name, nodes, event.returncode, last_error(lines), stops))
        more = [EmitEvent(event=Shutdown(reason=reason))] if stops else []
        return [LogInfo(msg=reason), *more]

    return [
        RegisterEventHandler(OnProcessIO(target_action=action, on_stdout=take, on_stderr=take)),
        RegisterEventHandler(OnProcessExit(target_action=action, on_exit=ended)),
    ]
