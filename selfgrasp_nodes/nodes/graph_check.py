"""A running graph, looked at from outside: what is missing, and what to do.

Names, rates and latencies are measured with subscriptions of a node of its
own. Nothing is moved; the cameras are asked for pictures.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock as ClockMsg
from sensor_msgs.msg import JointState

from selfgrasp_nodes.doctor import Finding, Level
from selfgrasp_nodes.errors import Unavailable
from selfgrasp_nodes.nodes import conversions
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.cameras import CameraStream, world_T_camera
from selfgrasp_nodes.nodes.main import NODES
from selfgrasp_nodes.nodes.params import Value
from selfgrasp_nodes.nodes.sensor_findings import (
    camera_findings,
    clock_findings,
    joint_state_findings,
)
from selfgrasp_nodes.nodes.tf import TransformListener
from selfgrasp_nodes.robots import ArmSpec

SERVICES = {
    "sim": ("sim/reset", "sim/step", "sim/get_truth"),
    "heightmap": ("capture",),
    "policy": ("plan", "load_checkpoint"),
    "motion": ("put_away",),
    "label": ("label",),
    "recorder": ("start_run", "store_trial"),
    "roi": ("capture_background", "sample_region"),
}
"""Services of each node of this package."""

ACTIONS = {"motion": ("execute", "move_arm"), "picker": ("pick", "clear_table", "collect")}
"""Actions of each node of this package."""

TOPICS = {"heightmap": ("heightmap", "observation"), "roi": ("regions",), "label": ("outcomes",)}
"""What each node of this package publishes."""

TRUTH = ("policy", "label")
"""Nodes that must not hear simulator truth."""

OPTIONAL = ("sim", "recorder", "roi", "realsense_camera", "kinect2_camera", "camera_frames")
"""Nodes without which a graph may be whole: drivers, no recording, no regions."""

_DISCOVERY = 2.5  # until what is seen is believed [s]
_ALONE = 4.5  # until nobody is believed to be there: they announce themselves every 3 s [s]
_PATIENCE = 8.0  # until a single node that is missing is believed to be [s]


def graph_findings(
    robot: str = "ur5_rg2", namespace: str = "", seconds: float = 5.0, required: bool = True
) -> list[Finding]:
    """Look at the graph in this process's ROS domain.

    Args:
        robot: Name or file of the robot that should be there.
        namespace: Of its nodes.
        seconds: How long rates are measured.
        required: Whether it is a fault that no node runs.
    """
    context = Context()
    rclpy.init(context=context)
    parameters: dict[str, Value] = {"robot": str(robot)}
    space = f"/{namespace.strip('/')}" if namespace.strip("/") else None
    try:
        node = GraphCheck(parameters=parameters, context=context, namespace=space)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)

        def spin() -> None:
            with contextlib.suppress(ExternalShutdownException):
                executor.spin()

        thread = threading.Thread(target=spin, daemon=True)
        thread.start()
        try:
            return list(node.examine(seconds, required))
        finally:
            executor.shutdown(1.0)
            thread.join(2.0)
            node.close()
            node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)


class GraphCheck(BaseNode):
    """Listens to everything that a robot's graph should offer."""

    NAME = "graph_check"

    def __init__(
        self,
        parameters: dict[str, Value] | None = None,
        context: Context | None = None,
        namespace: str | None = None,
    ):
        """Subscribe."""
        super().__init__(parameters, context, namespace, use_sim_time=False)
        self._states: list[tuple[float, JointState]] = []
        self._ticks: list[tuple[float, float]] = []
        self._diagnostics_heard: dict[str, DiagnosticStatus] = {}

        def subscribe(kind: type, topic: str, take: Callable[[Any], None]) -> None:
            profile = qos_profile_sensor_data
            self.create_subscription(kind, topic, take, profile, callback_group=self.group)

        subscribe(JointState, "joint_states", self._take_joints)
        subscribe(ClockMsg, "/clock", self._take_clock)
        subscribe(DiagnosticArray, "/diagnostics", self._take_diagnostics)
        self._tf = TransformListener(self, self.group)
        self._streams = {c.name: CameraStream(self, c) for c in self.robot.cameras}

    def examine(self, seconds: float, required: bool) -> Iterator[Finding]:
        """Everything, in the order in which one thing rests on the other."""
        domain = os.environ.get("ROS_DOMAIN_ID", "0")
        seen = self._discovered()
        if not seen:
            yield Finding(
                "graph",
                "nodes",
                Level.FAIL if required else Level.OK,
                f"no node runs in ROS domain {domain}",
                "start them with 'selfgrasp up sim', or set ROS_DOMAIN_ID and "
                "ROS_AUTOMATIC_DISCOVERY_RANGE as theirs"
                if required
                else "",
            )
            return
        self._states.clear()
        self._ticks.clear()
        begun = time.monotonic()
        yield Finding("graph", "nodes", Level.OK, f"{', '.join(seen)} in ROS domain {domain}")
        yield from self._nodes(seen)
        for camera in self.robot.cameras:
            yield from camera_findings(camera, self._streams[camera.name])
        time.sleep(max(0.0, begun + seconds - time.monotonic()))
        listened = time.monotonic() - begun
        yield from clock_findings(self._ticks, listened, "sim" in seen)
        states = [message for _, message in self._states]
        topic = self._full("joint_states")
        yield from joint_state_findings(self.robot, topic, states, listened)
        for arm in self.robot.arms:
            yield from self._arm(arm, "sim" in seen)
        yield from self._frames()
        yield from self._truth(seen)
        yield from self._said()

    # -- nodes, services, actions, topics

    def _others(self) -> list[str]:
        """Nodes in this namespace, itself left out."""
        space = self.get_namespace()
        pairs = self.get_node_names_and_namespaces()
        return sorted({n for n, s in pairs if s == space and n != self.get_name()})

    def _discovered(self) -> list[str]:
        """The same, once all that are needed are there or have had their time.

        On a busy machine it takes seconds until another process's list of nodes arrives.
        """
        begun = time.monotonic()
        needed = set(NODES) - set(OPTIONAL)
        while True:
            seen = self._others()
            waited = time.monotonic() - begun
            enough = needed <= set(seen) or waited > _PATIENCE
            if (enough if seen else waited > _ALONE) and waited > _DISCOVERY:
                return seen
            time.sleep(0.1)

    def _nodes(self, seen: Sequence[str]) -> Iterator[Finding]:
        for name in NODES:
            if name in seen or name in OPTIONAL:
                continue
            remedy = "look at its last lines in the terminal; 'selfgrasp up sim' starts them all"
            yield Finding("graph", name, Level.FAIL, "this node does not run", remedy)
        services = {n for n, _ in self.get_service_names_and_types()}
        topics = {n for n, _ in self.get_topic_names_and_types()}
        for name in (n for n in NODES if n in seen):
            missing = [s for s in SERVICES.get(name, ()) if self._full(s) not in services]
            missing += [a for a in ACTIONS.get(name, ()) if not self._has_action(a, services)]
            missing += [t for t in TOPICS.get(name, ()) if self._full(t) not in topics]
            level = Level.FAIL if missing else Level.OK
            offers = len(SERVICES.get(name, ())) + len(ACTIONS.get(name, ()))
            found = f"does not offer {', '.join(missing)}" if missing else f"offers all {offers}"
            remedy = "it is still starting, or remapped: look at its lines" if missing else ""
            yield Finding("graph", name, level, found, remedy)

    def _full(self, name: str) -> str:
        return self.resolve_topic_name(name)

    def _has_action(self, name: str, services: set[str]) -> bool:
        return f"{self._full(name)}/_action/send_goal" in services

    # -- sensors

    def _arm(self, arm: ArmSpec, simulated: bool) -> Iterator[Finding]:
        services = {n for n, _ in self.get_service_names_and_types()}
        for what, action in (
            ("trajectory controller", arm.trajectory_action),
            ("gripper controller", arm.gripper.command_topic),
        ):
            wired = action == arm.gripper.command_topic and arm.gripper.tool_io is not None
            here = self._full(action) in services if wired else self._has_action(action, services)
            remedy = (
                "look at the lines of 'sim'"
                if simulated
                else "start the driver and load the controller (ros2 control list_controllers); "
                "if it has another name, correct it in the robot's YAML"
            )
            yield Finding(
                "arms",
                f"{arm.name}: {what}",
                Level.OK if here else Level.FAIL,
                f"{'service' if wired else 'action'} {self._full(action)}"
                + ("" if here else " is not there"),
                "" if here else remedy,
            )
        for what, topic, level in (
            ("wrench", arm.wrench_topic, Level.WARN),
            ("gripper state", f"{arm.name}/gripper/state", Level.WARN),
        ):
            count = self.count_publishers(self._full(topic))
            remedy = "without it labels rest on the gripper's joint alone; start its driver"
            yield Finding(
                "arms",
                f"{arm.name}: {what}",
                Level.OK if count else level,
                f"{self._full(topic)}: {count} publishers",
                "" if count else remedy,
            )

    # -- frames

    def _frames(self) -> Iterator[Finding]:
        for name, stream in self._streams.items():
            camera = self.robot.camera(name)
            frame = camera.frame
            try:
                if stream.last is not None:
                    frame = stream.last.color.header.frame_id
                    pose = world_T_camera(self._tf, self.frame, stream.last)
                else:
                    pose = self._tf.lookup(self.frame, frame)
            except Unavailable as error:
                remedy = "publish the calibration (static_transform_publisher)"
                yield Finding("frames", frame, Level.FAIL, str(error), remedy)
                continue
            where = ", ".join(f"{v:.3f}" for v in pose[:3, 3])
            yield Finding("frames", frame, Level.OK, f"at ({where}) in {self.frame}")
        for arm in self.robot.arms:
            try:
                pose = self._tf.lookup(self.frame, arm.tip_link, timeout=0.5)
            except Unavailable as error:
                remedy = "start robot_state_publisher with this robot's URDF"
                yield Finding("frames", arm.tip_link, Level.FAIL, str(error), remedy)
                continue
            where = ", ".join(f"{v:.3f}" for v in pose[:3, 3])
            yield Finding("frames", arm.tip_link, Level.OK, f"at ({where}) in {self.frame}")

    # -- truth and diagnostics

    def _truth(self, seen: Sequence[str]) -> Iterator[Finding]:
        """Nodes that decide or label hear no simulator truth."""
        topic = self._full("sim/truth")
        listeners = {info.node_name for info in self.get_subscriptions_info_by_topic(topic)}
        for name in (n for n in TRUTH if n in seen):
            cheats = name in listeners
            found = f"{'hears' if cheats else 'does not hear'} {topic}"
            remedy = "remove that subscription: results would be worthless" if cheats else ""
            yield Finding("truth", name, Level.FAIL if cheats else Level.OK, found, remedy)

    def _said(self) -> Iterator[Finding]:
        """What the nodes say of themselves in /diagnostics."""
        own = self.get_fully_qualified_name()
        for name, status in sorted(self._diagnostics_heard.items()):
            if name == own or not name.startswith("/"):
                continue
            fine = status.level in (DiagnosticStatus.OK, b"\x00")
            figures = ", ".join(f"{v.key} {v.value}" for v in status.values)
            found = figures if fine else f"{status.message} ({figures})"
            remedy = "" if fine else "see the node's lines in the terminal"
            yield Finding("diagnostics", name, Level.OK if fine else Level.WARN, found, remedy)

    # -- callbacks

    def _take_joints(self, message: JointState) -> None:
        self._states.append((time.monotonic(), message))

    def _take_clock(self, message: ClockMsg) -> None:
        self._ticks.append((time.monotonic(), conversions.stamp(message.clock) * 1e-9))

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self._diagnostics_heard[status.name] = status
