"""Descriptions of robots, arms, grippers and cameras."""

from selfgrasp_nodes.robots.camera_spec import CalibrationSpec, CameraSpec
from selfgrasp_nodes.robots.description import (
    ArmSpec,
    BinSpec,
    RobotSpec,
    TableSpec,
    WorkspaceSpec,
)
from selfgrasp_nodes.robots.gripper_spec import GripperSpec
from selfgrasp_nodes.robots.loader import config_digest, load_robot, robot_names
from selfgrasp_nodes.robots.spec import PoseSpec, Spec

__all__ = [
    "ArmSpec",
    "BinSpec",
    "CalibrationSpec",
    "CameraSpec",
    "GripperSpec",
    "PoseSpec",
    "RobotSpec",
    "Spec",
    "TableSpec",
    "WorkspaceSpec",
    "config_digest",
    "load_robot",
    "robot_names",
]
