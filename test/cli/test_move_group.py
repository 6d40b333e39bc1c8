"""``selfgrasp move-group``: what it hands to move_group."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from selfgrasp_nodes.cli.main import main
from selfgrasp_nodes.motion.moveit_parameters import OMPL, PILZ


@pytest.mark.parametrize("robot", ["ur5_rg2", "baxter_bridge"])
def test_the_parameters_are_complete(robot: str, capsys) -> None:
    assert main(["move-group", "--robot", robot, "--use-sim-time", "--print"]) == 0
    parameters = yaml.safe_load(capsys.readouterr().out)["/**"]["ros__parameters"]
    assert parameters["planning_pipelines"] == [OMPL, PILZ] and parameters["use_sim_time"] is True


def test_it_runs_move_group_with_the_file_and_ends_as_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program named ros2 that keeps what it was given."""
    ros2 = tmp_path / "ros2"
    ros2.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncp "$6" {tmp_path}/given.yaml\nexit 3\n'
    )
    ros2.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert main(["move-group", "--namespace", "cell"]) == 3
    words = (tmp_path / "arguments").read_text().split()
    assert words[:4] == ["run", "moveit_ros_move_group", "move_group", "--ros-args"]
    assert words[-1] == "__ns:=/cell"
    assert OMPL in yaml.safe_load((tmp_path / "given.yaml").read_text())["/**"]["ros__parameters"]
    assert not Path(words[5]).exists()


def test_without_ros_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["move-group"]) == 1
    assert "ros2 was not found" in capsys.readouterr().err
