"""What the planner would ask of MoveIt is nothing that its files forbid."""

from __future__ import annotations

from xml.etree import ElementTree

import coal
import numpy as np
import pinocchio as pin
import pytest

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import PlanningFailed
from selfgrasp_nodes.motion.collision import Contact
from selfgrasp_nodes.motion.moveit_parameters import moveit_folder, moveit_parameters
from selfgrasp_nodes.motion.moveit_planner import MoveItPlanner
from selfgrasp_nodes.motion.options import load_options
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.robots.gripper import tcp_distance

ROBOTS = sorted(p.name for p in (share_dir() / "config" / "moveit").iterdir())


class Nobody:
    """A way to MoveIt on which nothing is asked."""


class AsMoveIt:
    """Collision checks as MoveIt makes them: the URDF's shapes, the SRDF's pairs, the scene."""

    def __init__(self, robot, planner):
        root = ElementTree.fromstring((moveit_folder(robot) / f"{robot.name}.srdf").read_text())
        left_out = {
            frozenset((e.get("link1"), e.get("link2"))) for e in root.iter("disable_collisions")
        }
        self.model = planner._cell.model
        self.shapes = self.model.shapes.copy()
        for shape in self.shapes.geometryObjects:
            shape.geometry.computeLocalAABB()
        frames = self.model.model.frames
        self.links = [frames[s.parentFrame].name for s in self.shapes.geometryObjects]
        for i, first in enumerate(self.links):
            for j, second in enumerate(self.links[:i]):
                if first != second and frozenset((first, second)) not in left_out:
                    self.shapes.addCollisionPair(pin.CollisionPair(i, j))
        base = pin.SE3(robot.world_T_base.matrix).inverse()
        for box in planner._furniture():
            solid = coal.Box(*box.size)
            solid.computeLocalAABB()
            place = base * pin.SE3(np.array(box.pose))
            number = self.shapes.addGeometryObject(
                pin.GeometryObject(box.name, 0, 0, place, solid)
            )
            for i, shape in enumerate(self.shapes.geometryObjects[:number]):
                if shape.parentJoint > 0:  # MoveIt looks at links that the group moves
                    self.shapes.addCollisionPair(pin.CollisionPair(i, number))
        self._data = self.model.model.createData(), self.shapes.createData()

    def touching(self, q) -> set[tuple[str, str]]:
        data, found = self._data
        pin.computeCollisions(self.model.model, data, self.shapes, found, q, False)
        return {
            (
                self.shapes.geometryObjects[pair.first].name,
                self.shapes.geometryObjects[pair.second].name,
            )
            for pair, result in zip(
                self.shapes.collisionPairs, found.collisionResults, strict=True
            )
            if result.isCollision()
        }


@pytest.mark.parametrize("name", ROBOTS)
def test_goals_that_are_free_for_us_are_free_for_moveit(name: str) -> None:
    """Else it would answer that the goal collides, and grasps of half the table would fail."""
    robot = load_robot(name)
    parameters = moveit_parameters(robot, use_sim_time=False)
    planner = MoveItPlanner(robot, load_options(robot=name), Nobody(), parameters)
    moveit = AsMoveIt(robot, planner)
    home = moveit.model.neutral()
    assert not moveit.touching(home)
    rng = np.random.default_rng(7)
    center, size = np.array(robot.workspace.center), np.array(robot.workspace.size)
    for arm in robot.arms:
        width, free = arm.gripper.width_max, 0
        for _ in range(60):
            x, y = center + rng.uniform(-0.4, 0.4, 2) * size
            grasp = geometry.grasp_pose(x, y, rng.uniform(0.02, 0.2), rng.uniform(-1.5, 1.5))
            tip = grasp @ geometry.transform((0, 0, -tcp_distance(arm.gripper, width)))
            try:
                goal = planner.ik(arm.name, tip, np.array(arm.ready))
            except PlanningFailed:
                continue
            q = home.copy()
            q[moveit.model.indices(arm.joints)] = goal
            moveit.model.set_width(q, arm, width)
            if planner._cell.collision.collides(q, arm, Contact.TOUCH):
                continue
            free += 1
            assert not moveit.touching(q), (arm.name, goal)
        assert free > 30


def test_the_check_sees_what_is_in_the_way() -> None:
    """Both arms at their ready poses at once reach for the same place."""
    robot = load_robot("baxter")
    parameters = moveit_parameters(robot, use_sim_time=False)
    planner = MoveItPlanner(robot, load_options(robot="baxter"), Nobody(), parameters)
    moveit = AsMoveIt(robot, planner)
    q = moveit.model.neutral()
    for arm in robot.arms:
        q[moveit.model.indices(arm.joints)] = arm.ready
    assert {a.split("_")[0] + b.split("_")[0] for a, b in moveit.touching(q)} == {"rightleft"}
    arm = robot.arms[0]
    below = planner.fk(arm.name, np.array(arm.ready)) @ geometry.transform((0, 0, 0.25))
    q[moveit.model.indices(arm.joints)] = planner.ik(arm.name, below, np.array(arm.ready))
    assert any("table" in pair for pair in moveit.touching(q))
