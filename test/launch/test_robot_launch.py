"""``robot.launch.py``: without a robot its nodes come up and say what they miss."""

from __future__ import annotations

import time
import unittest

import pytest

pytest.importorskip("launch_testing", reason="launch_testing comes with a ROS distribution")

import launch_testing
import launch_testing.actions
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from launch import LaunchDescription
from selfgrasp_nodes import bringup
from selfgrasp_nodes.paths import share_dir

FILE = share_dir() / "launch" / "robot.launch.py"


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    source = PythonLaunchDescriptionSource(str(FILE))
    arguments = {"discovery_range": "LOCALHOST", "camera_namespace": "realsense"}.items()
    return LaunchDescription(
        [
            IncludeLaunchDescription(source, launch_arguments=arguments),
            launch_testing.actions.ReadyToTest(),
        ]
    )


class TestRobot(unittest.TestCase):
    def test_every_node_comes_up_and_no_simulation(self, proc_output) -> None:
        names = bringup.describe("robot").nodes
        self.assertNotIn("sim", names)
        for name in names:
            proc_output.assertWaitFor(f"READY {name}", timeout=90, stream="stdout")

    def test_what_is_missing_is_said_and_the_camera_is_remapped(self, proc_output) -> None:
        proc_output.assertWaitFor("READY motion", timeout=90, stream="stdout")
        rclpy.init()
        node = rclpy.create_node("tester")
        said: dict[str, str] = {}
        node.create_subscription(
            DiagnosticArray,
            "/diagnostics",
            lambda m: said.update({s.name: s.message for s in m.status}),
            10,
        )
        remapped = "/realsense/color/image_raw"
        limit = time.monotonic() + 15
        # Whoever has just joined hears of the others' topics one after the other.
        while time.monotonic() < limit:
            rclpy.spin_once(node, timeout_sec=0.2)
            listened = node.get_subscriptions_info_by_topic(remapped)
            if "/motion" in said and {i.node_name for i in listened} >= {"heightmap", "roi"}:
                break
        node.destroy_node()
        rclpy.shutdown()
        self.assertIn("no joint states", said.get("/motion", ""))
        self.assertEqual({i.node_name for i in listened}, {"heightmap", "roi"})


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_all_ended_cleanly(self, proc_info) -> None:
        launch_testing.asserts.assertExitCodes(proc_info)
