"""Kinematics of parallel-jaw grippers: width <-> joint <-> tool centre point.

An ``arc`` gripper (OnRobot RG2) carries each pad on a parallelogram: the pads
stay parallel, and their centre moves on a circle, so the TCP comes nearer to
the flange as the fingers open. With the links of length L at angle a to the
approach axis, half the opening is h0 + L sin(a) and the pad's depth is
z0 + L cos(a).
"""

from __future__ import annotations

import numpy as np

from selfgrasp_nodes.robots.gripper_spec import GripperSpec


def _link_angle(gripper: GripperSpec, width: float) -> float:
    """Angle of an arc gripper's links to the approach axis [rad]."""
    sine = np.sin(gripper.angle_closed) + (width - gripper.width_min) / 2 / gripper.link_length
    return float(np.arcsin(np.clip(sine, -1.0, 1.0)))


def joint_from_width(gripper: GripperSpec, width: float) -> float:
    """Value of the actuated joint at an opening [m] (clipped to the stroke)."""
    width = float(np.clip(width, gripper.width_min, gripper.width_max))
    if gripper.kind == "prismatic":
        share = (width - gripper.width_min) / (gripper.width_max - gripper.width_min)
    else:
        closed = gripper.angle_closed
        span = _link_angle(gripper, gripper.width_max) - closed
        share = (_link_angle(gripper, width) - closed) / span
    return gripper.joint_closed + share * (gripper.joint_open - gripper.joint_closed)


def width_from_joint(gripper: GripperSpec, joint: float) -> float:
    """Opening [m] at a value of the actuated joint; inverse of :func:`joint_from_width`."""
    share = (joint - gripper.joint_closed) / (gripper.joint_open - gripper.joint_closed)
    if gripper.kind == "prismatic":
        return gripper.width_min + share * (gripper.width_max - gripper.width_min)
    closed = gripper.angle_closed
    angle = closed + share * (_link_angle(gripper, gripper.width_max) - closed)
    return gripper.width_min + 2 * gripper.link_length * (np.sin(angle) - np.sin(closed))


def to_driver(gripper: GripperSpec, width: float, force: float) -> tuple[str, float, float]:
    """A command as the gripper's driver takes it.

    Args:
        gripper: Its description.
        width: Opening [m]; clipped to the stroke.
        force: Closing force [N].

    Returns:
        (joint, position, effort): in ``gripper.driver_unit``.
    """
    width = float(np.clip(width, gripper.width_min, gripper.width_max))
    name = gripper.driver_joint or gripper.joint
    if gripper.driver_unit == "width":
        return name, width, abs(float(force))
    effort = abs(float(force * width_per_joint(gripper, width)))
    return name, float(joint_from_width(gripper, width)), effort


def from_driver(gripper: GripperSpec, position: float, effort: float) -> tuple[float, float]:
    """Opening [m] and force [N] of what a driver is told, or reports; see :func:`to_driver`."""
    joint = gripper.driver_unit == "joint"
    width = width_from_joint(gripper, position) if joint else position
    width = float(np.clip(width, gripper.width_min, gripper.width_max))
    return width, abs(effort / width_per_joint(gripper, width) if joint else effort)


def tcp_distance(gripper: GripperSpec, width: float) -> float:
    """Distance from the flange to the TCP along +z at an opening [m]."""
    if gripper.kind == "prismatic":
        return gripper.tcp_closed
    angle = _link_angle(gripper, float(np.clip(width, gripper.width_min, gripper.width_max)))
    return gripper.tcp_closed + gripper.link_length * (
        np.cos(angle) - np.cos(gripper.angle_closed)
    )


def tip_T_tcp(gripper: GripperSpec, width: float) -> np.ndarray:
    """4 x 4 transform from the TCP at an opening [m] to the tool flange."""
    matrix = np.eye(4)
    matrix[2, 3] = tcp_distance(gripper, width)
    return matrix


def width_per_joint(gripper: GripperSpec, width: float) -> float:
    """d(width)/d(joint) at an opening [m]: by virtual work, torque = force * this."""
    eps = 1e-5
    joint = joint_from_width(gripper, width)
    return (width_from_joint(gripper, joint + eps) - width_from_joint(gripper, joint - eps)) / (
        2 * eps
    )
