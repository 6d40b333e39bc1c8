"""What an arm's sensors say, joined from its topics into samples on one time base."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, NamedTuple

import numpy as np
from geometry_msgs.msg import WrenchStamped
from selfgrasp.msg import GripperState
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from selfgrasp_nodes.motion.port import ArmSample
from selfgrasp_nodes.nodes import conversions, qos
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.robots import ArmSpec
from selfgrasp_nodes.robots.gripper import from_driver
from selfgrasp_nodes.types import SensorTrace

_NAN6 = np.full(6, np.nan)
_NEWEST, _DEEP = 5, 500  # messages that may wait in a queue


class Reading(NamedTuple):
    """What a sensor said, and when [ns]."""

    time: int
    values: np.ndarray


class ArmSensors:
    """One arm's joint states, gripper and wrench.

    Each joint state makes a sample, with the newest gripper state and wrench at
    that time, and when those were read. Where no gripper state is published,
    opening and force are computed from the gripper's joint.

    Args:
        node: Whose executor hears the topics.
        arm: The arm.
        history: How much is kept [s]; 0 keeps the newest sample only.
    """

    def __init__(self, node: BaseNode, arm: ArmSpec, history: float = 0.0):
        self.arm = arm
        self.newest: ArmSample | None = None
        self._samples: deque[ArmSample] = deque()
        self._history = round(history * 1e9)
        self._order: tuple[tuple[str, ...], list[int], int] | None = None
        self._gripper_speaks = False
        self._fingers = Reading(0, np.full(2, np.nan))
        self._wrench = Reading(0, _NAN6)
        self._heard: dict[str, deque[Reading]] = {"gripper": deque(), "wrench": deque()}
        self._kept: tuple[deque[Any], ...] = (self._samples, *self._heard.values())
        self._changed = threading.Condition()

        # Who labels must not miss a sample; who moves must not act on an old one.
        profile = qos.state(_DEEP if history else _NEWEST)

        def subscribe(kind: type, topic: str, take: Any) -> None:
            node.create_subscription(kind, topic, take, profile, callback_group=node.group)

        # In the order in which the simulation publishes them: the joints complete a sample.
        subscribe(GripperState, f"{arm.name}/gripper/state", self._take_gripper)
        subscribe(WrenchStamped, arm.wrench_topic, self._take_wrench)
        subscribe(JointState, "joint_states", self._take_joints)

    def wait_newer(
        self, than: int, timeout: float, stop: threading.Event | None = None
    ) -> ArmSample | None:
        """The newest sample if it is newer than a time [ns].

        None after ``timeout`` [s], or as soon as ``stop`` is set and :meth:`wake` called.
        """

        def over() -> bool:
            stopped = stop is not None and stop.is_set()
            return stopped or (self.newest is not None and self.newest.time > than)

        with self._changed:
            self._changed.wait_for(over, timeout)
            sample = self.newest
        return sample if sample is not None and sample.time > than else None

    def wake(self) -> None:
        """Let those who wait look at their ``stop`` event."""
        with self._changed:
            self._changed.notify_all()

    def trace(self, start: int, end: int) -> SensorTrace | None:
        """The samples with start <= time <= end [ns]; None where there is none.

        Each reading of gripper and wrist stands once, in the sample at its time or the
        first one after it; NaN elsewhere.
        """
        with self._changed:
            kept = [s for s in self._samples if start <= s.time <= end]
            heard = {name: list(readings) for name, readings in self._heard.items()}
        if not kept:
            return None
        time = np.array([s.time for s in kept], np.int64)
        fingers = _placed(heard["gripper"], time, 2)
        return SensorTrace(
            time,
            fingers[:, 0],
            fingers[:, 1],
            _placed(heard["wrench"], time, 6),
            np.array([s.q for s in kept]),
            np.array([s.effort for s in kept]),
        )

    def first_word(self, since: int) -> int | None:
        """Time of the sample in which the gripper first spoke from ``since`` on [ns].

        None where it has not yet.
        """
        with self._changed:
            word = _first(self._heard["gripper"], since)
            return None if word is None else _first(self._samples, word)

    def _take_gripper(self, message: GripperState) -> None:
        self._gripper_speaks = True
        self._fingers = self._hear("gripper", message.header, (message.width, message.force))

    def _take_wrench(self, message: WrenchStamped) -> None:
        f, t = message.wrench.force, message.wrench.torque
        self._wrench = self._hear("wrench", message.header, (f.x, f.y, f.z, t.x, t.y, t.z))

    def _hear(self, sensor: str, header: Header, values: tuple[float, ...]) -> Reading:
        """Keep a reading; one without a stamp is of now."""
        time = conversions.stamp(header.stamp)
        if not time and self.newest is not None:
            time = self.newest.time
        reading = Reading(time, np.array(values, float))
        if self._history:
            with self._changed:
                self._heard[sensor].append(reading)
        return reading

    def _take_joints(self, message: JointState) -> None:
        names = tuple(message.name)
        if self._order is None or self._order[0] != names:
            if any(joint not in names for joint in self.arm.joints):
                return  # joint states of another device on the same topic
            gripper = self.arm.gripper.driver_joint or self.arm.gripper.joint
            finger = names.index(gripper) if gripper in names else -1
            self._order = (names, [names.index(joint) for joint in self.arm.joints], finger)
        _, order, finger = self._order
        position = np.asarray(message.position)
        has_effort = len(message.effort) == len(names)
        effort = np.asarray(message.effort) if has_effort else np.full(len(names), np.nan)
        if not self._gripper_speaks:
            opening = self._opening(position, effort, finger)
            self._fingers = self._hear("gripper", message.header, opening)
        width, force = self._fingers.values.tolist()
        sample = ArmSample(
            conversions.stamp(message.header.stamp),
            position[order],
            effort[order],
            width,
            force,
            self._wrench.values,
            self._fingers.time,
            self._wrench.time,
        )
        with self._changed:
            if self.newest is not None and sample.time < self.newest.time - 1_000_000_000:
                for kept in self._kept:  # time jumped back: a restarted simulation
                    kept.clear()
            self.newest = sample
            if self._history:
                self._samples.append(sample)
                for kept in self._kept:
                    while kept and sample.time - kept[0].time > self._history:
                        kept.popleft()
            self._changed.notify_all()

    def _opening(
        self, position: np.ndarray, effort: np.ndarray, finger: int
    ) -> tuple[float, float]:
        """Opening [m] and force [N] of the gripper's joint."""
        gripper = self.arm.gripper
        if finger < 0:
            return float("nan"), float("nan")
        width, force = from_driver(gripper, float(position[finger]), float(effort[finger]))
        return width, force if gripper.measures_force else float("nan")


def _placed(readings: list[Reading], time: np.ndarray, size: int) -> np.ndarray:
    """(N, size) readings at the samples' times [ns]; NaN where none belongs."""
    values = np.full((len(time), size), np.nan)
    at = np.searchsorted(time, [reading.time for reading in readings])
    # What was read before the first sample is no reading of these.
    for index, reading in zip(at, readings, strict=True):
        if index < len(time) and (index > 0 or reading.time == time[0]):
            values[index] = reading.values
    return values


def _first(stamped: deque[Any], since: int) -> int | None:
    """The first time of these that is not before ``since`` [ns]; near the end, as a rule."""
    first = None
    for item in reversed(stamped):
        if item.time < since:
            break
        first = item.time
    return first
