from __future__ import annotations

import time

import numpy as np
import pytest

from selfgrasp_nodes.errors import NotReady
from selfgrasp_nodes.nodes.sim_loop import SimLoop
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.scenes import Scene
from selfgrasp_nodes.simulation.world import World


@pytest.fixture
def loop():
    loop = SimLoop(World(load_robot("ur5_rg2")), chunk=0.004, real_time_factor=0)
    yield loop
    loop.stop()


def wait_for(condition, timeout: float = 5.0) -> bool:
    limit = time.monotonic() + timeout
    while not condition() and time.monotonic() < limit:
        time.sleep(0.002)
    return condition()


def test_jobs_are_called_at_their_period_of_simulated_time(loop: SimLoop) -> None:
    times: list[int] = []
    loop.every(0.02, times.append)
    loop.start()
    assert wait_for(lambda: len(times) > 20)
    assert set(np.diff(times[1:20])) == {20_000_000}


def test_a_wall_clock_limit_keeps_fast_jobs_rare(loop: SimLoop) -> None:
    calls: list[float] = []
    loop.every(0.004, lambda now: calls.append(time.monotonic()), wall=0.05)
    loop.start()
    assert wait_for(lambda: len(calls) > 5)
    assert min(np.diff(calls)) >= 0.045


def test_real_time_is_never_overtaken(loop: SimLoop) -> None:
    loop.real_time_factor = 2.0
    loop.start()
    begun, at = time.monotonic(), loop.now
    time.sleep(0.5)
    simulated = (loop.now - at) / 1e9
    assert 0 < simulated <= 2.0 * (time.monotonic() - begun) + 0.05


def test_time_goes_on_over_a_reset(loop: SimLoop) -> None:
    times: list[int] = []
    loop.every(0.004, times.append)
    loop.start()
    assert wait_for(lambda: loop.now > 100_000_000)
    loop.reset(lambda world: world.reset(Scene("empty", ()), 1))
    count = len(times)
    assert wait_for(lambda: len(times) > count + 5)
    assert (np.diff(times) > 0).all()


def test_pause_and_step_by_hand(loop: SimLoop) -> None:
    loop.start()
    with pytest.raises(NotReady, match="pause"):
        loop.advance(0.1)
    loop.pause(True)
    before = loop.now
    time.sleep(0.05)
    assert loop.now == before
    loop.advance(0.1)
    assert loop.now == before + 100_000_000
    loop.pause(False)
    assert wait_for(lambda: loop.now > before + 150_000_000)


def test_watch_fires_once_the_condition_holds(loop: SimLoop) -> None:
    loop.start()
    at = loop.now + 200_000_000
    event = loop.watch(lambda world, now: now >= at)
    assert event.wait(5.0) and loop.now >= at


def test_an_error_of_the_caller_comes_back_to_the_caller(loop: SimLoop) -> None:
    loop.start()
    with pytest.raises(ZeroDivisionError):
        loop.do(lambda world: 1 // 0)
    before = loop.now
    assert wait_for(lambda: loop.now > before), "the loop goes on"
