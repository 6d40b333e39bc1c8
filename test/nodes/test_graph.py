"""The whole graph, as an application meets it: the robot's own interfaces, and scenes."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from control_msgs.action import FollowJointTrajectory, GripperCommand, ParallelGripperCommand
from graph_cases import ARM, HOME, ROBOT, forget, joints_now, ramp, until_quiet
from rclpy.qos import qos_profile_sensor_data
from selfgrasp.msg import Status
from selfgrasp.srv import (
    GetTruth,
    ResetScene,
    StepSimulation,
)
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Empty

from selfgrasp_nodes.nodes import conversions, trial_messages


def test_trajectory_runs_to_its_goal_and_back(graph) -> None:
    start = joints_now(graph)
    target = start.copy()
    target[0] += 0.3
    feedback: list = []
    for a, b in ((start, target), (target, start)):
        goal = FollowJointTrajectory.Goal()
        goal.trajectory = trial_messages.trajectory_message(ramp(b, a, 0.8))
        sent = graph.send(FollowJointTrajectory, ARM.trajectory_action, goal, feedback.append)
        result = sent.result(20.0)
        assert result.error_code == FollowJointTrajectory.Result.SUCCESSFUL, result.error_string
        assert np.abs(joints_now(graph) - b).max() < 0.02
    assert feedback and list(feedback[0].feedback.joint_names) == list(ARM.joints)


def test_cancel_stops_the_arm_within_a_tenth_of_a_second(graph) -> None:
    start = joints_now(graph)
    target = start.copy()
    target[0] -= 1.2
    goal = FollowJointTrajectory.Goal()
    goal.trajectory = trial_messages.trajectory_message(ramp(target, start, 2.0))
    track: list[tuple[float, np.ndarray]] = []

    def take(message: JointState) -> None:
        index = [list(message.name).index(joint) for joint in ARM.joints]
        at = conversions.stamp(message.header.stamp) * 1e-9
        track.append((at, np.asarray(message.velocity)[index]))

    subscription = graph.node.create_subscription(JointState, "joint_states", take, 100)
    sent = graph.send(FollowJointTrajectory, ARM.trajectory_action, goal)
    time.sleep(1.0)
    moving = np.abs(track[-1][1]).max()
    cancelled = track[-1][0]
    sent.cancel()
    assert sent.finished.wait(5.0)
    time.sleep(0.3)
    forget(graph, subscription)
    assert moving > 0.3, "it has to move before it can be stopped"
    later = [np.abs(v).max() for at, v in track if at > cancelled + 0.13]
    # 0.1 s, and the tick in which the cancel was on its way.
    assert later and max(later) < 0.1
    back = FollowJointTrajectory.Goal()
    back.trajectory = trial_messages.trajectory_message(ramp(HOME, joints_now(graph), 1.5))
    assert (
        graph.send(FollowJointTrajectory, ARM.trajectory_action, back).result(20).error_code == 0
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("joints", "expected"),
        ("nan", "finite"),
        ("jump", "plan from its present joints"),
        ("fast", "more slowly"),
    ],
)
def test_bad_trajectories_are_refused_and_nothing_moves(graph, change, words) -> None:
    before = joints_now(graph)
    target = before.copy()
    target[0] += 0.2
    goal = FollowJointTrajectory.Goal()
    goal.trajectory = trial_messages.trajectory_message(ramp(target, before, 1.0))
    if change == "joints":
        goal.trajectory.joint_names[0] = "no_such_joint"
    elif change == "nan":
        goal.trajectory.points[1].positions[0] = float("nan")
    elif change == "jump":
        goal.trajectory.points[0].positions[0] += 0.5
    else:
        goal.trajectory.points[1].time_from_start = conversions.duration_message(0.005)
    result = graph.send(FollowJointTrajectory, ARM.trajectory_action, goal).result(10.0)
    assert result.error_code == FollowJointTrajectory.Result.INVALID_GOAL
    assert words in result.error_string
    assert np.abs(joints_now(graph) - before).max() < 0.01


def test_both_gripper_actions_reach_their_position(graph) -> None:
    from selfgrasp_nodes.robots.gripper import joint_from_width

    folder = ARM.gripper.command_topic.rsplit("/", 1)[0]
    half = joint_from_width(ARM.gripper, 0.05)
    goal = GripperCommand.Goal()
    goal.command.position, goal.command.max_effort = half, 1.0
    result = graph.send(GripperCommand, f"{folder}/single_gripper_cmd", goal).result(10.0)
    assert (
        result.reached_goal
        and not result.stalled
        and result.position == pytest.approx(half, abs=0.05)
    )
    wide = joint_from_width(ARM.gripper, 0.11)
    parallel = ParallelGripperCommand.Goal(
        command=JointState(name=[ARM.gripper.joint], position=[wide], effort=[1.0])
    )
    result = graph.send(ParallelGripperCommand, ARM.gripper.command_topic, parallel).result(10.0)
    assert result.reached_goal and result.state.position[0] == pytest.approx(wide, abs=0.05)


def test_pictures_come_on_request_only(graph) -> None:
    stamps: list[int] = []
    camera = ROBOT.camera()
    subscription = graph.node.create_subscription(
        Image,
        f"{camera.namespace}/color/image_raw",
        lambda m: stamps.append(conversions.stamp(m.header.stamp)),
        qos_profile_sensor_data,
    )
    trigger = graph.node.create_publisher(Empty, f"{camera.namespace}/trigger", 5)
    until_quiet(stamps)  # pictures of motions that ended before may still come
    unasked = len(stamps)
    time.sleep(0.7)
    assert len(stamps) == unasked
    trigger.publish(Empty())
    limit = time.monotonic() + 5
    while len(stamps) == unasked and time.monotonic() < limit:
        time.sleep(0.01)
    forget(graph, subscription)
    assert len(stamps) == unasked + 1


# -- scenes


def test_equal_seeds_give_equal_scenes(graph) -> None:
    first, second, third = graph.drop(3, 5), graph.drop(3, 6), graph.drop(3, 5)
    assert first == third != second


@pytest.mark.parametrize(
    ("scene", "words"),
    [
        (
            {
                "objects": [
                    {"shape": "teapot", "position": [0, 0, 0.05], "quaternion": [1, 0, 0, 0]}
                ]
            },
            "teapot",
        ),
        (
            {
                "objects": [
                    {"shape": "cube", "position": [0, 0, 0.025], "quaternion": [1, 0, 0, 0]},
                    {"shape": "cube", "position": [0.01, 0, 0.025], "quaternion": [1, 0, 0, 0]},
                ]
            },
            "interpenetrate",
        ),
    ],
)
def test_scenes_that_cannot_be_are_refused_and_the_old_one_stays(graph, scene, words) -> None:
    graph.drop(3, 5)
    if words == "interpenetrate":
        from selfgrasp_nodes.simulation.objects import shape_names

        for entry in scene["objects"]:
            entry["shape"] = shape_names()[0]
    request = ResetScene.Request(scene_json=json.dumps(scene))
    answer = graph.call(ResetScene, "sim/reset", request)
    assert answer.code == Status.INVALID_SCENE and words in answer.message
    assert len(graph.call(GetTruth, "sim/get_truth", GetTruth.Request()).truth.objects) == 3


def test_time_stands_still_while_paused(graph) -> None:
    step = StepSimulation.Request
    refused = graph.call(StepSimulation, "sim/step", step(command=step.STEP))
    assert refused.code == Status.NOT_READY
    paused = graph.call(StepSimulation, "sim/step", step(command=step.PAUSE))
    stepped = graph.call(
        StepSimulation,
        "sim/step",
        step(command=step.STEP, duration=conversions.duration_message(0.1)),
    )
    graph.call(StepSimulation, "sim/step", step(command=step.RUN))
    moved = conversions.stamp(stepped.now) - conversions.stamp(paused.now)
    assert moved == pytest.approx(100_000_000, abs=5_000_000)
