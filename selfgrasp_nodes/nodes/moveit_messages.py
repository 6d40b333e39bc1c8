"""Plans and scenes as moveit_msgs, and back.

moveit_msgs is imported when it is used: it comes with MoveIt, not with this package.
Checked against moveit_msgs at 851fe62.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.motion.moveit_types import PlanReply, PlanRequest, SceneShape

CARRIED = "carried"
"""Id of the object that hangs from a hand."""

_TOLERANCE = 1e-4  # of a joint goal [rad]


def collision_object(shape: SceneShape, frame: str) -> Any:
    """A shape as a moveit_msgs/CollisionObject that replaces one of its name."""
    from moveit_msgs.msg import CollisionObject
    from shape_msgs.msg import Mesh, MeshTriangle, SolidPrimitive

    message = CollisionObject()
    message.header.frame_id = frame
    message.id = shape.name
    message.pose = pose(shape.pose)
    message.operation = CollisionObject.ADD
    if shape.size is not None:
        box = SolidPrimitive(type=SolidPrimitive.BOX, dimensions=[float(x) for x in shape.size])
        message.primitives = [box]
        message.primitive_poses = [_identity()]
    else:
        mesh = Mesh()
        mesh.vertices = [_point(vertex) for vertex in shape.vertices or ()]
        mesh.triangles = [MeshTriangle(vertex_indices=t) for t in shape.triangles or ()]
        message.meshes = [mesh]
        message.mesh_poses = [_identity()]
    return message


def removal(name: str, frame: str) -> Any:
    """A moveit_msgs/CollisionObject that takes one out of the world."""
    from moveit_msgs.msg import CollisionObject

    message = CollisionObject()
    message.header.frame_id = frame
    message.id = name
    message.operation = CollisionObject.REMOVE
    return message


def scene_diff(shapes: list[SceneShape], removed: list[str], frame: str = "world") -> Any:
    """A moveit_msgs/PlanningScene that changes those objects and nothing else."""
    from moveit_msgs.msg import PlanningScene

    scene = PlanningScene()
    scene.is_diff = True
    # Without it the robot's state in the scene would be reset to zeros.
    scene.robot_state.is_diff = True
    scene.world.collision_objects = [
        *(removal(name, frame) for name in removed),
        *(collision_object(shape, frame) for shape in shapes),
    ]
    return scene


def attached(request: PlanRequest) -> Any:
    """The carried cube as a moveit_msgs/AttachedCollisionObject."""
    from moveit_msgs.msg import AttachedCollisionObject

    message = AttachedCollisionObject()
    message.link_name = request.tip
    place = geometry.transform((0, 0, request.carried_at)).tolist()
    cube = SceneShape(CARRIED, place, [request.carried] * 3)
    message.object = collision_object(cube, request.tip)
    message.touch_links = list(request.touch)
    return message


def start_state(request: PlanRequest) -> Any:
    """Where the plan begins, as a moveit_msgs/RobotState."""
    from moveit_msgs.msg import RobotState

    state = RobotState()
    # Joints that are not named stay as MoveIt has seen them.
    state.is_diff = True
    state.joint_state.name = [*request.joints, *request.others]
    state.joint_state.position = [*request.start, *request.others.values()]
    if request.carried:
        state.attached_collision_objects = [attached(request)]
    return state


def goal_constraints(request: PlanRequest) -> Any:
    """The goal as joint constraints: one for each joint, as Pilz demands."""
    from moveit_msgs.msg import Constraints, JointConstraint

    constraints = Constraints()
    for joint, position in zip(request.joints, request.goal, strict=True):
        constraint = JointConstraint()
        constraint.joint_name = joint
        constraint.position = float(position)
        constraint.tolerance_above = constraint.tolerance_below = _TOLERANCE
        constraint.weight = 1.0
        constraints.joint_constraints.append(constraint)
    return constraints


def motion_plan_request(request: PlanRequest) -> Any:
    """The whole request, as a moveit_msgs/MotionPlanRequest."""
    from moveit_msgs.msg import MotionPlanRequest

    message = MotionPlanRequest()
    message.group_name = request.group
    message.pipeline_id = request.pipeline
    message.planner_id = request.planner
    message.num_planning_attempts = 1
    message.allowed_planning_time = float(request.timeout)
    message.max_velocity_scaling_factor = float(request.velocity)
    message.max_acceleration_scaling_factor = float(request.acceleration)
    message.start_state = start_state(request)
    message.goal_constraints = [goal_constraints(request)]
    return message


def reply(code: int, joint_trajectory: Any) -> PlanReply:
    """MoveIt's answer.

    Args:
        code: Value of its moveit_msgs/MoveItErrorCodes.
        joint_trajectory: trajectory_msgs/JointTrajectory; not read unless the code is success.
    """
    if code != 1 or joint_trajectory is None:
        return PlanReply(code, [], [], [], [])
    points = joint_trajectory.points
    return PlanReply(
        code,
        list(joint_trajectory.joint_names),
        [p.time_from_start.sec + p.time_from_start.nanosec * 1e-9 for p in points],
        [list(map(float, p.positions)) for p in points],
        [list(map(float, p.velocities)) for p in points],
    )


def pose(matrix: Any) -> Any:
    """A 4 x 4 pose as geometry_msgs/Pose."""
    from geometry_msgs.msg import Pose, Quaternion

    matrix = np.asarray(matrix, float)
    w, x, y, z = (float(v) for v in geometry.quaternion(matrix))
    return Pose(
        position=_point(matrix[:3, 3].tolist()), orientation=Quaternion(w=w, x=x, y=y, z=z)
    )


def _identity() -> Any:
    return pose(geometry.transform())


def _point(xyz: list[float]) -> Any:
    from geometry_msgs.msg import Point

    return Point(x=float(xyz[0]), y=float(xyz[1]), z=float(xyz[2]))
