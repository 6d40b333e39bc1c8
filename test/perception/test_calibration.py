"""Calibration in the simulator: the camera is where the solution says, or it is refused."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import CalibrationFailed, InvalidConfig, StorageError
from selfgrasp_nodes.perception import calibration_closed
from selfgrasp_nodes.perception.calibration_board import Board
from selfgrasp_nodes.perception.calibration_data import load_session, save_session
from selfgrasp_nodes.perception.calibration_solve import calibrate
from selfgrasp_nodes.perception.calibration_views import find_views, undistort
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.calibrating import simulated_session

os.environ.setdefault("MUJOCO_GL", "egl")

# 5 cm and 5 degrees from where the camera is.
AXIS = np.array([2.0, -1.0, 2.0]) / 3
WRONG = geometry.transform(0.05 * np.array([0.6, -0.8, 0.0]))
WRONG[:3, :3] = Rotation.from_rotvec(np.radians(5) * AXIS).as_matrix()

CASES = {"fixed": ("ur5_rg2", "overhead"), "wrist": ("baxter", "left_hand_camera")}
# The fingers hide a part of the picture of a wrist camera: ChArUco boards allow for that.
BOARDS = {"fixed": Board.parse("checkerboard:8x5:0.024"), "wrist": Board()}


def off(found, true):
    """How far two poses are apart: (m, degrees)."""
    turn = Rotation.from_matrix(found[:3, :3] @ true[:3, :3].T).magnitude()
    return float(np.linalg.norm(found[:3, 3] - true[:3, 3])), float(np.degrees(turn))


@cache
def taken(kind, noise):
    """(session, true parent_T_camera, wrong one) of a simulated calibration."""
    robot, camera = load_robot(CASES[kind][0]), CASES[kind][1]
    true = robot.camera(camera).pose.matrix
    guess = true @ WRONG
    return simulated_session(robot, camera, BOARDS[kind], guess, noise=noise), true, guess


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize(("noise", "metres", "degrees"), [(False, 0.001, 0.1), (True, 0.003, 0.3)])
def test_camera_that_was_placed_wrong_is_found(kind, noise, metres, degrees, record_property):
    session, true, guess = taken(kind, noise)
    assert off(guess, true) == pytest.approx((0.05, 5.0), rel=1e-6)

    found = calibrate(session)

    distance, angle = off(found.parent_T_camera, true)
    record_property("error", f"{distance * 1e3:.3f} mm, {angle:.4f} deg")
    print(kind, noise, len(found.used), found.refused, distance * 1e3, "mm", angle, "deg")
    print(np.median(found.reprojection), np.median(found.error_3d), found.depth_scale)
    print(found.position_sigma * 1e3, np.degrees(found.angle_sigma), found.depth_scale_sigma)
    assert distance < metres
    assert angle < degrees
    assert found.depth_scale == pytest.approx(1.0, abs=0.002)
    assert np.median(found.error_3d) < metres


def test_every_closed_solution_starts_near_the_truth():
    for kind in CASES:
        session, true, _ = taken(kind, True)
        views, _ = find_views(session)
        arms = [view.parent_T_carrier for view in views]
        boards = [view.camera_T_board for view in views]
        closed = [calibration_closed.park_martin, *calibration_closed.opencv_solutions()]
        for solve in closed:
            distance, angle = off(solve(arms, boards).x, true)
            assert distance < 0.01 and angle < 1.0, solve


def test_uncertainty_is_of_the_size_of_the_error():
    session, true, _ = taken("fixed", True)
    found = calibrate(session)
    error = found.parent_T_camera[:3, 3] - true[:3, 3]
    chi2 = error @ np.linalg.solve(found.covariance[:3, :3], error)
    assert chi2 < 30  # 3 degrees of freedom: 99.9 % of truth lies below 16


def test_depth_scale_of_a_camera_that_measures_short_is_found():
    session, true, _ = taken("fixed", True)
    short = replace(
        session,
        shots=tuple(replace(shot, depth=shot.depth * np.float32(0.85)) for shot in session.shots),
    )
    found = calibrate(short)
    assert found.depth_scale == pytest.approx(1 / 0.85, rel=0.003)
    assert abs(found.depth_scale - 1 / 0.85) < 5 * found.depth_scale_sigma + 1e-3
    assert off(found.parent_T_camera, true)[0] < 0.003


def test_camera_without_depth_is_calibrated_by_colour_alone():
    session, true, _ = taken("fixed", False)
    blind = replace(session, shots=tuple(replace(s, depth=None) for s in session.shots))
    found = calibrate(blind)
    distance, angle = off(found.parent_T_camera, true)
    assert distance < 0.001
    assert angle < 0.1
    assert found.depth_scale == 1.0
    assert np.isnan(found.error_depth)


def test_picture_taken_while_the_arm_moved_is_left_out():
    session, true, _ = taken("fixed", True)
    moved = session.shots[5].parent_T_carrier @ geometry.transform((0.02, 0, 0.01))
    spoiled = [*session.shots]
    spoiled[5] = replace(spoiled[5], parent_T_carrier=moved)
    found = calibrate(replace(session, shots=tuple(spoiled)))
    assert "px off" in found.refused[5]
    assert len(found.refused) <= len(calibrate(session).refused) + 1
    assert off(found.parent_T_camera, true)[0] < 0.003


def test_too_few_poses_are_refused():
    session, _, _ = taken("fixed", False)
    with pytest.raises(CalibrationFailed, match=r"5 usable pictures .* 8 are needed"):
        calibrate(replace(session, shots=session.shots[:5]))


def test_a_board_that_is_not_seen_is_refused():
    session, _, _ = taken("fixed", False)
    with pytest.raises(CalibrationFailed, match="not seen in any of"):
        calibrate(replace(session, board=Board.parse("checkerboard:10x7:0.02")))


def repeated(session, turns):
    """The same picture with kinematics that turn as given (collapsed geometry)."""
    shot = session.shots[0]
    poses = []
    for turn in turns:
        pose = shot.parent_T_carrier.copy()
        pose[:3, :3] = Rotation.from_rotvec(turn).as_matrix() @ pose[:3, :3]
        poses.append(replace(shot, parent_T_carrier=pose))
    return replace(session, shots=tuple(poses))


def test_turns_about_one_axis_are_refused():
    session, _, _ = taken("fixed", False)
    turns = [np.array([0.0, 0.0, a]) for a in np.linspace(-0.6, 0.6, 10)]
    with pytest.raises(CalibrationFailed, match="about one axis"):
        calibrate(repeated(session, turns))


def test_poses_too_close_are_refused():
    session, _, _ = taken("fixed", False)
    turns = np.random.default_rng(1).uniform(-0.05, 0.05, (12, 3))
    with pytest.raises(CalibrationFailed, match="too close together"):
        calibrate(repeated(session, turns))


def test_stored_session_gives_the_same_solution(tmp_path):
    session, _, _ = taken("fixed", False)
    loaded = load_session(save_session(session, tmp_path / "raw"))
    assert loaded.board == session.board
    assert loaded.camera == session.camera
    again, first = calibrate(loaded), calibrate(session)
    np.testing.assert_allclose(again.parent_T_camera, first.parent_T_camera, atol=2e-5)


def test_damaged_and_missing_sessions_are_refused(tmp_path):
    with pytest.raises(StorageError, match=r"has no calibration\.yaml"):
        load_session(tmp_path)
    session, _, _ = taken("fixed", False)
    folder = save_session(replace(session, shots=session.shots[:2]), tmp_path / "raw")
    (folder / "01_color.png").write_bytes(b"no picture")
    with pytest.raises(StorageError, match="01_color"):
        load_session(folder)


def test_distorted_corners_become_those_of_a_pinhole():
    import cv2

    session, _, _ = taken("fixed", False)
    k, d = session.intrinsics, np.array([0.1, -0.2, 0.001, -0.002, 0.05])
    points = session.board.corners + np.array([0.05, -0.04, 0.5])
    distorted, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), k, d)
    ideal = undistort(distorted.reshape(-1, 2), k, d)
    np.testing.assert_allclose(ideal, geometry.project(k, points), atol=1e-3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("checkerboard:8x6:0.02", "upside down"),
        ("charuco:7x5:0.02:0.03", "smaller than its squares"),
        ("charuco:7x5:0.02:0.015:DICT_9X9", "no marker dictionary"),
        ("chess:7x5:0.02", "valid: checkerboard, charuco"),
        ("charuco:7:0.02", "expected KIND"),
        ("charuco:30x20:0.02:0.015", "needs 300"),
    ],
)
def test_boards_that_cannot_work_are_refused(text, reason):
    with pytest.raises(InvalidConfig, match=reason):
        Board.parse(text)


def test_board_is_found_in_any_orientation():
    for text in ("checkerboard:8x5:0.024", "charuco:7x5:0.024:0.018"):
        board = Board.parse(text)
        assert Board.parse(str(board)) == board
        image = np.pad(board.image(40), 60, constant_values=200)
        ideal = board.corners[:, :2] / board.square * 40 + np.array(image.shape[::-1]) / 2 - 0.5
        for quarter in range(4):
            ids, pixels = board.detect(np.ascontiguousarray(np.rot90(image, quarter)))
            h, w = image.shape
            u, v = ideal[ids].T
            turned = {
                0: (u, v),
                1: (v, w - 1 - u),
                2: (w - 1 - u, h - 1 - v),
                3: (h - 1 - v, u),
            }[quarter]
            assert len(ids) == len(board.corners)
            np.testing.assert_allclose(pixels, np.stack(turned, axis=1), atol=0.1)
