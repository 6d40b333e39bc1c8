"""Does an arm stand between the overhead camera and the workspace?"""

from __future__ import annotations

import coal
import numpy as np
import pinocchio

from selfgrasp_nodes.motion.model import RobotModel
from selfgrasp_nodes.robots import ArmSpec

_HEIGHT = 0.12  # of what may stand on the table [m]
_MARGIN = 0.01  # round the workspace [m]


class Visibility:
    """Checks the arms against the camera's view of the workspace.

    The view is the convex hull of the camera's centre and a box on the workspace.
    """

    def __init__(self, robot: RobotModel):
        self._model = robot.model
        self._data = self._model.createData()
        self._shapes = robot.shapes.copy()
        workspace = robot.robot.workspace.workspace
        low, high = workspace.low - _MARGIN, workspace.high + _MARGIN
        corners = [
            (x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (0, _HEIGHT)
        ]
        points = coal.StdVec_Vec3s()
        for point in [world_T_camera(robot)[:3, 3], *corners]:
            points.append(np.asarray(point, float))
        hull = coal.Convex.convexHull(points, False, "")
        links = range(len(self._shapes.geometryObjects))
        view = self._shapes.addGeometryObject(
            pinocchio.GeometryObject(
                "view", 0, 0, pinocchio.SE3(robot.world_T_base).inverse(), hull
            )
        )
        self._arms = {}
        for arm in robot.robot.arms:
            joints = robot.subtree(robot.arm_joint_ids(arm)[1])
            for index in links:
                if self._shapes.geometryObjects[index].parentJoint in joints:
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


def world_T_camera(robot: RobotModel) -> np.ndarray:
    """Pose of the overhead camera's optical frame, 4 x 4, with every joint at home."""
    camera = robot.robot.camera()
    if camera.parent == "world":
        return camera.pose.matrix
    data = robot.model.createData()
    pinocchio.framesForwardKinematics(robot.model, data, robot.neutral())
    base_T_parent = data.oMf[robot.model.getFrameId(camera.parent)].homogeneous
    return robot.world_T_base @ base_T_parent @ camera.pose.matrix
