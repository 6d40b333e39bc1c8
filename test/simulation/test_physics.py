"""The physics checks, each on the world that trials run in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation import physics_check as checks
from selfgrasp_nodes.simulation.model import PhysicsOptions

PHYSICS = PhysicsOptions()
ROBOTS = ["ur5_rg2", "baxter"]
ARMS = [(name, arm.name) for name in ROBOTS for arm in load_robot(name).arms]


@pytest.mark.parametrize("robot", ROBOTS)
@pytest.mark.parametrize("check", list(checks.CELL_CHECKS))
def test_cell(check, robot):
    result = checks.CELL_CHECKS[check](load_robot(robot), PHYSICS)
    assert result.passed, result


@pytest.mark.parametrize(("robot", "arm"), ARMS)
@pytest.mark.parametrize("check", list(checks.ARM_CHECKS))
def test_arm(check, robot, arm):
    robot = load_robot(robot)
    result = checks.ARM_CHECKS[check](robot, PHYSICS, robot.arm(arm))
    assert result.passed, result


def test_less_friction_is_seen_by_the_slope_and_the_slip():
    """The checks measure: 0.7 times the friction still fits its own law, and only that."""
    robot = load_robot("ur5_rg2")
    physics = replace(PHYSICS, friction_scale=0.7)
    assert checks.slope(robot, physics).passed
    assert checks.slip(robot, physics, robot.arms[0]).passed


def test_a_dishonest_model_fails(monkeypatch):
    """Pads with more friction than they may have, or than the law is told of, are caught."""
    from selfgrasp_nodes.simulation import model

    robot = load_robot("ur5_rg2")
    monkeypatch.setattr(model, "PAD_FRICTION", 1.3)
    assert not checks.bounds(robot, PHYSICS).passed
    assert not checks.slip(robot, PHYSICS, robot.arms[0]).passed


def test_soft_numerics_fail_the_creep():
    """Without stiff friction the held block creeps away: the check can tell."""
    robot = load_robot("ur5_rg2")
    soft = replace(PHYSICS, impratio=0.1, noslip_iterations=0)
    assert not checks.creep(robot, soft, robot.arms[0]).passed


def test_all_checks_are_run_for_each_arm(monkeypatch):
    ran = []
    for table in (checks.CELL_CHECKS, checks.ARM_CHECKS):
        for name in table:
            monkeypatch.setitem(table, name, lambda *args, name=name: ran.append(name))
    checks.physics_checks(load_robot("baxter"), PHYSICS)
    expected = ["slope", "bounds", "no_magic", "joint_speeds"]
    assert ran == expected + 2 * ["squeeze_force", "slip", "creep", "tracking"]
