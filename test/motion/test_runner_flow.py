"""Motions that follow each other, and fingers that are late: on the real world in lockstep."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from motion_cases import grasp

from selfgrasp_nodes.motion.chains import join
from selfgrasp_nodes.motion.program import MoveSegment, plan_candidate
from selfgrasp_nodes.motion.progress import ReleaseGate
from selfgrasp_nodes.motion.runner import Runner
from selfgrasp_nodes.simulation.lockstep import LockstepPort
from selfgrasp_nodes.types import OutcomeCode, PhaseCode, Trajectory

P = PhaseCode
X, Y = -0.5, 0.0  # the workspace's centre


def test_programs_planned_ahead_follow_without_a_gap(cell):
    c = cell((0.0, 0.1), (0.0, -0.1))
    first = grasp(X, Y + 0.1, 0.025, 0.0, 0.07, max_force=30.0)
    c.act(first)
    ahead = c.runner.q_end(held=True)
    program = plan_candidate(
        c.planner, grasp(X, Y - 0.1, 0.025, 0.0, 0.07, max_force=30.0), ahead, c.options
    )
    c.runner.put_away()
    execution = c.runner.act(program)
    assert execution.code == OutcomeCode.UNKNOWN and len(c.held()) == 1
    # Nothing had to be planned again.
    planned = program.trajectories[0]
    np.testing.assert_array_equal(
        execution.commanded[0].positions[: len(planned.time)], planned.positions
    )


def test_motions_in_a_row_are_one_goal_without_a_stop_between(cell):
    c = cell((0.0, 0.0))
    program = plan_candidate(c.planner, grasp(X, Y), np.asarray(c.arm.home, float), c.options)
    moves = [s for s in program.act if isinstance(s, MoveSegment)]
    goals = []
    run = c.port.run_trajectory
    c.port.run_trajectory = lambda trajectory, watch: (
        goals.append(trajectory), run(trajectory, watch)
    )  # fmt: skip
    execution = c.runner.act(program, c.events)
    assert execution.code == OutcomeCode.UNKNOWN
    assert len(goals) == 2 < len(moves)  # to the grasp, and the lift
    durations = [segment.trajectory.duration for segment in moves]
    assert goals[0].duration == pytest.approx(sum(durations[:-1]))
    assert (np.diff(goals[0].time) > 0).all()
    phases = {phase.code: phase for phase in execution.phases}
    assert [p.code for p in execution.phases] == [P.APPROACH, P.DESCEND, P.ACT, P.LIFT]
    assert phases[P.APPROACH].end == phases[P.DESCEND].start
    descent = (phases[P.DESCEND].end - phases[P.DESCEND].start) * 1e-9
    assert descent == pytest.approx(durations[-2], abs=0.15)


def test_trajectories_are_joined_in_time():
    def part(times, value):
        n = len(times)
        return Trajectory(("a",), np.array(times), np.full((n, 1), value), np.zeros((n, 1)))

    joined, starts = join([part([0.0, 0.5, 1.0], 1.0), part([0.0, 2.0], 2.0)])
    np.testing.assert_allclose(joined.time, [0.0, 0.5, 1.0, 3.0])
    np.testing.assert_allclose(joined.positions[:, 0], [1.0, 1.0, 1.0, 2.0])
    np.testing.assert_allclose(starts, [0.0, 1.0])


class ForgetfulPort(LockstepPort):
    """A driver that loses some of the commands to the fingers."""

    lost = ()
    commands = 0

    def start_gripper(self, width, force):
        self.commands += 1
        if self.commands not in self.lost:
            super().start_gripper(width, force)


def test_fingers_that_are_late_are_waited_for_before_the_descent(cell):
    c = cell((0.0, 0.0), port=ForgetfulPort)
    c.world.set_arm(c.arm.name, c.arm.home, 0.0)
    c.port.lost = (1,)  # the first one: open on the way
    execution = c.act(grasp(X, Y, 0.025, 0.0, 0.07))
    assert execution.code == OutcomeCode.UNKNOWN and len(c.held()) == 1
    assert [p.code for p in execution.phases] == [P.APPROACH, P.DESCEND, P.ACT, P.LIFT]


@pytest.mark.parametrize("lost", [(), (3,)])
def test_the_arm_leaves_while_the_fingers_open(cell, robot, lost):
    c = cell((0.0, 0.0), port=ForgetfulPort)
    runner = Runner(c.port, c.arm, c.options, c.planner, home_after_place=True)
    program = plan_candidate(
        c.planner, grasp(X, Y, 0.025, 0.0, 0.07), np.asarray(c.arm.home, float), c.options
    )
    c.port.lost = lost  # the third one: release
    runner.act(program)
    assert len(c.held()) == 1
    execution = runner.put_away(held=True)
    assert execution.code == OutcomeCode.UNKNOWN, execution.error
    assert [p.code for p in execution.phases][-3:] == [P.CARRY, P.RELEASE, P.HOME]
    assert len(execution.commanded) == (3 if not lost else 4)
    np.testing.assert_allclose(c.q(), c.arm.home, atol=0.02)
    assert not c.held()
    c.world.step(round(0.5 / c.world.timestep))
    (place,) = c.places()
    half = np.array(robot.bins[0].size[:2]) / 2
    assert (np.abs(place[:2] - robot.bins[0].center) < half).all()


@pytest.mark.parametrize("home_after", [False, True])
def test_nothing_is_released_before_the_gate_opens(cell, home_after):
    c = cell((0.0, 0.0))
    runner = Runner(c.port, c.arm, c.options, c.planner, home_after_place=home_after)
    program = plan_candidate(
        c.planner, grasp(X, Y, 0.025, 0.0, 0.07), np.asarray(c.arm.home, float), c.options
    )
    runner.act(program)
    seen = []
    opened = threading.Event()

    def wait():
        seen.append((c.held(), c.q().copy()))
        opened.set()

    execution = runner.put_away(True, ReleaseGate(opened.is_set, wait))
    assert execution.code == OutcomeCode.UNKNOWN, execution.error
    (held, q), *more = seen
    assert held and not more and not c.held()
    np.testing.assert_allclose(q, program.place[0].end, atol=0.03)  # it waited over the bin
    assert [p.code for p in execution.phases][-2 - home_after :][:2] == [P.CARRY, P.RELEASE]
