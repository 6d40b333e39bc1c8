"""Steps that Newton's solver fails in are made again; the others are untouched."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from selfgrasp_nodes.errors import ExecutionFailed
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.stepping import CAREFUL_ITERATIONS, Stepper
from selfgrasp_nodes.simulation.world import World

BOX = """
<mujoco><option timestep="0.002" solver="Newton" iterations="{iterations}" cone="elliptic"/>
<worldbody><geom type="plane" size="1 1 0.1"/>
<body pos="0 0 0.0249"><freejoint/><geom type="box" size=".025 .025 .025" density="600"/></body>
<body pos="0 2e-3 0.0747"><freejoint/><geom type="box" size=".025 .025 .025" density="600"/></body>
</worldbody></mujoco>"""


def boxes(iterations: int = 20) -> tuple[mujoco.MjModel, mujoco.MjData]:
    model = mujoco.MjModel.from_xml_string(BOX.format(iterations=iterations))
    return model, mujoco.MjData(model)


def test_steps_that_converge_are_mujocos_own() -> None:
    model, data = boxes()
    other = mujoco.MjData(model)
    stepper = Stepper(model, data)
    for _ in range(200):
        stepper.step()
        mujoco.mj_step(model, other)
    assert stepper.careful == 0
    np.testing.assert_array_equal(data.qpos, other.qpos)
    np.testing.assert_array_equal(data.qvel, other.qvel)


def test_a_step_that_stops_at_its_limit_is_made_by_the_other_solver() -> None:
    model, data = boxes(iterations=1)
    data.qvel[6:9] = (0.3, 0.0, -0.5)
    reference = mujoco.MjData(model)
    reference.qvel[6:9] = data.qvel[6:9]
    stepper = Stepper(model, data)
    for _ in range(20):
        stepper.step()
    assert stepper.careful > 0
    assert model.opt.solver == mujoco.mjtSolver.mjSOL_NEWTON and model.opt.iterations == 1
    model.opt.solver, model.opt.iterations = mujoco.mjtSolver.mjSOL_CG, CAREFUL_ITERATIONS
    for _ in range(20):
        mujoco.mj_step(model, reference)
    np.testing.assert_allclose(data.qpos, reference.qpos, atol=1e-5)


def test_time_advances_once_although_a_step_is_made_twice() -> None:
    model, data = boxes()
    stepper = Stepper(model, data)
    data.qpos[9] = 0.5  # in the air
    data.qfrc_applied[6] = 200.0  # 2.7 km/s^2: looked at twice
    stepper.step()
    assert stepper.careful == 1
    assert data.time == pytest.approx(model.opt.timestep)
    assert data.qvel[6] == pytest.approx(5.3, abs=0.1)  # it is really so fast, and stays so


def test_what_no_solver_can_do_is_said_and_a_reset_mends_it() -> None:
    world = World(load_robot("ur5_rg2"))
    world.step(2)
    world.data.qvel[0] = np.nan
    with pytest.raises(ExecutionFailed, match="reset"):
        world.step(3)
    with pytest.raises(ExecutionFailed, match="reset"):
        world.step(1)
    world.reset(world.scene, 0)
    world.step(3)
    assert np.isfinite(world.data.qvel).all()
