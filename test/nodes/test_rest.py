"""The rest meter on motions whose stops are known."""

from __future__ import annotations

import numpy as np
import pytest

from selfgrasp_nodes.nodes.rest import RestMeter

RATE = 100.0
ACCELERATION = 8.0


def motion(rest: float) -> tuple[np.ndarray, np.ndarray]:
    """Times and positions: 1 rad/s, a stop of ``rest`` seconds, 1 rad/s again."""
    times = np.arange(0, 3 + rest, 1 / RATE)
    ramp = 1 / ACCELERATION
    stop, go = 1.0 + ramp, 1.0 + ramp + rest
    speed = np.interp(times, [0, 1.0, stop, go, go + ramp, 10], [1, 1, 0, 0, 1, 1])
    return times, np.cumsum(speed) / RATE


@pytest.mark.parametrize("rest", [0.1, 0.15, 0.2, 0.3, 1.0])
def test_a_stop_is_measured_as_long_as_it_was(rest: float) -> None:
    rng = np.random.default_rng(1)
    meter = RestMeter()
    times, positions = motion(rest)
    for t, q in zip(times, positions, strict=True):
        reading = q + 1e-4 * rng.standard_normal()
        meter.add(t, [reading], [0.08 + 5e-4 * rng.standard_normal()], wall=100 + t)
    assert meter.between(0.0, 10.0) == pytest.approx(rest, abs=0.03)


def test_no_rest_in_a_motion_without_a_stop() -> None:
    meter = RestMeter()
    for t in np.arange(0, 2, 1 / RATE):
        meter.add(t, [t], [0.08], wall=t)
    assert meter.between(0.0, 10.0) == 0.0


def test_moving_fingers_are_no_rest() -> None:
    meter = RestMeter()
    for t in np.arange(0, 1, 1 / RATE):
        meter.add(t, [0.0], [0.1 * t], wall=t)
    assert meter.between(0.0, 10.0) == 0.0


def test_only_the_asked_span_counts() -> None:
    meter = RestMeter()
    for t in np.arange(0, 2, 1 / RATE):
        meter.add(t, [0.0], [0.08], wall=t)
    assert meter.between(0.5, 1.0) == pytest.approx(0.5, abs=0.02)
