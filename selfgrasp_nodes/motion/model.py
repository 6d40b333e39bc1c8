"""A robot's Pinocchio model, and what is needed to address it by name."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import numpy as np
import pinocchio

from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.robots import ArmSpec, RobotSpec
from selfgrasp_nodes.robots.gripper import joint_from_width
from selfgrasp_nodes.robots.urdf import expand_urdf

_REMEMBERED = 256  # openings whose finger joints are kept


@dataclass(frozen=True)
class Mimic:
    """A joint that follows another: value = multiplier * other + offset."""

    joint: str
    other: str
    multiplier: float
    offset: float


class RobotModel:
    """Kinematics and collision shapes of the whole robot cell.

    Attributes:
        robot: Its description.
        model: Pinocchio model; joint positions are one number a joint.
        shapes: Collision geometry of the links.
        world_T_base: 4 x 4.
        mimics: Joints that follow another.
    """

    def __init__(self, robot: RobotSpec):
        """Build the model from the robot's URDF.

        Raises:
            InvalidConfig: If the URDF lacks a joint or link that the
                description names.
        """
        self.robot = robot
        text = _bounded(expand_urdf(robot))
        try:
            self.model = pinocchio.buildModelFromXML(text)
            self.shapes = pinocchio.buildGeomFromUrdfString(
                self.model, text, pinocchio.GeometryType.COLLISION
            )
        except (ValueError, RuntimeError) as error:
            raise InvalidConfig(f"the URDF of {robot.name!r} cannot be used: {error}") from error
        self.world_T_base = robot.world_T_base.matrix
        self.mimics = _mimics(text)
        self._fingers: dict[tuple[str, float], tuple[np.ndarray, np.ndarray]] = {}
        for arm in robot.arms:
            self._check(arm)

    def indices(self, joints: tuple[str, ...]) -> np.ndarray:
        """Where those joints stand in a configuration vector."""
        return np.array([self.model.joints[self.model.getJointId(j)].idx_q for j in joints])

    def neutral(self) -> np.ndarray:
        """A configuration with every arm at home and every gripper open."""
        q = pinocchio.neutral(self.model)
        for arm in self.robot.arms:
            q[self.indices(arm.joints)] = arm.home
            self.set_width(q, arm, arm.gripper.width_max)
        return q

    def set_width(self, q: np.ndarray, arm: ArmSpec, width: float) -> None:
        """Write a gripper's joints, the followers too, for an opening [m] into ``q``."""
        key = (arm.name, float(width))
        if key not in self._fingers:
            if len(self._fingers) >= _REMEMBERED:
                self._fingers.clear()
            self._fingers[key] = self._finger_joints(arm, width)
        where, values = self._fingers[key]
        q[where] = values

    def _finger_joints(self, arm: ArmSpec, width: float) -> tuple[np.ndarray, np.ndarray]:
        """Where a gripper's joints stand in a configuration, and their values at an opening."""
        values = {arm.gripper.joint: joint_from_width(arm.gripper, width)}
        for mimic in self.mimics:
            if mimic.other in values:
                values[mimic.joint] = mimic.multiplier * values[mimic.other] + mimic.offset
        joints = tuple(j for j in values if self.model.existJointName(j))
        return self.indices(joints), np.array([values[j] for j in joints])

    def arm_joint_ids(self, arm: ArmSpec) -> list[int]:
        """Pinocchio ids of the arm's joints, base to wrist."""
        return [self.model.getJointId(j) for j in arm.joints]

    def subtree(self, joint: int) -> set[int]:
        """Ids of a joint and of all that it carries."""
        return {int(j) for j in self.model.subtrees[joint]}

    def _check(self, arm: ArmSpec) -> None:
        for joint in arm.joints:
            if not self.model.existJointName(joint):
                names = ", ".join(list(self.model.names)[1:])
                raise InvalidConfig(f"arm {arm.name!r}: no joint {joint!r} in the URDF: {names}")
        if not self.model.existFrame(arm.tip_link):
            raise InvalidConfig(f"arm {arm.name!r}: no link {arm.tip_link!r} in the URDF")


def _bounded(text: str) -> str:
    """The URDF with continuous joints as revolute ones: one number a joint."""
    if "continuous" not in text:
        return text
    root = ElementTree.fromstring(text)
    for joint in root.iter("joint"):
        if joint.get("type") == "continuous":
            joint.set("type", "revolute")
            limit = joint.find("limit")
            if limit is None:
                limit = ElementTree.SubElement(joint, "limit", effort="100", velocity="1")
            limit.set("lower", str(-2 * np.pi))
            limit.set("upper", str(2 * np.pi))
    return ElementTree.tostring(root, encoding="unicode")


def _mimics(text: str) -> tuple[Mimic, ...]:
    found = []
    for joint in ElementTree.fromstring(text).iter("joint"):
        mimic = joint.find("mimic")
        if mimic is not None:
            found.append(
                Mimic(
                    str(joint.get("name")),
                    str(mimic.get("joint")),
                    float(mimic.get("multiplier", "1")),
                    float(mimic.get("offset", "0")),
                )
            )
    return tuple(found)
