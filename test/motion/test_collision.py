from __future__ import annotations

import numpy as np
import pytest
from motion_cases import heightmap, tip

from selfgrasp_nodes.motion.collision import CollisionChecker, Contact
from selfgrasp_nodes.motion.kinematics import ArmKinematics
from selfgrasp_nodes.motion.model import RobotModel
from selfgrasp_nodes.motion.obstacles import pooled


class Cell:
    def __init__(self, robot):
        self.arm = robot.arm()
        self.model = RobotModel(robot)
        self.chain = ArmKinematics(self.model, self.arm)
        self.checker = CollisionChecker(self.model)
        self.q = self.model.neutral()

    def at(self, x, y, z, contact=Contact.FREE, width=0.07, angle=0.0):
        joints = self.chain.ik(tip(self.arm, x, y, z, angle, width), np.array(self.arm.ready))
        return self.joints(joints, contact, width)

    def joints(self, joints, contact=Contact.FREE, width=0.07):
        self.q[self.model.indices(self.arm.joints)] = joints
        self.model.set_width(self.q, self.arm, width)
        return self.checker.collides(self.q, self.arm, contact)

    def culprits(self, contact=Contact.FREE):
        return self.checker.culprits(self.q, self.arm, contact)


@pytest.fixture(scope="module")
def cell(robot):
    return Cell(robot)


def test_home_and_ready_are_free_for_every_arm(any_robot):
    model = RobotModel(any_robot)
    checker = CollisionChecker(model)
    for arm in any_robot.arms:
        for joints in (arm.home, arm.ready):
            q = model.neutral()
            q[model.indices(arm.joints)] = joints
            assert not checker.collides(q, arm), checker.culprits(q, arm)


def test_the_table_is_in_the_way(cell):
    cell.checker.set_heightmap(None)
    assert not cell.at(-0.5, 0.0, 0.02)
    assert cell.at(-0.5, 0.0, 0.01)
    assert any("table" in pair for pair in cell.culprits())
    assert cell.at(-0.5, 0.0, 0.01, Contact.TOUCH)


def test_fingers_reach_deeper_when_they_close(cell):
    cell.checker.set_heightmap(None)
    joints = cell.chain.ik(tip(cell.arm, -0.5, 0, 0.02, 0, 0.1), np.array(cell.arm.ready))
    assert not cell.joints(joints, width=0.1)
    assert cell.joints(joints, width=0.0)


def test_the_bins_walls_are_in_the_way(cell, robot):
    x, y = robot.bin.center
    assert not cell.at(x, y, robot.bin.release_height)
    assert cell.at(x, y + robot.bin.size[1] / 2, 0.1)
    assert any("bin wall +y" in pair for pair in cell.culprits())


def test_the_arm_does_not_pass_through_itself(cell):
    joints = np.array(cell.arm.ready)
    joints[2] = 3.0
    assert cell.joints(joints)


def test_the_heightmap_stands_where_it_was_seen(cell, robot):
    """A tower in one corner only: neither mirrored nor transposed."""
    tower = (-0.36, -0.32, 0.10, 0.16, 0.2)
    cell.checker.set_heightmap(heightmap(robot, tower))
    assert cell.at(-0.34, 0.13, 0.12)
    assert cell.culprits() and all("objects on the table" in pair for pair in cell.culprits())
    for x, y in ((-0.34, -0.13), (-0.66, 0.13), (-0.66, -0.13), (-0.37, 0.16 - 0.13)):
        assert not cell.at(x, y, 0.12), (x, y)
    assert not cell.at(-0.34, 0.13, 0.25)
    cell.checker.set_heightmap(None)
    assert not cell.at(-0.34, 0.13, 0.12)


def test_the_hand_may_touch_objects_where_it_must_and_the_arm_may_not(cell, robot):
    cell.checker.set_heightmap(heightmap(robot, (-0.52, -0.48, -0.02, 0.02, 0.06)))
    assert cell.at(-0.53, 0.0, 0.03)
    assert not cell.at(-0.53, 0.0, 0.03, Contact.TOUCH)
    # A tower where the wrist is, beside the hand.
    low, high = cell.checker.boxes(cell.q, cell.arm)
    lowest = low[:, 2].argsort()
    beside = next(i for i in lowest if low[i, 2] > 0.25)
    tower = (low[beside, 0], high[beside, 0], low[beside, 1], high[beside, 1], 0.39)
    cell.checker.set_heightmap(heightmap(robot, tower))
    assert cell.at(-0.53, 0.0, 0.03, Contact.TOUCH)
    assert all("rg2" not in first for first, _ in cell.culprits(Contact.TOUCH))
    cell.checker.set_heightmap(None)


def test_what_is_carried_needs_room_too(cell, robot):
    cell.checker.set_heightmap(heightmap(robot, (-0.52, -0.48, -0.02, 0.02, 0.10)))
    assert not cell.at(-0.5, 0.0, 0.14)
    assert cell.at(-0.5, 0.0, 0.14, Contact.CARRY)


def test_pooled_heights_lie_above_every_cell(robot):
    rng = np.random.default_rng(0)
    seen = heightmap(robot)
    seen.height[:] = rng.uniform(0, 0.1, seen.height.shape) * (rng.random(seen.height.shape) > 0.9)
    corners = pooled(seen, 0.01)
    step = 5
    for row, col in rng.integers(0, 224, (500, 2)):
        around = corners[row // step : row // step + 2, col // step : col // step + 2]
        assert around.min() >= seen.height[row, col]
