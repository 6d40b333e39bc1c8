"""What a robot's drivers do wrong, and what the graph of a robot's bring-up makes of it.

The drivers are a process of its own (``faulty_robot.py``). Each fault must end the
goal with a clear error and stop the arm; the try is recorded as what it was; and when
the fault is gone the next goal works, without anything being started again.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_cases import a_candidate, joints_now
from selfgrasp.action import Execute, MoveArm, Pick
from selfgrasp.msg import Phase, Status
from selfgrasp.srv import Capture, Plan
from std_msgs.msg import String

from selfgrasp_nodes.nodes import qos
from selfgrasp_nodes.trials.reader import RunReader

HERE = Path(__file__).parent


class Robot:
    """A robot's bring-up, and its drivers, which start and fail as they are told."""

    def __init__(self, graph: Any):
        self.graph = graph
        self.drivers: subprocess.Popen | None = None
        self._said: list[str] = []
        self._fault = graph.node.create_publisher(String, "fault", qos.LATCHED)
        graph.node.create_subscription(
            String, "fault/now", lambda m: self._said.append(m.data), qos.LATCHED
        )

    def start_drivers(self) -> None:
        command = [sys.executable, str(HERE / "faulty_robot.py"), "--die-with-parent"]
        parameters = ["--ros-args", "-p", "objects:=6", "-p", "seed:=3"]
        self.drivers = subprocess.Popen([*command, *parameters], stdout=subprocess.PIPE, text=True)
        assert self.drivers.stdout is not None
        line = self.drivers.stdout.readline()
        assert "READY" in line, line

    def fails(self, how: str) -> None:
        self._said.clear()
        self._fault.publish(String(data=how))
        limit = time.monotonic() + 20
        while how not in self._said:
            assert time.monotonic() < limit, "the drivers do not answer"
            time.sleep(0.02)

    def pick(self, **fields):
        sent = self.graph.send(Pick, "pick", Pick.Goal(max_attempts=1, **fields))
        return sent.result(150.0)

    def works_again(self) -> None:
        """Any of three goals, none of which ends with a fault of the robot."""
        self.fails("")
        self.graph.drop(6, 3)
        results = []
        for seed in range(3):
            result = self.pick(seed=seed)
            results.append((result.code, result.message))
            if result.success:
                return
        raise AssertionError(f"no pick succeeds any more: {results}")

    def close(self) -> None:
        if self.drivers is not None:
            self.drivers.terminate()
            self.drivers.wait(10.0)


@pytest.fixture(scope="module")
def robot(robot_graph):
    robot = Robot(robot_graph)
    yield robot
    robot.close()


def stands(robot: Robot) -> bool:
    """Whether the arm stands still now."""
    before = joints_now(robot.graph)
    time.sleep(0.5)
    return bool(np.abs(joints_now(robot.graph) - before).max() < 0.005)


def last_record(robot: Robot):
    return RunReader(robot.graph.bag).records[-1]


def test_a_robot_that_is_not_there(robot) -> None:
    """As with a wrong IP: no driver gets a connection. When it does, the same graph works."""
    result = robot.pick(seed=1)
    assert not result.success and result.code == Status.UNAVAILABLE, result.message
    assert "overhead" in result.message, "it names the topic that is silent"
    for kind, name, goal in (
        (MoveArm, "move_arm", MoveArm.Goal()),
        (Execute, "execute", Execute.Goal(candidate=a_candidate(z=0.1))),
    ):
        answer = robot.graph.send(kind, name, goal).result(60.0)
        assert answer.code == Status.UNAVAILABLE, answer.message
        assert "no joint states" in answer.message and "driver" in answer.message
    robot.start_drivers()
    robot.works_again()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("reject", "refused the goal"),
        ("abort", "path tolerance violation"),
        ("protective stop", "protective or emergency stop"),
        ("joints silent", "fell silent"),
        ("gripper silent", "did not finish within"),
    ],
)
def test_a_fault_in_a_try(robot, fault: str, words: str) -> None:
    if robot.drivers is None:
        robot.start_drivers()
    robot.works_again()
    robot.fails(fault)
    begun = time.monotonic()
    result = robot.pick(seed=2)
    took = time.monotonic() - begun
    assert not result.success and result.code == Status.EXECUTION_FAILED, result.message
    assert words in result.message, result.message
    assert took < 120
    # The try is on disk as what it was.
    assert len(result.trials) == 1
    record = last_record(robot)
    assert record.trial_id == result.trials[0].trial_id
    assert record.code == "EXECUTION_FAILED" and words in record.outcome["reason"]
    if fault == "joints silent":
        robot.fails("")  # nobody can see the arm before
    assert stands(robot)
    robot.works_again()


def test_a_camera_that_is_unplugged(robot) -> None:
    if robot.drivers is None:
        robot.start_drivers()
    robot.works_again()
    robot.fails("no pictures")
    answer = robot.graph.call(Plan, "plan", Plan.Request(seed=1))
    assert answer.code == Status.UNAVAILABLE and "overhead" in answer.message
    result = robot.pick(seed=2)
    assert result.code == Status.UNAVAILABLE and "overhead" in result.message
    assert not result.trials and stands(robot)
    robot.works_again()


def test_it_is_unplugged_while_a_try_runs(robot) -> None:
    """The try ends and is labelled by force and width; it is stored without an after picture."""
    if robot.drivers is None:
        robot.start_drivers()
    robot.works_again()
    answer = robot.graph.call(Capture, "capture", Capture.Request(require_arm_clear=True))
    assert answer.success, answer.message
    before = len(RunReader(robot.graph.bag).records)
    descends = threading.Event()

    def feedback(message: Any) -> None:
        if message.feedback.phase.phase == Phase.DESCEND:
            descends.set()

    sent = robot.graph.send(Pick, "pick", Pick.Goal(max_attempts=1, seed=4), feedback)
    assert descends.wait(90.0)
    robot.fails("no pictures")
    result = sent.result(150.0)
    assert len(result.trials) == 1, result.message
    records = RunReader(robot.graph.bag).records
    assert len(records) == before + 1
    assert records[-1].code in ("SUCCESS", "MISSED", "SLIPPED", "BLOCKED")
    robot.works_again()
