"""What the tests of the whole graph share."""

from __future__ import annotations

import threading
import time

import numpy as np
from sensor_msgs.msg import JointState

from selfgrasp_nodes import geometry
from selfgrasp_nodes.nodes import conversions
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.types import Candidate, Primitive, Trajectory

ROBOT = load_robot("ur5_rg2")
ARM = ROBOT.arm()
HOME = np.asarray(ARM.home)


def a_candidate(x=-0.5, y=0.0, z=0.05, angle=0.3, **changes):
    values = {"width": 0.08, "max_force": 20.0, "id": "c"} | changes
    pose = geometry.grasp_pose(x, y, z, angle)
    return conversions.candidate_message(
        Candidate(Primitive.GRASP, pose, angle, **values), "world"
    )


def joints_now(graph) -> np.ndarray:
    """The arm's joint positions, from one message."""
    found: list[np.ndarray] = []
    here = threading.Event()

    def take(message: JointState) -> None:
        index = [list(message.name).index(joint) for joint in ARM.joints]
        found.append(np.asarray(message.position)[index])
        here.set()

    subscription = graph.node.create_subscription(JointState, "joint_states", take, 1)
    assert here.wait(5.0)
    forget(graph, subscription)
    return found[-1]


def forget(graph, subscription) -> None:
    """End a subscription where its messages are taken.

    An executor that waits for a subscription fails if another thread destroys it.
    """
    gone = threading.Event()

    def end() -> None:
        graph.node.destroy_subscription(subscription)
        gone.set()

    graph.node.executor.create_task(end)
    assert gone.wait(5.0)


def ramp(target: np.ndarray, start: np.ndarray, seconds: float) -> Trajectory:
    positions = np.array([start, target])
    return Trajectory(ARM.joints, np.array([0.0, seconds]), positions, np.zeros_like(positions))


def until_quiet(stamps: list[int]) -> int:
    """Wait until no picture has come for a second; how many there are."""
    count, since = len(stamps), time.monotonic()
    while time.monotonic() - since < 1.0:
        if len(stamps) != count:
            count, since = len(stamps), time.monotonic()
        time.sleep(0.02)
    return count
