"""Sensors that fall silent or speak seldom, from their topics to the label."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("selfgrasp.msg", reason="the interfaces are not built")

from geometry_msgs.msg import WrenchStamped
from selfgrasp.msg import GripperState
from selfgrasp.srv import Label
from sensor_msgs.msg import JointState

from selfgrasp_nodes import geometry
from selfgrasp_nodes.motion.port import ArmSample
from selfgrasp_nodes.motion.trace import Trace
from selfgrasp_nodes.nodes import conversions, qos, trial_messages
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.label_node import LabelNode
from selfgrasp_nodes.nodes.waiting import call
from selfgrasp_nodes.types import Candidate, Phase, PhaseCode, Primitive

MS = 10**6
BEGIN = 10_000  # of the try [ms]; a stamp of zero is none
PHASES = tuple(
    Phase(code, (BEGIN + start) * MS, (BEGIN + end) * MS)
    for code, start, end in (
        (PhaseCode.APPROACH, 0, 500),
        (PhaseCode.DESCEND, 500, 800),
        (PhaseCode.ACT, 800, 1700),
        (PhaseCode.LIFT, 1700, 2300),
    )
)


class Driver(BaseNode):
    """Says what an arm with an RG2 says while it lifts something 30 mm wide."""

    NAME = "driver"

    def __init__(self) -> None:
        super().__init__()
        self.arm = self.robot.arms[0]
        name = f"{self.arm.name}/gripper/state"
        self.gripper = self.create_publisher(GripperState, name, qos.STATE)
        self.wrench = self.create_publisher(WrenchStamped, self.arm.wrench_topic, qos.STATE)
        self.joints = self.create_publisher(JointState, "joint_states", qos.STATE)
        self.labels = self.create_client(Label, "label", callback_group=self.group)

    def run(self, hears, period: int = 10, silent: float = 9e9, lost: float = 9e9) -> None:
        """Publish the whole try, and half a second more; times in [ms] of it."""
        rng = np.random.default_rng(0)
        for at in range(0, 2801, 10):
            header = conversions.header("", (BEGIN + at) * MS)
            if at % period == 0 and at < silent:
                free = 0.11 - 0.15 * max(at - 800, 0) / 1000
                width = max(free, 0.03 - 0.15 * max(at - lost, 0) / 1000, 0.0)
                force = 20.0 if free <= 0.03 and at < lost else 0.1
                noise = rng.normal(0, (0.0005, 0.5))
                state = GripperState(header=header, arm=self.arm.name, width=width + noise[0])
                state.force = abs(force + noise[1])
                self.gripper.publish(state)
            message = WrenchStamped(header=header)
            message.wrench.force.z = rng.normal(0, 0.3)
            self.wrench.publish(message)
            names = list(self.arm.joints)
            self.joints.publish(JointState(header=header, name=names, position=[0.0] * 6))
            if at % 100 == 0:
                time.sleep(0.01)
        limit = time.monotonic() + 10
        while hears.newest is None or hears.newest.time < (BEGIN + 2800) * MS:
            assert time.monotonic() < limit
            time.sleep(0.01)

    def label(self) -> Label.Response:
        pose = geometry.grasp_pose(-0.5, 0, 0.03, 0.4)
        candidate = Candidate(Primitive.GRASP, pose, 0.4, 0.11, 20.0, arm=self.arm.name)
        request = Label.Request(candidate=conversions.candidate_message(candidate, "world"))
        request.phases = [trial_messages.phase_message(item) for item in PHASES]
        return call(self.labels, request, 10.0)


@pytest.fixture
def cell(spinner):
    label, driver = spinner.add(LabelNode()), spinner.add(Driver())
    sensors = label._sensors[driver.arm.name]
    limit = time.monotonic() + 10
    topics = (driver.gripper, driver.wrench, driver.joints)
    while any(topic.get_subscription_count() < 1 for topic in topics):
        assert time.monotonic() < limit
        time.sleep(0.01)
    return driver, sensors


def test_a_gripper_that_speaks_is_believed(cell) -> None:
    driver, sensors = cell
    driver.run(sensors)
    answer = driver.label()
    assert answer.outcome.code == answer.outcome.SUCCESS, answer.outcome.reason
    trace = trial_messages.trace(answer.trace)
    assert np.isfinite(trace.width).all() and np.isfinite(trace.wrench).all()
    assert trace.time[-1] == PHASES[-1].end


@pytest.mark.parametrize("silent", [1650, 2000, 2150])
def test_a_gripper_that_fell_silent_is_not_believed(cell, silent) -> None:
    driver, sensors = cell
    driver.run(sensors, silent=silent)
    answer = driver.label()
    assert answer.success, answer.message
    assert answer.outcome.code == answer.outcome.UNKNOWN, answer.outcome.reason
    assert "silent" in answer.outcome.reason
    late = trial_messages.trace(answer.trace).between((BEGIN + silent) * MS, PHASES[-1].end)
    assert np.isnan(late.width).all() and np.isnan(late.force).all()


@pytest.mark.parametrize("period", [50, 100])
def test_a_slow_gripper_is_heard_once_more(cell, period) -> None:
    """What it said last before the lift's end is older than the loss."""
    driver, sensors = cell
    driver.run(sensors, period=period, lost=2260 if period == 50 else 2220)
    answer = driver.label()
    assert answer.outcome.code == answer.outcome.SLIPPED, answer.outcome.reason
    widths = trial_messages.trace(answer.trace).width
    assert np.isfinite(widths).sum() == 2300 // period + 1


