"""`selfgrasp calibrate --from`: stored pictures to a robot's YAML."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest

from selfgrasp_nodes import geometry
from selfgrasp_nodes.cli.main import main
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.perception.calibration_board import Board
from selfgrasp_nodes.perception.calibration_data import Session, Shot, save_session
from selfgrasp_nodes.perception.calibration_poses import view_poses
from selfgrasp_nodes.robots import load_robot

PIXELS = 48


def printed(board, camera, pose):
    """A picture of a board, drawn by a homography."""
    sheet = board.image(PIXELS)
    # Pixel (u, v) of the sheet is at this place of the board's plane.
    scale = board.square / PIXELS
    height, width = sheet.shape
    plane_T_pixel = np.array(
        [[scale, 0, (0.5 - width / 2) * scale], [0, scale, (0.5 - height / 2) * scale], [0, 0, 1]]
    )
    homography = camera.intrinsics @ pose[:3, [0, 1, 3]] @ plane_T_pixel
    size = (2 * camera.width, 2 * camera.height)
    # Drawn at twice the size and averaged: a pixel integrates over its area.
    twice = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1.0]])
    image = cv2.warpPerspective(sheet, twice @ homography, size, borderValue=90)
    image = cv2.resize(image, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    return np.repeat(image[..., None], 3, axis=-1)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """(folder, true world_T_camera)."""
    robot, board = load_robot("ur5_rg2"), Board()
    camera = robot.camera()
    true = camera.pose.matrix @ geometry.transform((0.03, -0.02, 0.01), (0.04, 0.02, -0.05))
    hold = geometry.transform((0.01, 0.02, 0.25), (1.5, 0.1, 0.0))
    shots = []
    for pose in view_poses(camera, board, 10):
        tip = true @ pose @ geometry.inverse(hold)
        shots.append(Shot(printed(board, camera, pose), None, tip, np.zeros(6)))
    session = Session(
        robot="ur5_rg2",
        camera="overhead",
        arm="arm",
        board=board,
        parent="world",
        carrier="tool0",
        intrinsics=camera.intrinsics,
        distortion=np.zeros(5),
        shots=tuple(shots),
        serial="12345",
    )
    return save_session(session, tmp_path_factory.mktemp("raw")), true


@pytest.fixture
def robot_file(tmp_path):
    return shutil.copy(share_dir() / "config" / "robots" / "ur5_rg2.yaml", tmp_path / "mine.yaml")


def test_stored_pictures_are_solved_and_written(recorded, robot_file, capsys):
    folder, true = recorded
    before = robot_file.read_text()
    assert main(["calibrate", "--robot", str(robot_file), "--from", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "10 used of 10" in said and "static_transform_publisher" in said
    camera = load_robot(robot_file).camera()
    np.testing.assert_allclose(camera.pose.matrix, true, atol=5e-4)
    assert camera.calibration.serial == "12345"
    assert camera.calibration.pictures == 10
    copies = [p for p in robot_file.parent.iterdir() if "before" in p.name]
    assert [p.read_text() for p in copies] == [before]
    assert "px median" in (folder / "report.txt").read_text()
    picture = cv2.imread(str(folder / "calibration.png"))
    assert picture is not None and picture.std() > 10


def test_dry_run_and_another_file(recorded, robot_file, tmp_path):
    folder, _ = recorded
    before = robot_file.read_text()
    given = ["calibrate", "--robot", str(robot_file), "--from", str(folder)]
    assert main([*given, "--dry-run"]) == 0
    assert robot_file.read_text() == before
    other = tmp_path / "other" / "robot.yaml"
    assert main([*given, "--output", str(other)]) == 0
    assert robot_file.read_text() == before
    assert load_robot(other).camera().calibration is not None


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["--robot", "baxter"], "of camera 'overhead' of robot 'ur5_rg2', not of 'head'"),
        (["--poses", "3"], "at least 8"),
        (["--speed", "2"], "in (0, 1]"),
        (["--board", "checkerboard:8x6:0.02"], "upside down"),
        (["--camera", "webcam"], "valid: overhead"),
    ],
)
def test_bad_input_is_refused(recorded, capsys, given, reason):
    assert main(["calibrate", "--from", str(recorded[0]), "--dry-run", *given]) == 1
    assert reason in capsys.readouterr().err


def test_board_is_printed_to_scale(tmp_path):
    from PIL import Image

    path = tmp_path / "board.png"
    given = ["calibrate", "--board", "checkerboard:8x5:0.0254", "--print-board", str(path)]
    assert main(given) == 0
    with Image.open(path) as image:
        assert image.size == (9 * 600, 6 * 600)
        assert image.info["dpi"] == pytest.approx((600, 600), rel=1e-3)
