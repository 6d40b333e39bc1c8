"""Does an arm stand between the overhead camera and the workspace?"""

from __future__ import annotations

import coal
import numpy as np
import pinocchio
from scipy.optimize import linprog
from scipy.spatial import HalfspaceIntersection

from selfgrasp_nodes.motion.model import RobotModel
from selfgrasp_nodes.robots import ArmSpec

_HEIGHT = 0.12  # of what may stand on the table [m]
_MARGIN = 0.01  # round the workspace [m]
_CARRIED = 0.04  # by which what is carried may reach out beyond the gripper's shapes [m]


class Visibility:
    """Checks the arms against the camera's view of the workspace.

    Two shapes must be free: the convex hull of the camera's centre and a box on the
    workspace, in which an arm hides objects, and what the camera sees of the column
    over the workspace, in which the arm would itself become part of a heightmap.
    """

    def __init__(self, robot: RobotModel):
        self._model = robot.model
        self._data = self._model.createData()
        self._shapes = robot.shapes.copy()
        workspace = robot.robot.workspace.workspace
        low, high = workspace.low - _MARGIN, workspace.high + _MARGIN
        corners = [(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (0, 1)]
        box = np.array(corners, float)
        camera = world_T_camera(robot)
        hulls = [
            _hull([camera[:3, 3], *(box * (1, 1, _HEIGHT))]),
            _hull(
                _seen_column(robot, camera, low - _CARRIED, high + _CARRIED, workspace.height_max)
            ),
        ]
        links = range(len(self._shapes.geometryObjects))
        base = pinocchio.SE3(robot.world_T_base).inverse()
        views = [
            self._shapes.addGeometryObject(
                pinocchio.GeometryObject(f"view_{number}", 0, 0, base, hull)
            )
            for number, hull in enumerate(hulls)
        ]
        self._arms = {}
        for arm in robot.robot.arms:
            joints = robot.subtree(robot.arm_joint_ids(arm)[1])
            for index in links:
                if self._shapes.geometryObjects[index].parentJoint in joints:
                    for view in views:
                        self._shapes.addCollisionPair(pinocchio.CollisionPair(index, view))
        for arm in robot.robot.arms:
            joints = robot.subtree(robot.arm_joint_ids(arm)[1])
            data = self._shapes.createData()
            for index, pair in enumerate(self._shapes.collisionPairs):
                if self._shapes.geometryObjects[pair.first].parentJoint not in joints:
                    data.deactivateCollisionPair(index)
            self._arms[arm.name] = data

    def blocks(self, q: np.ndarray, arm: ArmSpec) -> bool:
        """Whether the arm is in the view, at a configuration of the whole model."""
        data = self._arms[arm.name]
        return bool(
            pinocchio.computeCollisions(self._model, self._data, self._shapes, data, q, True)
        )


def _seen_column(
    robot: RobotModel, camera: np.ndarray, low: np.ndarray, high: np.ndarray, height: float
) -> list[np.ndarray]:
    """Corners of the column over the workspace, cut off where the picture ends."""
    spec = robot.robot.camera()
    # Half-spaces n x + d <= 0: the column's sides, then the frustum's.
    planes = [[-1, 0, 0, low[0]], [1, 0, 0, -high[0]], [0, -1, 0, low[1]], [0, 1, 0, -high[1]]]
    planes += [[0, 0, -1, 0], [0, 0, 1, -height]]
    left, right = -spec.cx / spec.fx, (spec.width - spec.cx) / spec.fx
    top, bottom = -spec.cy / spec.fy, (spec.height - spec.cy) / spec.fy
    for normal in ((-1, 0, left), (1, 0, -right), (0, -1, top), (0, 1, -bottom)):
        world = camera[:3, :3] @ np.array(normal, float)
        planes.append([*world, -float(world @ camera[:3, 3])])
    rows = np.array(planes, float)
    rows /= np.linalg.norm(rows[:, :3], axis=1, keepdims=True)
    inside = _inner_point(rows)
    if inside is None:  # a camera that does not see the workspace
        return [
            np.array([x, y, z])
            for x in (low[0], high[0])
            for y in (low[1], high[1])
            for z in (0.0, height)
        ]
    return list(HalfspaceIntersection(rows, inside).intersections)


def _inner_point(rows: np.ndarray) -> np.ndarray | None:
    """The point that is deepest inside all half-spaces; None where there is none."""
    found = linprog(
        [0, 0, 0, -1],
        A_ub=np.c_[rows[:, :3], np.ones(len(rows))],
        b_ub=-rows[:, 3],
        bounds=[(None, None)] * 3 + [(1e-4, None)],
    )
    return found.x[:3] if found.success else None


def _hull(corners: list[np.ndarray]) -> coal.Convex:
    """The convex hull of points, in the world frame."""
    points = coal.StdVec_Vec3s()
    for corner in corners:
        points.append(np.asarray(corner, float))
    return coal.Convex.convexHull(points, False, "")


def world_T_camera(robot: RobotModel) -> np.ndarray:
    """Pose of the overhead camera's optical frame, 4 x 4, with every joint at home."""
    camera = robot.robot.camera()
    if camera.parent == "world":
        return camera.pose.matrix
    data = robot.model.createData()
    pinocchio.framesForwardKinematics(robot.model, data, robot.neutral())
    base_T_parent = data.oMf[robot.model.getFrameId(camera.parent)].homogeneous
    return robot.world_T_base @ base_T_parent @ camera.pose.matrix
