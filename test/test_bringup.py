"""The arguments of bring-ups say what is true; what they start: test_supervisor.py."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from selfgrasp_nodes import bringup
from selfgrasp_nodes.bringup_arguments import KINDS, arguments
from selfgrasp_nodes.errors import UnknownName
from selfgrasp_nodes.simulation.meshes import SUFFIXES


def texts(kind: str) -> dict[str, str]:
    return {argument.name: argument.description for argument in arguments(kind)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_argument_is_listed_once_and_described(kind: str) -> None:
    names = [argument.name for argument in arguments(kind)]
    assert len(names) == len(set(names))
    assert all(len(text) > 10 or name == "log_level" for name, text in texts(kind).items())
    command = [sys.executable, "-m", "selfgrasp_nodes.cli.main", "up", kind, "--show-args"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    for argument in arguments(kind):
        assert f"'{argument.name}':" in shown and argument.description in shown
        assert f"(default: {argument.default!r})" in shown


def test_meshes_names_every_form_that_is_read() -> None:
    text = texts("sim")["meshes"]
    assert "pybullet:0-99" in text and "@0.001" in text
    for suffix in SUFFIXES:
        assert suffix[1:].upper() in text


def test_a_collection_draws_its_scenes() -> None:
    assert "scene" in texts("sim") and "scene" not in texts("collect")
    with pytest.raises(UnknownName, match="scene"):
        bringup.describe("collect", {"scene": "mine.json"})
    described = bringup.describe("collect", {"tries": "7", "record": "there"})
    assert described.nodes["sim"].parameters["scene"] == ""
    assert described.nodes["picker"].parameters["collect_uri"] == "there"


def test_parameter_files_go_where_they_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    commands = bringup.describe("sim").commands(tmp_path / "files")
    named = {Path(word) for command in commands for word in command if word.endswith(".yaml")}
    assert named == set((tmp_path / "files").iterdir()) and named
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize("mode", ["grouped", "separate"])
@pytest.mark.parametrize("camera", ["topics", "realsense", "kinect2"])
def test_a_robots_camera_is_driven_by_the_node_that_is_asked_for(camera: str, mode: str) -> None:
    given = {"camera": camera, "camera_serial": "815", "camera_namespace": "eye"}
    described = bringup.describe("robot", {**given, "processes": mode})
    drivers = {name for name in described.nodes if name.endswith("_camera")}
    assert drivers == ({f"{camera}_camera"} if camera != "topics" else set())
    for name in drivers:
        parameters = described.nodes[name].parameters
        assert parameters["serial"] == "815" and parameters["camera_namespace"] == "eye"
    assert described.nodes["heightmap"].parameters["camera_namespace"] == "eye"
    assert "camera_frames" in described.nodes
    assert "camera_frames" not in bringup.describe("robot", {"camera_frames": "false"}).nodes
    assert "camera_frames" not in bringup.describe("sim").nodes


def test_an_unknown_camera_lists_the_valid_ones() -> None:
    with pytest.raises(UnknownName, match="kinect2, realsense, topics"):
        bringup.describe("robot", {"camera": "webcam"})
