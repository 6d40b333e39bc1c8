"""Descriptions of robots, arms, grippers and cameras."""

from selfgrasp_nodes.robots.description import (
    ArmSpec,
    BinSpec,
    CalibrationSpec,
    CameraSpec,
    GripperSpec,
    PoseSpec,
    RobotSpec,
    Spec,
    TableSpec,
    WorkspaceSpec,
)
from selfgrasp_nodes.robots.loader import config_digest, load_robot, robot_names

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
