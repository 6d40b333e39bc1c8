"""Link frames of a robot from its URDF and joint positions. No ROS.

What ``robot_state_publisher`` does where it is installed.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from selfgrasp_nodes.geometry import transform
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.robots.urdf import expand_urdf

Frame = tuple[str, str, np.ndarray]
"""(parent, child, parent_T_child)."""


@dataclass(frozen=True)
class _Joint:
    name: str
    kind: str
    parent: str
    child: str
    origin: np.ndarray
    axis: np.ndarray
    mimics: str
    multiplier: float
    offset: float


class RobotState:
    """The tree of a robot cell's frames.

    Attributes:
        fixed: Frames that never move: base, fixed joints, cameras.
    """

    def __init__(self, robot: RobotSpec, fixed_frame: str = "world"):
        """Read the robot's URDF.

        Args:
            robot: The cell.
            fixed_frame: Name of the world frame.
        """
        root = ElementTree.fromstring(expand_urdf(robot))
        joints = [_joint(item) for item in root.findall("joint")]
        self._moving = [j for j in joints if j.kind != "fixed"]
        self.fixed: list[Frame] = [
            (j.parent, j.child, j.origin) for j in joints if j.kind == "fixed"
        ]
        children = {j.child for j in joints}
        if robot.base_link not in children:
            self.fixed.append((fixed_frame, robot.base_link, robot.world_T_base.matrix))
        for camera in robot.cameras:
            parent = fixed_frame if camera.parent == "world" else camera.parent
            if camera.frame not in children:
                self.fixed.append((parent, camera.frame, camera.pose.matrix))

    def frames(self, positions: Mapping[str, float]) -> list[Frame]:
        """The frames that move, at joint positions by name; those not given are left out."""
        found = []
        for joint in self._moving:
            value = positions.get(joint.mimics or joint.name)
            if value is None:
                continue
            value = joint.multiplier * value + joint.offset if joint.mimics else value
            step = np.eye(4)
            if joint.kind == "prismatic":
                step[:3, 3] = value * joint.axis
            else:
                step[:3, :3] = Rotation.from_rotvec(value * joint.axis).as_matrix()
            found.append((joint.parent, joint.child, joint.origin @ step))
        return found


def _joint(item: ElementTree.Element) -> _Joint:
    origin, axis, mimic = item.find("origin"), item.find("axis"), item.find("mimic")
    direction = _numbers(axis, "xyz") if axis is not None else np.array([1.0, 0, 0])
    xyz = _numbers(origin, "xyz") if origin is not None else np.zeros(3)
    rpy = _numbers(origin, "rpy") if origin is not None else np.zeros(3)
    parent, child = item.find("parent"), item.find("child")
    assert parent is not None and child is not None
    return _Joint(
        name=str(item.get("name")),
        kind=str(item.get("type")),
        parent=str(parent.get("link")),
        child=str(child.get("link")),
        origin=transform(xyz, rpy),
        axis=direction / (np.linalg.norm(direction) or 1.0),
        mimics=str(mimic.get("joint")) if mimic is not None else "",
        multiplier=float(mimic.get("multiplier", "1")) if mimic is not None else 1.0,
        offset=float(mimic.get("offset", "0")) if mimic is not None else 0.0,
    )


def _numbers(item: ElementTree.Element, name: str) -> np.ndarray:
    text = item.get(name)
    return np.array([float(v) for v in text.split()]) if text else np.zeros(3)
