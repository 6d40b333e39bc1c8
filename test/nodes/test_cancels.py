"""Cancels that come before anything has begun, on real controllers and queues in this process."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from control_msgs.action import FollowJointTrajectory
from rclpy.action import ActionClient

from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.motion.options import load_options
from selfgrasp_nodes.nodes import trial_messages
from selfgrasp_nodes.nodes.action_caller import send_goal
from selfgrasp_nodes.nodes.base import THREADS, BaseNode
from selfgrasp_nodes.nodes.goal_jobs import GoalJobs
from selfgrasp_nodes.nodes.motion_jobs import Lane
from selfgrasp_nodes.nodes.sim_node import SimNode
from selfgrasp_nodes.nodes.waiting import wait
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.lockstep import LockstepPort
from selfgrasp_nodes.simulation.world import World
from selfgrasp_nodes.types import Trajectory


@pytest.fixture
def simulation(spinner, ros) -> SimNode:
    return spinner.add(SimNode(parameters={"objects": 0}, namespace="cancels"))


def test_a_trajectory_that_was_cancelled_before_it_began_never_begins(spinner, simulation) -> None:
    caller = spinner.add(BaseNode(namespace="cancels"))
    arm = simulation.robot.arm()
    client = ActionClient(caller, FollowJointTrajectory, arm.trajectory_action)
    assert client.wait_for_server(10.0)
    start = np.asarray(simulation.loop.do(lambda world: world.joint_state(arm.name)[0]))
    target = start + np.array([0.4, 0, 0, 0, 0, 0])
    positions = np.array([start, target])
    goal = FollowJointTrajectory.Goal(
        trajectory=trial_messages.trajectory_message(
            Trajectory(arm.joints, np.array([0.0, 1.0]), positions, 0 * positions)
        )
    )
    for _ in range(THREADS):
        simulation.offload(time.sleep, 1.0)  # all its threads are busy
    handle = wait(send_goal(caller, client, goal), 5.0, "acceptance")
    result = handle.get_result_async()
    wait(handle.cancel_goal_async(), 5.0, "the answer to the cancel")
    answer = wait(result, 10.0, "the result")
    assert answer.result.error_string == "cancelled"
    time.sleep(0.3)
    q = simulation.loop.do(lambda world: world.joint_state(arm.name)[0])
    assert np.abs(q - start).max() < 0.02


def test_a_cancel_before_the_first_job_reaches_it(ros) -> None:
    robot = load_robot("ur5_rg2")
    options = load_options()
    planner = EmbeddedPlanner(robot, options)
    lane = Lane(LockstepPort(World(robot)), robot.arm(), planner, options, None)
    goals = GoalJobs()
    goals.cancel(b"early")
    first = lane.enter("first")
    goals.add(b"early", lane, first)
    assert first.cancelled.is_set() and goals.cancelled(b"early")
    # A job that has ended, and a goal that is not known: nothing to stop, no error.
    goals.remove(b"early", lane, first)
    lane.leave(first)
    goals.cancel(b"early")
    goals.forget(b"early")
    assert not goals.cancelled(b"early")
    # What waits behind another is cancelled without stopping that one.
    ahead, behind = lane.enter("ahead"), lane.enter("behind")
    goals.add(b"a", lane, ahead)
    goals.add(b"b", lane, behind)
    goals.cancel(b"b")
    assert behind.cancelled.is_set() and not ahead.cancelled.is_set()
