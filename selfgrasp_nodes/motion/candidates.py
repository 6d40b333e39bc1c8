"""Candidates before they move anything: refused, completed, kept off the table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from selfgrasp_nodes.errors import InvalidCandidate
from selfgrasp_nodes.motion.options import MotionOptions
from selfgrasp_nodes.robots import ArmSpec, GripperSpec, RobotSpec
from selfgrasp_nodes.robots.gripper import tcp_distance
from selfgrasp_nodes.types import Candidate, Primitive

LEAST_DOWNWARDS = np.cos(np.deg2rad(60))
"""An approach whose -z component is smaller is no descent onto the table."""

_FORCE_SHARE = 0.5  # of the gripper's largest force where a candidate names none


def check_candidate(candidate: Candidate, robot: RobotSpec, arm: ArmSpec) -> None:
    """Refuse a candidate that makes no sense, before anything moves.

    Raises:
        InvalidCandidate: If its pose is not a finite rigid transform that looks
            down, lies outside the workspace, or its width is not within the
            gripper's stroke.
    """
    gripper, workspace = arm.gripper, robot.workspace.workspace
    pose = np.asarray(candidate.pose, float)
    numbers = [candidate.angle, candidate.width, candidate.max_force, candidate.push_length]
    if pose.shape != (4, 4):
        raise InvalidCandidate(f"pose must be a 4 x 4 transform; its shape is {pose.shape}")
    if not (np.all(np.isfinite(pose)) and np.all(np.isfinite(numbers))):
        raise InvalidCandidate("pose, angle, width, force or push length is NaN or infinite")
    rotation = pose[:3, :3]
    if not (
        np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) and np.linalg.det(rotation) > 0
    ):
        raise InvalidCandidate("pose is not a rotation and a translation")
    if -rotation[2, 2] < LEAST_DOWNWARDS:
        raise InvalidCandidate("the approach (+z of the pose) must point down within 60 degrees")
    x, y, z = pose[:3, 3]
    low, high = workspace.low, workspace.high
    if not workspace.contains(x, y):
        raise InvalidCandidate(
            f"candidate at ({x:.3f}, {y:.3f}) is outside the workspace "
            f"x {low[0]:.3f}..{high[0]:.3f}, y {low[1]:.3f}..{high[1]:.3f}"
        )
    if not -0.05 <= z <= workspace.height_max:
        raise InvalidCandidate(
            f"candidate at height {z:.3f} is outside the workspace 0..{workspace.height_max:.3f}"
        )
    if candidate.primitive == Primitive.GRASP:
        if not gripper.width_min < candidate.width <= gripper.width_max + 1e-6:
            raise InvalidCandidate(
                f"width {candidate.width:.4f} is beyond the stroke of {gripper.name}: more than "
                f"{gripper.width_min:.4f}, at most {gripper.width_max:.4f}"
            )
    elif candidate.push_length < 0:
        raise InvalidCandidate(f"push length {candidate.push_length:.3f} is negative")


def tip_reach(gripper: GripperSpec, widest: float) -> float:
    """Distance from the flange to the fingertips where it is largest [m].

    Args:
        gripper: The gripper.
        widest: The fingers take any opening from closed to this one [m].
    """
    widths = np.linspace(gripper.width_min, max(widest, gripper.width_min), 25)
    return max(tcp_distance(gripper, w) for w in widths) + gripper.pad_length / 2


def table_safe(
    world_T_tcp: np.ndarray, width: float, gripper: GripperSpec, clearance: float
) -> np.ndarray:
    """The pose, raised where the fingers would touch the table while they close.

    Args:
        world_T_tcp: TCP at ``width``.
        width: Opening [m]; the fingers will pass through all smaller ones.
        gripper: The gripper.
        clearance: Least height of the fingertips above the table [m].

    Returns:
        A 4 x 4 pose with the same orientation and the same x and y.
    """
    flange = world_T_tcp @ np.array([0, 0, -tcp_distance(gripper, width), 1.0])
    lowest = flange[2] + world_T_tcp[2, 2] * tip_reach(gripper, width)
    raised = world_T_tcp.copy()
    raised[2, 3] += max(0.0, clearance - lowest)
    return raised


def executed(candidate: Candidate, arm: ArmSpec, options: MotionOptions) -> Candidate:
    """The candidate as it will run: arm and force filled in, the pose table-safe."""
    gripper = arm.gripper
    force = candidate.max_force or _FORCE_SHARE * gripper.force_max
    width = candidate.width if candidate.primitive == Primitive.GRASP else gripper.width_min
    length = candidate.push_length
    if candidate.primitive == Primitive.PUSH:
        length = length or options.push.length
    return replace(
        candidate,
        arm=arm.name,
        max_force=float(np.clip(force, gripper.force_min, gripper.force_max)),
        pose=table_safe(
            np.asarray(candidate.pose, float), width, gripper, options.safety.table_clearance
        ),
        push_length=length,
    )
