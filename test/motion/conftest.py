from __future__ import annotations

import sys
from pathlib import Path

import pytest

from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.motion.options import MotionOptions, load_options
from selfgrasp_nodes.robots import RobotSpec, load_robot, robot_names

sys.path.insert(0, str(Path(__file__).parent))  # for the modules that tests here share


@pytest.fixture(scope="session")
def options() -> MotionOptions:
    return load_options()


@pytest.fixture(scope="session")
def robot() -> RobotSpec:
    return load_robot("ur5_rg2")


@pytest.fixture(scope="session", params=robot_names())
def any_robot(request) -> RobotSpec:
    return load_robot(request.param)


@pytest.fixture(scope="session")
def _planner(robot, options) -> EmbeddedPlanner:
    return EmbeddedPlanner(robot, options)


@pytest.fixture
def planner(_planner) -> EmbeddedPlanner:
    _planner.set_obstacles(None)
    return _planner


@pytest.fixture
def cell(robot, planner, options):
    from motion_cell import Cell

    return lambda *cubes, **rest: Cell(robot, planner, options, *cubes, **rest)
