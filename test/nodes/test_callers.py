"""Several callers at once, one that vanishes, and one that asks for too much."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import numpy as np
from graph_cases import joints_now
from selfgrasp.srv import Capture

from selfgrasp_nodes.client import SelfGrasp
from selfgrasp_nodes.errors import Busy, Cancelled, SelfGraspError, StorageError
from selfgrasp_nodes.trials.reader import RunReader

VANISHING = """
from selfgrasp_nodes.client import SelfGrasp
robot = SelfGrasp("vanishing")


def tell(feedback):
    if feedback.phase.phase == 2:
        print("descends", flush=True)


robot.pick(seed=5, max_attempts=1, on_feedback=tell)
"""


def stored(graph) -> list[str]:
    """Ids of all trials on disk."""
    try:
        return [record.trial_id for record in RunReader(graph.bag).records]
    except StorageError:
        return []  # nothing was recorded yet


def test_two_callers_at_once_lose_no_goal(graph) -> None:
    """One works, the other is told so and tries again; every goal has one end."""
    graph.drop(6, 3)
    ends: Counter[str] = Counter()
    waits: Counter[str] = Counter()
    trials: list[str] = []

    def caller(name: str) -> None:
        with SelfGrasp(name) as robot:
            for seed in range(2):
                limit = time.monotonic() + 240
                while time.monotonic() < limit:
                    try:
                        result = robot.pick(seed=seed, max_attempts=1)
                        trials.extend(t.trial_id for t in result.trials)
                        ends[name] += 1
                        break
                    except Busy as error:
                        assert "another goal runs" in str(error)
                        waits[name] += 1
                        time.sleep(0.3)
                    except SelfGraspError:  # a try that held nothing has ended, too
                        ends[name] += 1
                        break

    before = len(stored(graph))
    threads = [threading.Thread(target=caller, args=(f"caller_{n}",)) for n in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(260)
        assert not thread.is_alive(), "a goal never ended"
    assert ends == {"caller_a": 2, "caller_b": 2}
    assert sum(waits.values()) >= 1, "they were never at work at the same time"
    records = stored(graph)
    assert set(trials) <= set(records) and len(set(records)) == len(records) >= before + 4


def test_a_burst_of_plans_is_answered_in_order(graph) -> None:
    """100 at once: each is answered, and the graph does other things meanwhile."""
    graph.drop(3, 5)
    taken = graph.call(Capture, "capture", Capture.Request(require_arm_clear=True))
    assert taken.success, taken.message
    taken.observation.views = []  # the heightmap is what the heuristic looks at
    with SelfGrasp("burst", timeout=300.0) as robot:
        pending = [
            robot.plan_async(taken.observation, seed=n, max_candidates=3) for n in range(95)
        ]
        pending += [robot.plan_async(max_age=600.0, max_candidates=3) for _ in range(5)]
        beside = graph.call(Capture, "capture", Capture.Request(require_arm_clear=True), 120.0)
        answers = [item.result(300.0) for item in pending]
    assert beside.success, beside.message
    assert len(answers) == 100 and all(1 <= len(a) <= 3 for a in answers)
    identity = taken.observation.observation_id
    assert {c.observation_id for a in answers[:95] for c in a} == {identity}
    # The heuristic asks no dice: the same picture has the same answer.
    assert len({tuple((c.pose.position.x, c.angle) for c in a) for a in answers[:95]}) == 1


def test_a_caller_that_vanishes(graph) -> None:
    """Its goal runs to its end and is recorded; the next caller is served."""
    graph.drop(4, 6)
    process = subprocess.Popen(
        [sys.executable, "-c", VANISHING], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None and process.stdout.readline().strip() == "descends"
    records = len(stored(graph))
    process.send_signal(signal.SIGKILL)
    process.wait(10.0)
    with SelfGrasp("next") as robot:
        limit, served = time.monotonic() + 120, False
        while not served and time.monotonic() < limit:
            try:
                robot.pick(seed=7, max_attempts=1)
                served = True
            except Busy:
                time.sleep(0.3)
            except SelfGraspError:
                served = True
    assert served
    assert len(stored(graph)) == records + 2


def test_a_client_may_wait_inside_its_own_feedback_and_cancel_from_there(graph) -> None:
    graph.drop(4, 6)
    with SelfGrasp("nested", timeout=60.0) as robot:
        planned: list[int] = []

        def feedback(message) -> None:
            if not planned:
                planned.append(len(robot.plan(max_age=600.0)))  # waits for an answer
                picking.cancel()

        picking = robot.pick_async(seed=1, max_attempts=3, on_feedback=feedback)
        error = picking.exception(120.0)
    assert isinstance(error, Cancelled), error
    assert planned and planned[0] >= 1
    before = joints_now(graph)
    time.sleep(0.4)
    assert np.abs(joints_now(graph) - before).max() < 0.01
