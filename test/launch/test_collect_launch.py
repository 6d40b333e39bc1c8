"""``collect.launch.py tries:=2``: two tries are recorded, then everything ends by itself."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import pytest

pytest.importorskip("launch_testing", reason="launch_testing comes with a ROS distribution")

import launch_testing
import launch_testing.actions
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from launch import LaunchDescription
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.trials.reader import RunReader

FILE = share_dir() / "launch" / "collect.launch.py"
KEPT = tempfile.TemporaryDirectory(prefix="selfgrasp-collect-")  # until the process ends
FOLDER = Path(KEPT.name) / "run"


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    source = PythonLaunchDescriptionSource(str(FILE))
    arguments = {"tries": "2", "objects": "2", "record": str(FOLDER)}.items()
    return LaunchDescription(
        [
            IncludeLaunchDescription(source, launch_arguments=arguments),
            launch_testing.actions.ReadyToTest(),
        ]
    )


class TestCollect(unittest.TestCase):
    def test_it_says_when_it_is_done(self, proc_output) -> None:
        proc_output.assertWaitFor("collection ended: 2 tries recorded", timeout=180)


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_two_trials_are_on_disk(self) -> None:
        records = RunReader(FOLDER).records
        self.assertEqual([record.index for record in records], [0, 1])
        self.assertTrue(all(record.outcome["code"] != "UNKNOWN" for record in records))
