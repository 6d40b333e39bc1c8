"""An arm that falls silent or stands still, and a simulation that is merely paused."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from selfgrasp_nodes.errors import ExecutionFailed, Unavailable
from selfgrasp_nodes.motion.port import ArmSample
from selfgrasp_nodes.nodes.liveness import Liveness


def sample(seconds: float, position: float) -> ArmSample:
    q = np.full(6, position)
    return ArmSample(round(seconds * 1e9), q, q, 0.05, 0.0, np.zeros(6))


def test_silence_while_time_goes_on_is_a_fault() -> None:
    alive = Liveness(time.monotonic_ns, silence=0.05)
    alive.check(None)
    alive.check(sample(0.0, 0.0))
    time.sleep(0.08)
    with pytest.raises(Unavailable, match="fell silent"):
        alive.check(None)


def test_silence_of_a_paused_world_is_none() -> None:
    alive = Liveness(lambda: 7, silence=0.05)
    time.sleep(0.08)
    alive.check(None)


def test_standing_still_is_a_fault_in_a_trajectory_only() -> None:
    alive, fingers = (Liveness(lambda: 0, 1.0, still) for still in (2.0, float("inf")))
    for watch in (alive, fingers):
        for tick in range(30):  # slow, but it moves: 1 mrad in 0.1 s
            watch.check(sample(0.1 * tick, 1e-3 * tick))
        for tick in range(30, 45):
            watch.check(sample(0.1 * tick, 0.029))
    fingers.check(sample(60.0, 0.029))
    with pytest.raises(ExecutionFailed, match="protective or emergency stop"):
        alive.check(sample(5.5, 0.029))
