"""Candidates as moveit_msgs/Grasp, for pipelines that pick with MoveIt themselves.

moveit_msgs is imported when it is used: it comes with MoveIt, not with this package.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from selfgrasp.msg import Candidate as CandidateMsg
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidCandidate, MissingDependency
from selfgrasp_nodes.motion.options import GraspOptions
from selfgrasp_nodes.nodes import conversions
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.robots.gripper import tip_T_tcp, to_driver

_LEAST = 0.5  # share of a straight way that must be possible for a grasp to be tried


def grasp_message(
    candidate: CandidateMsg, robot: RobotSpec, options: GraspOptions | None = None
) -> Any:
    """A grasp candidate as a moveit_msgs/Grasp.

    Its ``grasp_pose`` is that of the arm's tip link (the flange that the gripper is mounted
    on), as MoveIt defines it, while a candidate's pose is that of the tool centre point
    at the candidate's width.

    Args:
        candidate: From the ``plan`` service.
        robot: Whose gripper closes.
        options: Heights of approach and lift [m]; the defaults where None.

    Raises:
        InvalidCandidate: If it is a push, or its pose is none.
        MissingDependency: If moveit_msgs is not installed.
        UnknownName: If the robot has no such arm.
    """
    try:
        from moveit_msgs.msg import Grasp, GripperTranslation
    except ImportError as error:
        raise MissingDependency(
            "moveit_msgs is not installed: sudo apt install ros-$ROS_DISTRO-moveit-msgs"
        ) from error
    if candidate.primitive != CandidateMsg.GRASP:
        raise InvalidCandidate("only a grasp can become a moveit_msgs/Grasp; this is a push")
    options = options or GraspOptions()
    arm = robot.arm(candidate.arm)
    gripper = arm.gripper
    world_T_tip = conversions.pose(candidate.pose) @ geometry.inverse(
        tip_T_tcp(gripper, candidate.width)
    )
    if not np.isfinite(world_T_tip).all():
        raise InvalidCandidate("the candidate's pose is not finite")

    def posture(width: float, force: float) -> JointTrajectory:
        joint, position, effort = to_driver(gripper, width, force)
        point = JointTrajectoryPoint(positions=[position], effort=[effort])
        stroke = (gripper.width_max - gripper.width_min) / gripper.speed
        point.time_from_start = conversions.duration_message(stroke)
        return JointTrajectory(joint_names=[joint], points=[point])

    def way(frame: str, z: float, distance: float) -> Any:
        message = GripperTranslation()
        message.direction.header.frame_id = frame
        message.direction.vector.z = z
        message.desired_distance = float(distance)
        message.min_distance = float(_LEAST * distance)
        return message

    grasp = Grasp()
    grasp.id = candidate.id
    grasp.pre_grasp_posture = posture(candidate.width, 0.0)
    grasp.grasp_posture = posture(gripper.width_min, candidate.max_force)
    grasp.grasp_pose = conversions.pose_stamped(
        world_T_tip, candidate.header.frame_id, conversions.stamp(candidate.header.stamp)
    )
    known = math.isfinite(candidate.probability)
    grasp.grasp_quality = float(candidate.probability if known else candidate.score)
    grasp.pre_grasp_approach = way(arm.tip_link, 1.0, options.approach_height)
    grasp.post_grasp_retreat = way(candidate.header.frame_id, 1.0, options.lift_height)
    grasp.post_place_retreat = way(candidate.header.frame_id, 1.0, options.approach_height)
    grasp.max_contact_force = float(candidate.max_force)
    return grasp
