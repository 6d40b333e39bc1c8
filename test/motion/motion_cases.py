"""What the tests of motion share."""

from __future__ import annotations

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.robots.gripper import tip_T_tcp
from selfgrasp_nodes.types import Candidate, Heightmap, Primitive


def tip(arm, x, y, z, angle=0.0, width=None):
    """world_T_tip of a top-down pose of the TCP."""
    width = arm.gripper.width_max if width is None else width
    pose = geometry.grasp_pose(x, y, z, angle)
    return pose @ geometry.inverse(tip_T_tcp(arm.gripper, width))


def grasp(x, y, z=0.02, angle=0.0, width=0.07, **rest) -> Candidate:
    pose = geometry.grasp_pose(x, y, z, angle)
    return Candidate(Primitive.GRASP, pose, geometry.wrap_grasp(angle), width=width, **rest)


def push(x, y, z=0.02, angle=0.0, length=0.1, **rest) -> Candidate:
    pose = geometry.push_pose(x, y, z, angle)
    return Candidate(Primitive.PUSH, pose, geometry.wrap_push(angle), push_length=length, **rest)


def heightmap(robot, *boxes) -> Heightmap:
    """A heightmap with boxes (x0, x1, y0, y1, height) in world coordinates."""
    workspace = robot.workspace.workspace
    height = np.zeros(workspace.shape, np.float32)
    for x0, x1, y0, y1, top in boxes:
        (r0, c0), (r1, c1) = (
            geometry.point_to_pixel(workspace, x, y) for x, y in ((x0, y0), (x1, y1))
        )
        height[r0:r1, c0:c1] = top
    color = np.zeros((*workspace.shape, 3), np.uint8)
    return Heightmap(workspace, color, height, np.ones(workspace.shape, bool))
