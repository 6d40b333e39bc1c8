"""``gazebo.launch.py``: Gazebo, the robot in it and all nodes but ``sim`` come up."""

from __future__ import annotations

import time
import unittest

import pytest

pytest.importorskip("launch_testing", reason="launch_testing comes with a ROS distribution")

import launch_testing
import launch_testing.actions
import rclpy
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from sensor_msgs.msg import Image, JointState

from launch import LaunchDescription
from selfgrasp_nodes.errors import MissingDependency
from selfgrasp_nodes.nodes import gazebo
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots import load_robot

FILE = share_dir() / "launch" / "gazebo.launch.py"
PICTURES = f"{load_robot('ur5_rg2').camera().namespace}/color/image_raw"
ARGUMENTS = {"gui": "false", "objects": "1", "seed": "4"}


def missing() -> str:
    try:
        gazebo.describe(ARGUMENTS).check_programs()
    except MissingDependency as error:
        return str(error)
    return ""


# A module that skips itself would take the others of its folder with it: launch_testing's plugin
# imports them all to find out which it collects.
@pytest.mark.skipif(bool(missing()), reason=f"Gazebo: {missing()}")
@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    source = PythonLaunchDescriptionSource(str(FILE))
    return LaunchDescription(
        [
            IncludeLaunchDescription(source, launch_arguments=ARGUMENTS.items()),
            launch_testing.actions.ReadyToTest(),
        ]
    )


class TestGazebo(unittest.TestCase):
    def test_every_node_comes_up(self, proc_output) -> None:
        for name in gazebo.describe(ARGUMENTS).nodes:
            proc_output.assertWaitFor(f"READY {name}", timeout=120, stream="stdout")

    def test_joints_and_pictures_come_from_gazebo(self) -> None:
        rclpy.init()
        node = rclpy.create_node("tester")
        heard: set[str] = set()
        for kind, topic in ((JointState, "joint_states"), (Image, PICTURES)):
            node.create_subscription(kind, topic, lambda _, t=topic: heard.add(t), 5)
        limit = time.monotonic() + 120
        while len(heard) < 2 and time.monotonic() < limit:
            rclpy.spin_once(node, timeout_sec=0.2)
        node.destroy_node()
        rclpy.shutdown()
        self.assertEqual(heard, {"joint_states", PICTURES})
