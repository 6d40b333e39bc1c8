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

TRIES = 2
TICK = 0.01  # [s] of the arms' time


class TurnClock:
    """Time goes on when every arm either moves or waits for a lease.

    So planning takes none of it, and a loaded machine changes nothing.
    """

    def __init__(self, arms):
        self.now = 0.0
        self._busy, self._ticking = set(arms), set()
        self._changed = threading.Condition()

    def leave(self, arm):
        with self._changed:
            self._busy.discard(arm)
            self._advance()

    def come_back(self, arm):
        with self._changed:
            self._busy.add(arm)

    def tick(self, arm):
        with self._changed:
            turn = self.now
            self._busy.discard(arm)
            self._ticking.add(arm)
            self._advance()
            while self.now == turn:
                assert self._changed.wait(60)

    def _advance(self):
        if self._ticking and not self._busy:
            self.now += TICK
            self._busy |= self._ticking
            self._ticking.clear()
            self._changed.notify_all()


class TurnLeases(Leases):
    """Who waits for a lease does not hold up the clock."""

    def __init__(self, clock):
        super().__init__()
        self._clock = clock

    def acquire(self, owner, region, *args):
        lease = self.try_acquire(owner, region)
        if lease is None:
            self._clock.leave(owner)
            lease = super().acquire(owner, region, *args)
            self._clock.come_back(owner)
        return lease


class IdealArm:
    """An arm that follows exactly and notes where it is at each tick.

    Who waits for whom is decided by threads and leases alone, so that no
    physics is needed here: the notes are checked for collisions afterwards.
    """

    def __init__(self, arm, clock, notes):
        self.arm, self.clock, self.notes = arm, clock, notes
        self.q, self.width = np.array(arm.home), arm.gripper.width_max

    def sample(self):
        now, nothing = round(self.clock.now * 1e9), np.full(len(self.q), np.nan)
        return ArmSample(now, self.q.copy(), nothing, self.width, np.nan, np.full(6, np.nan))

    def run_trajectory(self, trajectory, watch):
        begin = self.clock.now
        while self.clock.now - begin < trajectory.duration:
            self.clock.tick(self.arm.name)
            self.q = interpolate(trajectory, self.clock.now - begin)[0]
            self.notes.append((self.clock.now, self.arm.name, self.q.copy()))
            time.sleep(0.001)  # lets a waiting arm wake up
            watch(self.sample())

    def start_gripper(self, width, force):
        self.width = max(width, 0.06)  # something is between the fingers

    def wait_gripper(self, watch):
        self.wait(0.2, watch)

    def wait(self, duration, watch):
        end = self.clock.now + duration
        while self.clock.now < end:
            self.clock.tick(self.arm.name)
            watch(self.sample())

    def stop(self):
        pass


@pytest.fixture(scope="module")
def ran():
    """Both arms pick in threads of their own; what they did."""
    robot = load_robot("baxter")
    clock = TurnClock([a.name for a in robot.arms])
    planner, leases = EmbeddedPlanner(robot), TurnLeases(clock)
    planning = threading.Lock()
    notes: list[tuple[float, str, np.ndarray]] = []
    acts: list[str] = []
    failures: list[BaseException | str] = []
    x, y = robot.workspace.center

    def work(arm, seed):
        port = IdealArm(arm, clock, notes)
        space = ArmSpace(leases, arm.name, planner)
        space.rest(port.q)
        runner = Runner(port, arm, planner.options, planner, space, home_after_place=True)
        rng = np.random.default_rng(seed)
        try:
            for _ in range(TRIES):
                # All in the middle, where both arms' ways cross.
                dx, dy = rng.uniform(-0.06, 0.06, 2)
                angle = rng.uniform(0, np.pi)
                candidate = grasp(x + dx, y + dy, 0.03, angle, 0.07, arm=arm.name)
                with planning:
                    program = plan_candidate(planner, candidate, port.q, planner.options)
                execution = runner.act(program)
                if execution.error:
                    failures.append(execution.error)
                acts.append(arm.name)
                runner.put_away(held=True)
        except BaseException as error:
            failures.append(error)
        clock.leave(arm.name)

    threads = [
        threading.Thread(target=work, args=pair) for pair in zip(robot.arms, (0, 1), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    return robot, notes, acts, failures, [t.is_alive() for t in threads]


def test_both_arms_finish_their_tries(ran):
    robot, _, acts, failures, alive = ran
    assert not any(alive) and failures == []
    assert sorted(acts) == sorted([a.name for a in robot.arms] * TRIES)


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
            if not checker.collides(q, arm):
                continue
            touching = [
                pair
                for pair in checker.culprits(q, arm)
                if {"left", "right"} == {p.split()[0] for p in pair}
            ]
            assert not touching
        checked += 1
    assert checked > 800


def test_one_acts_while_the_other_carries(ran):
    """Both arms move at the same time for a good part of the run."""
    robot, notes, *_ = ran
    times = {a.name: np.array([t for t, name, _ in notes if name == a.name]) for a in robot.arms}
    (left, right) = times.values()
    begin, end = min(left[0], right[0]), max(left[-1], right[-1])
    together = len(np.intersect1d(left.round(3), right.round(3))) * TICK
    assert together / (end - begin) > 0.15
