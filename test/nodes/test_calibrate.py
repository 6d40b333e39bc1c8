"""`selfgrasp calibrate` through the running graph, and what it says where something is missing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from selfgrasp_nodes import geometry
from selfgrasp_nodes.cli.main import main
from selfgrasp_nodes.nodes import calibrator
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots import CalibrationSpec, load_robot
from selfgrasp_nodes.robots.edit import write_calibration

BOARD = "charuco:7x5:0.024:0.018"


def wrong(folder: Path, robot: str, camera: str) -> Path:
    """A robot's YAML with one camera 5 cm and 5 degrees from where it is."""
    file = shutil.copy(share_dir() / "config" / "robots" / f"{robot}.yaml", folder / "mine.yaml")
    spec = load_robot(robot).camera(camera)
    off = geometry.transform((0.03, 0.04, 0.0))
    off[:3, :3] = Rotation.from_rotvec(np.radians(5) * np.array([1, 2, -2]) / 3).as_matrix()
    about = CalibrationSpec(
        date="by hand",
        width=spec.width + 2,  # of a camera that hung there before: it must not count
        height=spec.height,
        intrinsics=(1.0, 1.0, 0.0, 0.0),
        depth_scale=1.4,
        pictures=1,
        reprojection=0.0,
        error_3d=0.0,
    )
    write_calibration(file, camera, spec.pose.matrix @ off, about)
    return file


@pytest.mark.parametrize(
    ("robot", "camera", "where"),
    [("ur5_rg2", "overhead", "arm"), ("baxter", "left_hand_camera", "table")],
)
def test_camera_is_found_through_the_graph(
    new_graph: Callable[..., Any], tmp_path: Path, capsys, robot: str, camera: str, where: str
) -> None:
    new_graph(robot=robot, objects="0", board=f"{BOARD}@{where}", real_time_factor="0")
    file, folder = wrong(tmp_path, robot, camera), tmp_path / "raw"
    given = ["calibrate", "--robot", str(file), "--camera", camera, "--board", BOARD]
    given += ["--poses", "12", "--speed", "1", "--folder", str(folder)]
    assert main(given) == 0, capsys.readouterr()
    found, true = load_robot(file).camera(camera), load_robot(robot).camera(camera)
    apart = found.pose.matrix[:3, 3] - true.pose.matrix[:3, 3]
    turned = Rotation.from_matrix(found.pose.matrix[:3, :3] @ true.pose.matrix[:3, :3].T)
    assert np.linalg.norm(apart) < 0.003
    assert np.degrees(turned.magnitude()) < 0.3
    assert found.calibration.depth_scale == pytest.approx(1.0, abs=0.01)
    assert (found.calibration.width, found.calibration.height) == (true.width, true.height)
    assert (folder / "calibration.png").is_file() and (folder / "report.txt").is_file()
    # The same again, offline.
    again = [*given[:5], "--from", str(folder), "--output", str(tmp_path / "again.yaml")]
    assert main(again) == 0
    offline = load_robot(tmp_path / "again.yaml").camera(camera).pose.matrix
    np.testing.assert_allclose(offline, found.pose.matrix, atol=2e-4)


def test_without_a_robot_it_says_what_is_missing(ros, capsys, monkeypatch) -> None:
    monkeypatch.setattr(calibrator, "_PATIENCE", 0.5)
    assert main(["calibrate", "--dry-run"]) == 1
    assert "no joint states of arm 'arm'" in capsys.readouterr().err
