from __future__ import annotations

import pytest

from selfgrasp_nodes.robots import RobotSpec, load_robot
from selfgrasp_nodes.simulation.world import World, WorldOptions


@pytest.fixture(scope="module")
def robot() -> RobotSpec:
    return load_robot("ur5_rg2")


@pytest.fixture
def quiet(robot) -> World:
    """A world without noise."""
    return World(robot, WorldOptions(noise=False))
