"""What the policy sees, as markers for RViz."""

from __future__ import annotations

import array
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from selfgrasp_nodes.geometry import pixel_to_point
from selfgrasp_nodes.nodes import conversions
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.types import Candidate, Heightmap, Primitive

_SHOWN = 20


def candidate_markers(
    candidates: Sequence[Candidate], robot: RobotSpec, header: Header
) -> MarkerArray:
    """Both fingers and the closing line of each grasp, an arrow for each push.

    The best is green; the others fade from yellow to red by rank.
    """
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    shown = list(candidates[:_SHOWN])
    for rank, candidate in reversed(list(enumerate(shown))):
        color = _color(rank, len(shown))
        if candidate.primitive == Primitive.PUSH:
            markers.append(_push(candidate, header, color, rank))
        else:
            markers += _grasp(candidate, robot, header, color, rank)
    if shown:
        markers.append(_text(shown[0], header))
    return MarkerArray(markers=markers)


def heightmap_points(heightmap: Heightmap, header: Header) -> PointCloud2:
    """The measured cells of a heightmap as coloured points, for RViz."""
    rows, cols = np.nonzero(heightmap.valid)
    xy = pixel_to_point(heightmap.workspace, rows, cols)
    points = np.zeros(len(rows), np.dtype([("xyz", "<f4", 3), ("rgb", "<u4")]))
    points["xyz"][:, :2] = xy
    points["xyz"][:, 2] = heightmap.height[rows, cols]
    r, g, b = heightmap.color[rows, cols].astype(np.uint32).T
    points["rgb"] = r << 16 | g << 8 | b
    fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate(("x", "y", "z", "rgb"))
    ]
    message = PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=fields,
        point_step=points.itemsize,
        row_step=points.nbytes,
        is_dense=True,
    )
    message.data = array.array("B", points.tobytes())
    return message


def cell_markers(robot: RobotSpec, header: Header) -> MarkerArray:
    """Outlines of the workspace and of the bins."""
    markers = []
    workspace = robot.workspace.workspace
    outlines = [("workspace", workspace.low, workspace.high, 0.001)]
    for number, box in enumerate(robot.bins):
        half = np.asarray(box.size[:2]) / 2
        middle = np.asarray(box.center)
        outlines.append((f"bin {number}", middle - half, middle + half, box.floor + box.size[2]))
    for number, (name, low, high, z) in enumerate(outlines):
        marker = Marker(header=header, ns="cell", id=number, type=Marker.LINE_STRIP, text=name)
        marker.scale.x = 0.004
        marker.pose.orientation.w = 1.0
        marker.color = ColorRGBA(r=0.3, g=0.6, b=1.0, a=0.9)
        corners = [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]
        marker.points = [_point(np.array([x, y, z])) for x, y in (*corners, corners[0])]
        markers.append(marker)
    return MarkerArray(markers=markers)


def _color(rank: int, count: int) -> ColorRGBA:
    if rank == 0:
        return ColorRGBA(r=0.1, g=0.9, b=0.2, a=1.0)
    share = rank / max(count - 1, 1)
    return ColorRGBA(r=1.0, g=0.9 * (1 - share), b=0.1, a=0.5)


def _grasp(
    candidate: Candidate, robot: RobotSpec, header: Header, color: ColorRGBA, rank: int
) -> list[Marker]:
    gripper = robot.arm(candidate.arm).gripper
    offset = (candidate.width + gripper.finger_thickness) / 2
    parts = []
    for side, sign in enumerate((-1, 1)):
        pose = candidate.pose.copy()
        pose[:3, 3] += sign * offset * pose[:3, 1]
        marker = Marker(header=header, ns="fingers", id=2 * rank + side, type=Marker.CUBE)
        marker.pose, marker.color = conversions.pose_message(pose), color
        marker.scale.x, marker.scale.y = gripper.finger_width, gripper.finger_thickness
        marker.scale.z = gripper.pad_length
        parts.append(marker)
    line = Marker(header=header, ns="closing", id=rank, type=Marker.LINE_LIST, color=color)
    line.scale.x = 0.003
    line.pose.orientation.w = 1.0
    centre, along = candidate.pose[:3, 3], candidate.pose[:3, 1]
    above = centre - 0.08 * candidate.pose[:3, 2]
    points = [centre - offset * along, centre + offset * along, centre, above]
    line.points = [_point(p) for p in points]
    return [*parts, line]


def _push(candidate: Candidate, header: Header, color: ColorRGBA, rank: int) -> Marker:
    marker = Marker(header=header, ns="push", id=rank, type=Marker.ARROW, color=color)
    marker.pose.orientation.w = 1.0
    marker.scale.x, marker.scale.y, marker.scale.z = 0.008, 0.018, 0.02
    start = candidate.pose[:3, 3]
    along = np.array([np.cos(candidate.angle), np.sin(candidate.angle), 0.0])
    marker.points = [_point(start), _point(start + candidate.push_length * along)]
    return marker


def _text(candidate: Candidate, header: Header) -> Marker:
    marker = Marker(header=header, ns="score", id=0, type=Marker.TEXT_VIEW_FACING)
    marker.pose = conversions.pose_message(candidate.pose)
    marker.pose.position.z += 0.12
    marker.scale.z = 0.025
    marker.color = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
    marker.text = f"{candidate.policy} {candidate.primitive.name.lower()} {candidate.score:.2f}"
    return marker


def _point(values: np.ndarray) -> Point:
    return Point(x=float(values[0]), y=float(values[1]), z=float(values[2]))
