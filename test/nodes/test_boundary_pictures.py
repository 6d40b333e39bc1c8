"""Pictures at the ends of phases of motion, where they are asked for by parameter."""

from __future__ import annotations

import time

import numpy as np
from control_msgs.action import FollowJointTrajectory, GripperCommand
from graph_cases import ARM, ROBOT, joints_now, ramp, until_quiet
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import Empty

from selfgrasp_nodes.nodes import conversions, trial_messages


def test_a_picture_is_taken_where_a_phase_of_motion_ends(new_graph, tmp_path) -> None:
    given = tmp_path / "parameters.yaml"
    given.write_text("/**/sim:\n  ros__parameters:\n    boundary_pictures: true\n")
    graph = new_graph(parameters=str(given))
    stamps: list[int] = []
    camera = ROBOT.camera()
    graph.node.create_subscription(
        Image,
        f"{camera.namespace}/color/image_raw",
        lambda m: stamps.append(conversions.stamp(m.header.stamp)),
        qos_profile_sensor_data,
    )
    trigger = graph.node.create_publisher(Empty, f"{camera.namespace}/trigger", 5)
    limit = time.monotonic() + 20
    while not stamps and time.monotonic() < limit:  # until the topics have found each other
        trigger.publish(Empty())
        time.sleep(0.2)
    before = until_quiet(stamps)
    assert before
    start = joints_now(graph)
    goal = FollowJointTrajectory.Goal()
    aside = start + np.array([0.1, 0, 0, 0, 0, 0])
    goal.trajectory = trial_messages.trajectory_message(ramp(aside, start, 0.5))
    graph.send(FollowJointTrajectory, ARM.trajectory_action, goal).result(20.0)
    assert until_quiet(stamps) == before + 1
    folder = ARM.gripper.command_topic.rsplit("/", 1)[0]
    grip = GripperCommand.Goal()
    grip.command.position, grip.command.max_effort = 0.3, 1.0
    graph.send(GripperCommand, f"{folder}/single_gripper_cmd", grip).result(10.0)
    assert until_quiet(stamps) == before + 2
