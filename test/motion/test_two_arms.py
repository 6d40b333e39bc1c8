"""Two arms over one table: they take turns over it, and never touch."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from motion_cases import grasp

from selfgrasp_nodes.motion.collision import CollisionChecker
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.motion.leases import Leases
from selfgrasp_nodes.motion.model import RobotModel
from selfgrasp_nodes.motion.port import ArmSample
from selfgrasp_nodes.motion.program import plan_candidate
from selfgrasp_nodes.motion.runner import Runner
from selfgrasp_nodes.motion.space import ArmSpace
from selfgrasp_nodes.motion.timing import interpolate
from selfgrasp_nodes.robots import load_robot

SPEED = 4.0  # times faster than the robot
TRIES = 3


class IdealArm:
    """An arm that follows exactly; both arms' paths are noted on one clock.

    Who waits for whom is decided by threads and leases alone, so that no
    physics is needed here: the notes are checked for collisions afterwards.
    """

    def __init__(self, arm, notes):
        self.arm, self.notes = arm, notes
        self.q, self.width = np.array(arm.home), arm.gripper.width_max
        self.begin = time.monotonic()

    def sample(self):
        now = round((time.monotonic() - self.begin) * SPEED * 1e9)
        nothing = np.full(len(self.q), np.nan)
        return ArmSample(now, self.q.copy(), nothing, self.width, np.nan, np.full(6, np.nan))

    def run_trajectory(self, trajectory, watch):
        begin = time.monotonic()
        while True:
            elapsed = (time.monotonic() - begin) * SPEED
            self.q = interpolate(trajectory, elapsed)[0]
            self.notes.append((time.monotonic(), self.arm.name, self.q.copy()))
            watch(self.sample())
            if elapsed >= trajectory.duration:
                return
            time.sleep(0.005)

    def start_gripper(self, width, force):
        self.width = max(width, 0.06)  # something is between the fingers

    def wait_gripper(self, watch):
        self.wait(0.2, watch)

    def wait(self, duration, watch):
        time.sleep(duration / SPEED)
        watch(self.sample())

    def stop(self):
        pass


@pytest.fixture(scope="module")
def ran():
    """Both arms pick in threads of their own; what they did, and who acted when."""
    robot = load_robot("baxter")
    planner, leases = EmbeddedPlanner(robot), Leases()
    planning = threading.Lock()
    notes: list[tuple[float, str, np.ndarray]] = []
    acts: list[tuple[str, float, float]] = []
    failures: list[BaseException | str] = []
    x, y = robot.workspace.center

    def work(arm, seed):
        port = IdealArm(arm, notes)
        space = ArmSpace(leases, arm.name, planner, timeout=40)
        space.rest(port.q)
        runner = Runner(port, arm, planner.options, planner, space, home_after_place=True)
        rng = np.random.default_rng(seed)
        try:
            for _ in range(TRIES):
                # All in the middle, where both arms' ways cross.
                place = rng.uniform(-0.06, 0.06, 2)
                candidate = grasp(x + place[0], y + place[1], 0.03, rng.uniform(0, np.pi), 0.07)
                candidate = candidate.__class__(**{**candidate.__dict__, "arm": arm.name})
                with planning:
                    program = plan_candidate(planner, candidate, port.q, planner.options)
                execution = runner.act(program)
                if execution.error:
                    failures.append(execution.error)
                acts.append((arm.name, execution.phases[0].start, time.monotonic()))
                runner.put_away(held=True)
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=work, args=pair) for pair in zip(robot.arms, (0, 1), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=90)
    return robot, notes, acts, failures, [t.is_alive() for t in threads]


def test_both_arms_finish_their_tries(ran):
    robot, _, acts, failures, alive = ran
    assert not any(alive) and failures == []
    assert sorted(name for name, *_ in acts) == sorted([a.name for a in robot.arms] * TRIES)


def test_the_arms_never_touch(ran):
    robot, notes, *_ = ran
    model = RobotModel(robot)
    checker = CollisionChecker(model)
    q = model.neutral()
    where = {a.name: model.indices(a.joints) for a in robot.arms}
    checked = 0
    for _, name, joints in sorted(notes, key=lambda note: note[0]):
        q[where[name]] = joints
        for arm in robot.arms:
            touching = [
                pair
                for pair in checker.culprits(q, arm)
                if {"left", "right"} == {p.split()[0] for p in pair}
            ]
            assert not touching
        checked += 1
    assert checked > 500


def test_one_acts_while_the_other_carries(ran):
    """Both arms move at the same time for a good part of the run."""
    robot, notes, *_ = ran
    times = {a.name: np.array([t for t, name, _ in notes if name == a.name]) for a in robot.arms}
    (left, right) = times.values()
    begin, end = min(left[0], right[0]), max(left[-1], right[-1])
    grid = np.arange(begin, end, 0.02)

    def moves(stamps):
        nearest = np.searchsorted(stamps, grid).clip(1, len(stamps) - 1)
        return np.minimum(abs(stamps[nearest] - grid), abs(stamps[nearest - 1] - grid)) < 0.03

    both = np.mean(moves(left) & moves(right))
    assert both > 0.15
