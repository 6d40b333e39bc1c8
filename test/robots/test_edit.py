"""A calibration goes into a robot's YAML, and nothing else changes."""

from __future__ import annotations

import difflib
import shutil

import numpy as np
import pytest

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import UnknownName
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots import CalibrationSpec, config_digest, load_robot
from selfgrasp_nodes.robots.edit import write_calibration

POSE = geometry.transform((-0.98, 0.03, 0.52), (0.1, 2.4, -1.4))
CALIBRATION = CalibrationSpec(
    date="2026-11-23 23:10",
    serial="0815: 47",
    width=640,
    height=480,
    intrinsics=(618.62, 618.62, 320.0, 240.0),
    depth_scale=1.013,
    pictures=20,
    reprojection=0.12,
    error_3d=0.0004,
)


@pytest.fixture(params=["ur5_rg2", "baxter"])
def file(request, tmp_path):
    shipped = share_dir() / "config" / "robots" / f"{request.param}.yaml"
    return shutil.copy(shipped, tmp_path / "mine.yaml")


def differing(old, new):
    lines = difflib.ndiff(old.splitlines(), new.splitlines())
    return [line for line in lines if line[0] in "+-"]


def test_only_that_cameras_entries_change(file):
    for camera in load_robot(file).cameras:
        before, text = load_robot(file), file.read_text()
        copy = write_calibration(file, camera.name, POSE, CALIBRATION)
        after = load_robot(file)
        assert copy.read_text() == text
        np.testing.assert_allclose(after.camera(camera.name).pose.matrix, POSE, atol=1e-6)
        assert after.camera(camera.name).calibration == CALIBRATION
        assert after.camera(camera.name).depth_scale == 1.013
        for other in before.cameras:
            if other.name != camera.name:
                assert after.camera(other.name) == other
        lines = differing(text, file.read_text())
        assert all("pose:" in line or "calibration:" in line for line in lines), lines
        assert [line for line in lines if "#" in line] == []


def test_again_replaces_what_was_written(file):
    camera = load_robot(file).cameras[0].name
    write_calibration(file, camera, np.eye(4), CALIBRATION)
    once = file.read_text()
    write_calibration(file, camera, POSE, CALIBRATION)
    assert len(file.read_text().splitlines()) == len(once.splitlines())
    np.testing.assert_allclose(load_robot(file).camera(camera).pose.matrix, POSE, atol=1e-6)


def test_block_style_with_comments_is_kept(tmp_path):
    text = (share_dir() / "config" / "robots" / "ur5_rg2.yaml").read_text()
    flow = "    pose: {xyz: [-1.0, 0.0, 0.5], quaternion: [-0.2706, 0.6533, -0.6533, 0.2706]}\n"
    assert flow in text
    block = (
        "    pose:\n      xyz: [-1.0, 0.0, 0.5]  # measured\n      quaternion:\n"
        "        - -0.2706\n        - 0.6533\n        - -0.6533\n        - 0.2706\n"
        "    # the frame's name\n"
    )
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace(flow, block))
    write_calibration(file, "overhead", POSE, CALIBRATION)
    assert "    # the frame's name\n" in file.read_text()
    np.testing.assert_allclose(load_robot(file).camera().pose.matrix, POSE, atol=1e-6)


@pytest.mark.parametrize(
    "own",
    [
        "base: baxter\n# mine\nname: baxter\n",
        "base: baxter\ncameras:\n  - name: head\n    namespace: kinect  # ours\n",
    ],
)
def test_a_file_over_a_base_gets_its_own_entry(tmp_path, own):
    file = tmp_path / "mine.yaml"
    file.write_text(own)
    for _ in range(2):  # added, then replaced
        write_calibration(file, "left_hand_camera", POSE, CALIBRATION)
        robot, base = load_robot(file), load_robot("baxter")
        np.testing.assert_allclose(robot.camera("left_hand_camera").pose.matrix, POSE, atol=1e-6)
        assert robot.camera("left_hand_camera").calibration == CALIBRATION
        assert robot.camera("right_hand_camera") == base.camera("right_hand_camera")
        assert robot.camera().pose == base.camera().pose
        assert all(line in file.read_text().splitlines() for line in own.splitlines())
    assert file.read_text().count("calibration:") == 1


def test_unknown_camera_lists_the_valid_ones(file):
    text = file.read_text()
    with pytest.raises(UnknownName, match=load_robot(file).cameras[0].name):
        write_calibration(file, "webcam", POSE, CALIBRATION)
    assert file.read_text() == text


def test_digest_of_a_robot_that_was_not_calibrated_is_as_before(file):
    robot = load_robot(file)
    assert "calibration" not in robot.model_dump_json()
    before = config_digest(robot)
    write_calibration(file, robot.cameras[0].name, POSE, CALIBRATION)
    assert config_digest(load_robot(file)) != before


def test_pictures_of_another_camera_are_told_apart():
    k = np.array([[618.62, 0, 320.0], [0, 618.62, 240.0], [0, 0, 1]])
    assert CALIBRATION.mismatch(640, 480, k) == ""
    assert "640x480, pictures are 1280x720" in CALIBRATION.mismatch(1280, 720, k)
    k[0, 0] = 600.0
    assert "pictures have [600.0" in CALIBRATION.mismatch(640, 480, k)
