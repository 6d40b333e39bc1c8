"""Our own transforms: the tree, and the robot's links against the planner's kinematics."""

from __future__ import annotations

import numpy as np
import pytest

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import Unavailable
from selfgrasp_nodes.motion.kinematics import ArmKinematics
from selfgrasp_nodes.motion.model import RobotModel
from selfgrasp_nodes.nodes.robot_state import RobotState
from selfgrasp_nodes.nodes.tf_tree import TransformTree, interpolate
from selfgrasp_nodes.robots import load_robot, robot_names

A = geometry.transform((1, 2, 3), (0.1, -0.4, 2.0))
B = geometry.transform((-0.3, 0, 1), (1.5, 0.2, -1.0))


def test_lookup_between_branches() -> None:
    tree = TransformTree()
    tree.set_fixed("world", "left", A)
    tree.set_fixed("world", "right", B)
    assert np.allclose(tree.lookup("left", "right"), geometry.inverse(A) @ B)
    assert np.allclose(tree.lookup("right", "right"), np.eye(4))
    assert np.allclose(tree.lookup("world", "left", stamp=123), A)


def test_moving_frames_are_interpolated_at_the_stamp() -> None:
    tree = TransformTree()
    tree.add("world", "hand", 1_000_000_000, np.eye(4))
    tree.add("world", "hand", 2_000_000_000, geometry.transform((2, 0, 0), (0, 0, 1.0)))
    middle = tree.lookup("world", "hand", 1_500_000_000)
    assert np.allclose(middle, geometry.transform((1, 0, 0), (0, 0, 0.5)))
    assert np.allclose(tree.lookup("world", "hand")[0, 3], 2)
    with pytest.raises(Unavailable, match="old"):
        tree.lookup("world", "hand", 9_000_000_000)
    with pytest.raises(Unavailable, match="back"):
        tree.lookup("world", "hand", 1)


def test_a_missing_transform_names_what_is_known() -> None:
    tree = TransformTree()
    tree.set_fixed("world", "left", A)
    with pytest.raises(Unavailable, match=r"'camera' to 'world'.*left, world"):
        tree.lookup("world", "camera")


def test_a_clock_that_jumps_back_starts_over() -> None:
    tree = TransformTree()
    tree.add("world", "hand", 50_000_000_000, A)
    tree.add("world", "hand", 1_000_000_000, B)
    assert np.allclose(tree.lookup("world", "hand", 1_000_000_000), B)


def test_interpolation_ends() -> None:
    assert np.allclose(interpolate(A, B, 0.0), A)
    assert np.allclose(interpolate(A, B, 1.0), B)


@pytest.mark.parametrize("name", robot_names())
def test_links_agree_with_the_planners_kinematics(name: str) -> None:
    robot = load_robot(name)
    state, model = RobotState(robot), RobotModel(robot)
    tree = TransformTree()
    for parent, child, matrix in state.fixed:
        tree.set_fixed(parent, child, matrix)
    rng = np.random.default_rng(1)
    for arm in robot.arms:
        kinematics = ArmKinematics(model, arm)
        for _ in range(3):
            q = np.asarray(arm.ready) + rng.uniform(-0.3, 0.3, len(arm.joints))
            at = int(rng.integers(1, 1000)) * 10_000_000_000
            positions = dict(zip(arm.joints, q, strict=True))
            for other in robot.arms:
                positions.setdefault(other.gripper.joint, 0.0)
            frames = state.frames(positions)
            moved = TransformTree()
            for parent, child, matrix in [*state.fixed, *frames]:
                moved.set_fixed(parent, child, matrix)
            world_T_tip = moved.lookup("world", arm.tip_link)
            assert np.allclose(world_T_tip, kinematics.fk(q), atol=1e-6), at


@pytest.mark.parametrize("name", robot_names())
def test_every_camera_has_a_frame(name: str) -> None:
    robot = load_robot(name)
    state = RobotState(robot)
    children = {child: matrix for _, child, matrix in state.fixed}
    for camera in robot.cameras:
        assert np.allclose(children[camera.frame], camera.pose.matrix), camera.name
