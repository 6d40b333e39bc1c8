"""``sim.launch.py``: every node comes up, the picker answers, Ctrl-C ends all cleanly."""

from __future__ import annotations

import unittest

import pytest

pytest.importorskip("launch_testing", reason="launch_testing comes with a ROS distribution")

import launch_testing
import launch_testing.actions
import rclpy
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from rclpy.action import ActionClient
from selfgrasp.action import ClearTable

from launch import LaunchDescription
from selfgrasp_nodes import bringup
from selfgrasp_nodes.paths import share_dir

FILE = share_dir() / "launch" / "sim.launch.py"


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    source = PythonLaunchDescriptionSource(str(FILE))
    arguments = {"objects": "1", "seed": "4"}.items()
    return LaunchDescription(
        [
            IncludeLaunchDescription(source, launch_arguments=arguments),
            launch_testing.actions.ReadyToTest(),
        ]
    )


class TestSim(unittest.TestCase):
    def test_every_node_comes_up(self, proc_output) -> None:
        for name in bringup.describe("sim").nodes:
            proc_output.assertWaitFor(f"READY {name}", timeout=90, stream="stdout")

    def test_the_table_is_cleared(self, proc_output) -> None:
        proc_output.assertWaitFor("READY picker", timeout=90, stream="stdout")
        rclpy.init()
        node = rclpy.create_node("tester")
        try:
            client = ActionClient(node, ClearTable, "clear_table")
            self.assertTrue(client.wait_for_server(20.0))
            sent = client.send_goal_async(ClearTable.Goal(seed=1, max_actions=6))
            rclpy.spin_until_future_complete(node, sent, timeout_sec=20)
            ended = sent.result().get_result_async()
            rclpy.spin_until_future_complete(node, ended, timeout_sec=120)
            self.assertGreaterEqual(ended.result().result.actions, 1)
        finally:
            node.destroy_node()
            rclpy.shutdown()


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_all_ended_cleanly(self, proc_info) -> None:
        launch_testing.asserts.assertExitCodes(proc_info)
