"""Golden values and round trips of the geometry contract."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidCandidate
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.robots.gripper import (
    joint_from_width,
    tcp_distance,
    width_from_joint,
    width_per_joint,
)
from selfgrasp_nodes.types import Workspace

WORKSPACE = Workspace(center=(-0.5, 0.0))


def test_grasp_at_angle_zero_closes_along_world_x() -> None:
    pose = geometry.grasp_pose(-0.5, 0.1, 0.02, 0.0)
    np.testing.assert_allclose(pose[:3, 2], [0, 0, -1], atol=1e-12)  # approach is down
    np.testing.assert_allclose(pose[:3, 1], [1, 0, 0], atol=1e-12)  # fingers close
    np.testing.assert_allclose(pose[:3, 0], [0, 1, 0], atol=1e-12)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)


def test_push_points_the_tool_x_along_the_stroke() -> None:
    pose = geometry.push_pose(0, 0, 0.02, np.pi / 2)
    np.testing.assert_allclose(pose[:3, 0], [0, 1, 0], atol=1e-12)


@given(st.floats(-20, 20))
def test_angles_round_trip(angle: float) -> None:
    grasp = geometry.grasp_angle(geometry.grasp_pose(0, 0, 0, angle))
    difference = np.mod(grasp - angle + np.pi / 2, np.pi) - np.pi / 2
    assert 0 <= grasp < np.pi and abs(difference) < 1e-9
    push = geometry.push_angle(geometry.push_pose(0, 0, 0, angle))
    difference = np.mod(push - angle + np.pi, 2 * np.pi) - np.pi
    assert 0 <= push < 2 * np.pi and abs(difference) < 1e-9


@given(st.integers(0, 223), st.integers(0, 223))
def test_pixels_round_trip(row: int, col: int) -> None:
    x, y = geometry.pixel_to_point(WORKSPACE, row, col)
    assert tuple(geometry.point_to_pixel(WORKSPACE, x, y)) == (row, col)


def test_pixel_of_the_first_corner() -> None:
    np.testing.assert_allclose(geometry.pixel_to_point(WORKSPACE, 0, 0), [-0.723, -0.223])
    np.testing.assert_allclose(geometry.pixel_to_point(WORKSPACE, 223, 0), [-0.723, 0.223])


def test_nan_pose_is_refused() -> None:
    with pytest.raises(InvalidCandidate, match="not finite"):
        geometry.grasp_pose(float("nan"), 0, 0, 0)


def test_quaternion_and_inverse_round_trip() -> None:
    pose = geometry.transform((0.1, -0.2, 0.3), (0.4, -1.0, 2.0))
    again = geometry.from_quaternion(pose[:3, 3], geometry.quaternion(pose))
    np.testing.assert_allclose(again, pose, atol=1e-12)
    np.testing.assert_allclose(geometry.inverse(pose) @ pose, np.eye(4), atol=1e-12)


def test_vpg_camera_looks_at_the_middle_of_the_workspace() -> None:
    robot = load_robot("ur5_rg2")
    camera = robot.camera()
    point = geometry.inverse(camera.pose.matrix) @ [-0.5, 0, 0, 1]
    pixel = geometry.project(camera.intrinsics, point[:3])
    np.testing.assert_allclose(pixel, [320, 240], atol=0.1)
    assert point[2] == pytest.approx(np.hypot(0.5, 0.5), abs=1e-4)


@pytest.mark.parametrize("name", ["ur5_rg2"])
@given(share=st.floats(0, 1))
def test_gripper_widths_round_trip(name: str, share: float) -> None:
    for arm in load_robot(name).arms:
        g = arm.gripper
        width = g.width_min + share * (g.width_max - g.width_min)
        assert width_from_joint(g, joint_from_width(g, width)) == pytest.approx(width, abs=1e-9)
        assert width_per_joint(g, width) != 0


def test_rg2_pads_draw_back_as_they_open() -> None:
    gripper = load_robot("ur5_rg2").arm().gripper
    distances = [tcp_distance(gripper, w) for w in (0.0, 0.05, 0.11)]
    assert distances[0] == pytest.approx(gripper.tcp_closed)
    assert distances[0] > distances[1] > distances[2]
