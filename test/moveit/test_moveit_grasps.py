"""Candidates as moveit_msgs/Grasp: poses of the flange, postures in the gripper's own joint."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("selfgrasp.msg", reason="the interfaces are not built")

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidCandidate, MissingDependency
from selfgrasp_nodes.nodes import conversions
from selfgrasp_nodes.nodes.moveit_grasps import grasp_message
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.robots.gripper import tcp_distance, width_from_joint
from selfgrasp_nodes.types import Candidate, Primitive


def message(primitive: Primitive = Primitive.GRASP, **changes):
    pose = geometry.grasp_pose(-0.5, 0.1, 0.03, 0.4)
    values = {"width": 0.07, "max_force": 25.0, "id": "c1", "score": 0.6} | changes
    return conversions.candidate_message(Candidate(primitive, pose, 0.4, **values), "world", 7)


@pytest.mark.parametrize("name", ["ur5_rg2", "baxter", "panda"])
def test_the_flange_is_where_the_fingers_then_meet(double, name: str) -> None:
    robot = load_robot(name)
    arm = robot.arm()
    gripper = arm.gripper
    width = 0.9 * gripper.width_max
    candidate = message(width=width, arm=arm.name)
    grasp = grasp_message(candidate, robot)
    flange = conversions.pose(grasp.grasp_pose.pose)
    tcp = flange[:3, 3] + tcp_distance(gripper, width) * flange[:3, 2]
    assert np.allclose(tcp, [-0.5, 0.1, 0.03], atol=1e-9)
    assert grasp.grasp_pose.header.frame_id == "world"
    assert grasp.id == "c1" and grasp.grasp_quality == 0.6  # not calibrated: the score
    open_, closed = grasp.pre_grasp_posture, grasp.grasp_posture
    joint = open_.points[0].positions[0]
    in_joint = gripper.driver_unit == "joint"
    assert (width_from_joint(gripper, joint) if in_joint else joint) == pytest.approx(width)
    assert open_.joint_names == closed.joint_names
    assert closed.points[0].effort[0] > 0 and grasp.max_contact_force == 25.0
    down = grasp.pre_grasp_approach
    assert down.direction.header.frame_id == arm.tip_link and down.direction.vector.z == 1.0
    up = grasp.post_grasp_retreat
    assert up.direction.header.frame_id == "world" and up.desired_distance > up.min_distance > 0


def test_a_calibrated_chance_is_the_quality(double) -> None:
    grasp = grasp_message(message(probability=0.8), load_robot("ur5_rg2"))
    assert grasp.grasp_quality == 0.8


def test_what_is_no_grasp_is_refused(double) -> None:
    push = message(Primitive.PUSH, push_length=0.1)
    with pytest.raises(InvalidCandidate, match="push"):
        grasp_message(push, load_robot("ur5_rg2"))
    broken = message()
    broken.pose.position.x = float("nan")
    with pytest.raises(InvalidCandidate):
        grasp_message(broken, load_robot("ur5_rg2"))


def test_without_moveit_it_says_so() -> None:
    if importlib.util.find_spec("moveit_msgs") is not None:
        pytest.skip("moveit_msgs is installed here")
    with pytest.raises(MissingDependency, match="moveit-msgs"):
        grasp_message(message(), load_robot("ur5_rg2"))
