"""The runner on the real world in lockstep: nothing here is a stand-in for physics."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from motion_cases import grasp, heightmap, push, tip
from motion_cell import Cell

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import Cancelled, ExecutionFailed
from selfgrasp_nodes.labeling.rules import GraspRule
from selfgrasp_nodes.motion.options import load_options
from selfgrasp_nodes.motion.program import plan_candidate
from selfgrasp_nodes.motion.runner import Runner, RunnerEvents
from selfgrasp_nodes.simulation.lockstep import LockstepPort
from selfgrasp_nodes.types import OutcomeCode, PhaseCode

P = PhaseCode
X, Y = -0.5, 0.0  # the workspace's centre


class RealTimePort(LockstepPort):
    """At real-time factor 1: stepping waits for the wall clock."""

    def _step(self, watch):
        begin, wall = self._world.time, time.monotonic()
        sample = super()._step(watch)
        left = (sample.time - begin) * 1e-9 - (time.monotonic() - wall)
        if left > 0:
            time.sleep(left)
        return sample


def test_a_cube_is_grasped_lifted_and_put_into_the_bin(cell, robot):
    c = cell((0.0, 0.05))
    execution = c.act(grasp(X, Y + 0.05, 0.025, 0.0, 0.07, max_force=30.0))
    assert (execution.code, execution.error) == (OutcomeCode.UNKNOWN, "")
    assert len(c.held()) == 1 and c.runner.holds_something
    assert c.places()[0][2] > 0.2
    predicted = c.runner.q_end(held=True)
    whole = c.runner.put_away()
    np.testing.assert_allclose(c.q(), predicted, atol=0.01)
    c.world.step(500)
    ((x, y, _),) = c.places()
    assert abs(x - robot.bin.center[0]) < 0.18 and abs(y - robot.bin.center[1]) < 0.15
    codes = [p.code for p in whole.phases]
    assert codes == [P.APPROACH, P.DESCEND, P.ACT, P.LIFT, P.CARRY, P.RELEASE]
    assert all(p.start < p.end for p in whole.phases)
    assert all(a.end == b.start for a, b in zip(whole.phases, whole.phases[1:], strict=False))
    expected = ["APPROACH", "DESCEND", "ACT", "LIFT", "acted", "CARRY", "view clear", "RELEASE"]
    assert c.heard == expected


def test_what_is_held_is_placed_at_a_pose(cell):
    c = cell((0.0, 0.05))
    candidate = grasp(X, Y + 0.05, 0.025, 0.0, 0.07, max_force=30.0)
    place = geometry.grasp_pose(X + 0.05, Y - 0.12, 0.027, 0.6)
    home = np.asarray(c.arm.home, float)
    program = plan_candidate(c.planner, candidate, home, c.options, place=place)
    runner = Runner(c.port, c.arm, c.options, c.planner, home_after_place=True)
    runner.act(program, c.events)
    whole = runner.put_away(True)
    assert whole.code == OutcomeCode.UNKNOWN, whole.error
    assert [p.code for p in whole.phases][-3:] == [P.CARRY, P.RELEASE, P.HOME]
    np.testing.assert_allclose(c.q(), home, atol=0.01)
    c.world.step(500)
    # Set down there, not dropped from above: it stands where the pose says.
    np.testing.assert_allclose(c.places()[0][:2], place[:2, 3], atol=0.01)
    assert c.places()[0][2] == pytest.approx(0.025, abs=0.003)


def test_the_trace_covers_the_try_and_shows_the_grasp(cell):
    c = cell((0.0, 0.0))
    execution = c.act(grasp(X, Y, 0.025, 0.0, 0.07, max_force=30.0))
    trace = execution.trace
    assert np.all(np.diff(trace.time) > 0) and np.diff(trace.time).max() <= 20_000_000
    assert trace.time[0] <= execution.phase(P.APPROACH).start + 20_000_000
    assert trace.time[-1] >= execution.phase(P.LIFT).end - 20_000_000
    end = trace.between(execution.phase(P.LIFT).end - 60_000_000, execution.phase(P.LIFT).end)
    assert np.median(end.width) == pytest.approx(0.05, abs=0.004)
    assert np.median(end.force) > 15.0
    assert len(execution.commanded) == 2  # to the grasp, and the lift


def test_closed_on_nothing_skips_the_carry(cell, robot):
    c = cell()
    execution = c.act(grasp(X, Y, 0.02))
    assert execution.code == OutcomeCode.UNKNOWN and not c.runner.holds_something
    whole = c.runner.put_away()
    assert [p.code for p in whole.phases][-2:] == [P.LIFT, P.HOME]
    np.testing.assert_allclose(c.q(), robot.arm().home, atol=0.01)
    assert c.heard[-2:] == ["HOME", "view clear"]


def test_the_label_decides_what_is_put_away(cell):
    c = cell()
    c.act(grasp(X, Y, 0.02))
    assert [p.code for p in c.runner.put_away(held=True).phases][-1] == P.RELEASE
    c = cell((0.0, 0.0))
    c.act(grasp(X, Y, 0.025, 0.0, 0.07, max_force=30.0))
    assert [p.code for p in c.runner.put_away(held=False).phases][-1] == P.HOME


def test_a_push_moves_the_cube_along_its_direction(cell):
    c = cell((0.0, 0.0))
    before = c.places()[0]
    execution = c.act(push(X - 0.06, Y, 0.025, 0.0, 0.1))
    assert execution.code == OutcomeCode.UNKNOWN
    assert execution.trace.width[5:].max() < 0.12
    c.runner.put_away()
    moved = c.places()[0] - before
    assert 0.04 < moved[0] < 0.10 and abs(moved[1]) < 0.02


def test_what_is_in_the_way_stops_the_descent(cell, robot):
    c = cell((0.0, 0.0))
    # One finger comes down on the cube's top: the candidate is 5 cm off.
    execution = c.act(grasp(X + 0.05, Y, 0.02, 0.0, 0.09))
    assert execution.code == OutcomeCode.BLOCKED
    assert "in the way" in execution.error
    assert GraspRule().label_grasp(execution, c.arm.gripper).code == OutcomeCode.BLOCKED
    assert [p.code for p in execution.phases] == [P.APPROACH, P.DESCEND]
    still = c.q()
    c.world.step(100)
    np.testing.assert_allclose(c.q(), still, atol=0.01)
    # Afterwards it backs off and is ready for the next try.
    c.runner.put_away()
    np.testing.assert_allclose(c.q(), robot.arm().home, atol=0.01)
    assert c.act(grasp(X, Y - 0.15, 0.02)).code == OutcomeCode.UNKNOWN


def test_a_lower_limit_stops_it_sooner(robot, planner):
    peaks = {}
    for limit in (15.0, 80.0):
        c = Cell(robot, planner, load_options(safety={"max_force": limit}), (0.0, 0.0))
        execution = c.act(grasp(X + 0.05, Y, 0.02, 0.0, 0.09))
        assert execution.code == OutcomeCode.BLOCKED
        peaks[limit] = execution.phase(P.DESCEND).end
    assert peaks[15.0] <= peaks[80.0]


def test_a_cancel_stops_the_arm_within_a_tenth_of_a_second(cell):
    """At real-time factor 1, in the middle of the quickest motion."""
    c = cell(port=RealTimePort)
    asked: list[int] = []

    def cancel():
        limit = time.monotonic() + 20
        while np.abs(c.world.setpoint(c.arm.name)[0] - c.arm.home).max() < 0.4:
            if time.monotonic() > limit:
                return
            time.sleep(0.001)
        asked.append(c.world.time)
        c.runner.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    execution = c.act(grasp(X, Y, 0.02))
    stopped = c.world.time
    thread.join()
    assert execution.code == OutcomeCode.CANCELLED and "cancelled" in execution.error
    # The port returns when the arm's setpoint rests.
    assert (stopped - asked[0]) * 1e-9 <= 0.1
    q, qd, _ = c.world.joint_state(c.arm.name)
    assert np.abs(qd).max() < 0.15
    assert 0.4 < np.abs(q - c.arm.home).max() < 1.0
    # Nothing moves until the cancel is cleared, not even to put away.
    c.runner.put_away()
    np.testing.assert_allclose(c.q(), q, atol=0.01)
    assert c.act(grasp(X, Y, 0.02), q).code == OutcomeCode.CANCELLED
    c.runner.clear_cancel()
    c.runner.recover()
    np.testing.assert_allclose(c.q(), c.arm.home, atol=0.01)


@pytest.mark.parametrize("first", ["home", "another try"])
def test_stopped_among_objects_it_comes_out_again(cell, robot, first):
    c = cell((0.0, 0.0))
    q = c.planner.ik(c.arm.name, tip(c.arm, X, Y, 0.03, 0.0, 0.1), np.array(c.arm.ready))
    c.world.set_arm(c.arm.name, q)
    c.planner.set_obstacles(heightmap(robot, (X - 0.03, X + 0.03, Y - 0.08, Y + 0.08, 0.08)))
    if first == "home":
        c.runner.go_home()
    else:
        execution = c.act(grasp(X, Y - 0.15, 0.02), q)
        assert execution.code == OutcomeCode.UNKNOWN, execution.error
        c.runner.put_away()
    np.testing.assert_allclose(c.q(), robot.arm().home, atol=0.01)


@pytest.mark.parametrize("phase", [P.CARRY, P.RELEASE])
def test_a_cancel_while_it_puts_away_stops_it_and_the_label_stays(cell, robot, phase):
    c = cell((0.0, 0.0))
    c.act(grasp(X, Y, 0.025, 0.0, 0.07, max_force=30.0))
    rule = GraspRule()
    assert rule.label_grasp(c.runner.execution, c.arm.gripper).success
    stop = RunnerEvents(lambda code: code == phase and c.runner.cancel())
    c.runner._events = stop
    with pytest.raises(Cancelled):
        c.runner.put_away(True)
    execution = c.runner.execution
    assert execution.code == OutcomeCode.CANCELLED and execution.phases[-1].code == phase
    assert rule.label_grasp(execution, c.arm.gripper).success
    np.testing.assert_allclose(c.runner.q_end(held=True), c.q(), atol=0.01)


def test_a_program_that_begins_elsewhere_is_planned_again(cell):
    c = cell((0.0, 0.0))
    elsewhere = np.array(c.arm.home)
    elsewhere[0] += 0.3
    c.world.set_arm(c.arm.name, elsewhere)
    execution = c.act(grasp(X, Y, 0.025, 0.0, 0.07, max_force=30.0))
    assert execution.code == OutcomeCode.UNKNOWN and c.held()
    np.testing.assert_allclose(execution.commanded[0].positions[0], elsewhere, atol=0.005)


class BrokenPort(LockstepPort):
    def wait_gripper(self, watch):
        raise ExecutionFailed("the gripper does not answer; check its cable")


def test_a_broken_device_ends_the_try_and_is_named(cell):
    c = cell(port=BrokenPort)
    execution = c.act(grasp(X, Y, 0.02))
    assert execution.code == OutcomeCode.EXECUTION_FAILED and "cable" in execution.error
    c.world.step(round(0.1 / c.world.timestep))
    assert not c.world.moving(c.arm.name)


def test_a_runner_that_ran_nothing_says_so(cell):
    with pytest.raises(ExecutionFailed, match="call act first"):
        cell().runner.put_away()
