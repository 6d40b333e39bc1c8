"""What stands round the robot, and which geoms meet which.

Collision bits: objects and the table's plane use bit 0; each arm has a bit of
its own, so that arms meet objects and each other but never themselves. The arm
meets the table as a box of the table's real size.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import mujoco
import numpy as np

from selfgrasp_nodes.robots import BinSpec, RobotSpec
from selfgrasp_nodes.simulation.convert import VISUAL_GROUP, Converted
from selfgrasp_nodes.simulation.scene import TABLE_FRICTION, add_table

OBJECT_BIT = 1


def add_furniture(spec: mujoco.MjSpec, robot: RobotSpec, friction_scale: float) -> None:
    """Add table, bins and border; their friction is below every object's."""
    arm_bits = sum(2 << i for i in range(len(robot.arms)))
    friction = [TABLE_FRICTION * friction_scale, 0.003, 0.0001]
    plane = add_table(spec, friction[0])
    plane.contype, plane.conaffinity = 0, OBJECT_BIT
    table = robot.table
    spec.worldbody.add_geom(
        name="table_box",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[*table.center, -table.thickness / 2],
        size=[table.size[0] / 2, table.size[1] / 2, table.thickness / 2],
        contype=0,
        conaffinity=arm_bits,
        friction=friction,
        group=3,
    )
    for index, box in enumerate(robot.bins):
        _bin(spec, f"bin_{index}", box, OBJECT_BIT | arm_bits, friction)
    _border(spec, robot)


def _bin(
    spec: mujoco.MjSpec, name: str, box: BinSpec, conaffinity: int, friction: list[float]
) -> None:
    """Four walls on the table."""
    wall, (x, y, height) = 0.005, box.size
    center = np.array([*box.center, box.floor + height / 2])
    for index, (axis, sign) in enumerate(((0, 1), (0, -1), (1, 1), (1, -1))):
        half = np.array([x / 2 + wall, y / 2 + wall, height / 2])
        half[axis] = wall / 2
        offset = np.zeros(3)
        offset[axis] = sign * (box.size[axis] + wall) / 2
        spec.worldbody.add_geom(
            name=f"{name}/{index}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=center + offset,
            size=half,
            contype=0,
            conaffinity=conaffinity,
            friction=friction,
            rgba=[0.35, 0.37, 0.4, 1],
        )


def _border(spec: mujoco.MjSpec, robot: RobotSpec) -> None:
    """A painted line round the workspace: seen by people and cameras, touched by nothing."""
    line, workspace = 0.004, robot.workspace
    for index, (axis, sign) in enumerate(((0, 1), (0, -1), (1, 1), (1, -1))):
        half = np.array([*workspace.size, 0.0]) / 2 + [line, line, 0.0001]
        half[axis] = line / 2
        pos = np.array([*workspace.center, 0.0001])
        pos[axis] += sign * (workspace.size[axis] + line) / 2
        spec.worldbody.add_geom(
            name=f"border/{index}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=pos,
            size=half,
            contype=0,
            conaffinity=0,
            group=VISUAL_GROUP,
            rgba=[0.45, 0.45, 0.47, 1],
        )


class CollisionBits:
    """Which geoms of a robot meet what."""

    def __init__(self, robot: RobotSpec, urdf: str):
        """Tell the links of each arm apart.

        Args:
            robot: Its description.
            urdf: Its URDF.
        """
        # Links are told apart by their joints: what hangs from an arm's first joint is the arm.
        root = ElementTree.fromstring(urdf)
        converted = Converted()
        child_of = {}
        for joint in root.findall("joint"):
            parent, child = joint.find("parent"), joint.find("child")
            if parent is not None and child is not None:
                converted.parents[child.get("link", "")] = parent.get("link", "")
                child_of[joint.get("name", "")] = child.get("link", "")
        self.members = [
            converted.below(child_of[arm.joints[0]]) if arm.joints[0] in child_of else set()
            for arm in robot.arms
        ]

    def of(self, link: str) -> tuple[int, int]:
        """(contype, conaffinity) of a link's geoms."""
        for index, members in enumerate(self.members):
            if link in members:
                others = sum(2 << i for i in range(len(self.members)) if i != index)
                return 2 << index, OBJECT_BIT | others
        return 0, OBJECT_BIT
