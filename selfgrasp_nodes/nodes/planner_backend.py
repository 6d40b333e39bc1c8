"""Which planner the motion node uses: the embedded one, or MoveIt by one of its two ways."""

from __future__ import annotations

import importlib.util
from typing import Any

from selfgrasp_nodes.errors import MissingDependency, UnknownName
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.motion.moveit_parameters import moveit_folder, moveit_parameters
from selfgrasp_nodes.motion.moveit_planner import MoveItPlanner
from selfgrasp_nodes.motion.moveit_types import MoveItBackend
from selfgrasp_nodes.motion.options import MotionOptions
from selfgrasp_nodes.nodes import moveit_py_client
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.move_group_client import PLAN, PLANNERS, SCENE, MoveGroupClient
from selfgrasp_nodes.nodes.waiting import call
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.robots.loader import robot_file

BACKENDS = ("embedded", "moveit", "moveit_py", "move_group")
"""``moveit`` is moveit_py where that is installed, and else a running move_group."""


def resolve(backend: str) -> str:
    """The back end that a name stands for on this machine.

    Raises:
        UnknownName: If there is no such back end.
        MissingDependency: If what it needs is not installed.
    """
    if backend not in BACKENDS:
        raise UnknownName("planner back end", backend, BACKENDS)
    if backend == "embedded":
        return backend
    messages = importlib.util.find_spec("moveit_msgs") is not None
    bindings = messages and moveit_py_client.available()
    if backend == "moveit":
        backend = "moveit_py" if bindings else "move_group"
    if not (bindings if backend == "moveit_py" else messages):
        package = "moveit-py" if backend == "moveit_py" else "moveit-ros-move-group"
        raise MissingDependency(
            f"planner back end {backend!r} needs MoveIt: apt install ros-$ROS_DISTRO-{package} "
            "and source the ROS installation; 'embedded' needs nothing"
        )
    return backend


def make_planner(node: BaseNode, options: MotionOptions, backend: str) -> EmbeddedPlanner:
    """The planner of a node.

    Args:
        node: Calls ``move_group``; its ``use_sim_time`` is MoveIt's, too.
        options: Of motion.
        backend: One of :data:`BACKENDS`.

    Raises:
        UnknownName: If a name is not known, the sampling-based planner's among them.
        MissingDependency: If what it needs is not installed.
        InvalidConfig: If the robot's MoveIt configuration cannot be used.
    """
    robot: RobotSpec = node.robot
    backend = resolve(backend)
    if backend == "embedded":
        return EmbeddedPlanner(robot, options)
    use_sim_time = bool(node.get_parameter("use_sim_time").value)
    folder = moveit_folder(robot, robot_file(node.values["robot"]))
    parameters = moveit_parameters(robot, use_sim_time=use_sim_time, folder=folder)
    way: MoveItBackend
    if backend == "moveit_py":
        way = moveit_py_client.MoveItPyClient(parameters, node.get_namespace().strip("/"))
    else:
        way = MoveGroupClient(_services(node))
    return MoveItPlanner(robot, options, way, parameters)


def _services(node: BaseNode) -> Any:
    from moveit_msgs.srv import ApplyPlanningScene, GetMotionPlan, QueryPlannerInterfaces

    kinds = {PLAN: GetMotionPlan, SCENE: ApplyPlanningScene, PLANNERS: QueryPlannerInterfaces}
    clients: dict[str, Any] = {
        name: node.create_client(kind, name, callback_group=node.group)
        for name, kind in kinds.items()
    }
    return lambda name, request, timeout: call(clients[name], request, timeout)