def test_a_reading_between_two_samples_belongs_to_the_second(cell) -> None:
    driver, sensors = cell
    arm, q = driver.arm, [0.0] * 6

    def say(at: int, width: float | None = None) -> None:
        header = conversions.header("", at * MS)
        if width is None:
            names = list(arm.joints)
            driver.joints.publish(JointState(header=header, name=names, position=q))
        else:
            driver.gripper.publish(GripperState(header=header, arm=arm.name, width=width))

    for at, width in ((90, 0.1), (100, None), (105, 0.2), (110, None), (120, None), (125, 0.3)):
        say(at, width)
    limit = time.monotonic() + 10
    while len(sensors._heard["gripper"]) < 3 or sensors.newest.time < 120 * MS:
        assert time.monotonic() < limit
        time.sleep(0.01)
    trace = sensors.trace(100 * MS, 200 * MS)
    assert np.allclose(trace.width, [np.nan, 0.2, np.nan], equal_nan=True)
    assert sensors.first_word(101 * MS) == 110 * MS
    assert sensors.first_word(106 * MS) is None  # no sample after it yet
    say(130)
    while sensors.newest.time < 130 * MS:
        assert time.monotonic() < limit
        time.sleep(0.01)
    assert sensors.first_word(106 * MS) == 130 * MS


def test_motion_records_no_reading_that_has_become_stale() -> None:
    trace, six = Trace(), np.zeros(6)
    fresh = ArmSample(500 * MS, six, six, 0.05, 2.0, six)
    trace.append(fresh)
    trace.append(replace(fresh, time=510 * MS, gripper_time=500 * MS, wrench_time=410 * MS))
    trace.append(replace(fresh, time=620 * MS, gripper_time=510 * MS, wrench_time=610 * MS))
    trace.append(replace(fresh, time=630 * MS, gripper_time=630 * MS, wrench_time=500 * MS))
    built = trace.build()
    assert np.allclose(built.width, [0.05, 0.05, np.nan, 0.05], equal_nan=True)
    assert np.allclose(built.force, [2.0, 2.0, np.nan, 2.0], equal_nan=True)
    assert np.isfinite(built.wrench).all(axis=1).tolist() == [True, True, True, False]
