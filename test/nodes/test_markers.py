from __future__ import annotations

import numpy as np
import pytest
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from selfgrasp_nodes import geometry
from selfgrasp_nodes.nodes.markers import candidate_markers, cell_markers, heightmap_points
from selfgrasp_nodes.robots import load_robot, robot_names
from selfgrasp_nodes.types import Candidate, Heightmap, Primitive, Workspace

HEAD = Header(frame_id="world")


def test_fingers_stand_at_both_ends_of_the_width() -> None:
    robot = load_robot("ur5_rg2")
    grasp = Candidate(Primitive.GRASP, geometry.grasp_pose(-0.5, 0.1, 0.03, 0.7), 0.7, width=0.06)
    markers = candidate_markers([grasp], robot, HEAD).markers
    assert markers[0].action == Marker.DELETEALL
    fingers = [m for m in markers if m.ns == "fingers"]
    ends = [np.array([m.pose.position.x, m.pose.position.y]) for m in fingers]
    gap = np.linalg.norm(ends[1] - ends[0]) - robot.arm().gripper.finger_thickness
    assert gap == pytest.approx(0.06)
    assert np.allclose(np.mean(ends, axis=0), (-0.5, 0.1))
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    assert abs(along @ (np.cos(0.7), np.sin(0.7))) == pytest.approx(1.0)


def test_a_push_is_an_arrow_along_its_stroke() -> None:
    push = Candidate(
        Primitive.PUSH, geometry.push_pose(-0.5, 0.0, 0.02, 2.0), 2.0, push_length=0.1
    )
    markers = candidate_markers([push], load_robot("ur5_rg2"), HEAD).markers
    arrow = next(m for m in markers if m.ns == "push")
    assert arrow.type == Marker.ARROW
    a, b = arrow.points
    assert (b.x - a.x, b.y - a.y) == pytest.approx((0.1 * np.cos(2.0), 0.1 * np.sin(2.0)))


def test_points_of_a_heightmap() -> None:
    workspace = Workspace((0.0, 0.0), (0.004, 0.006), 0.002)
    height = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], np.float32)
    valid = np.array([[True, False], [True, True], [False, True]])
    color = np.full((3, 2, 3), (1, 2, 3), np.uint8)
    message = heightmap_points(Heightmap(workspace, color, height, valid), HEAD)
    assert message.width == 4 and message.point_step == 16
    points = np.frombuffer(message.data, np.float32).reshape(4, 4)
    assert np.allclose(points[0, :3], (-0.001, -0.002, 0.1))
    assert np.allclose(points[:, 2], [0.1, 0.3, 0.4, 0.6])
    assert (np.frombuffer(message.data, np.uint32).reshape(4, 4)[:, 3] == 0x010203).all()


@pytest.mark.parametrize("name", robot_names())
def test_workspace_and_bins_are_outlined(name: str) -> None:
    robot = load_robot(name)
    markers = cell_markers(robot, HEAD).markers
    assert markers[0].text == "workspace" and len(markers) >= 2
    assert all(len(m.points) == 5 for m in markers)
