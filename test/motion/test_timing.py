from __future__ import annotations

import numpy as np
import pytest

from selfgrasp_nodes.motion.timing import Limits, interpolate, parametrise

JOINTS = ("a", "b", "c")
LIMITS = Limits(np.array([1.0, 2.0, 3.0]), np.array([4.0, 4.0, 8.0]))


def rates(trajectory, dt=0.002):
    time = np.arange(0, trajectory.duration, dt)
    _, speeds = interpolate(trajectory, time)
    return np.abs(speeds), np.abs(np.diff(speeds, axis=0)) / dt


@pytest.mark.parametrize("seed", range(8))
def test_limits_hold_all_along(seed):
    rng = np.random.default_rng(seed)
    knots = np.cumsum(rng.uniform(-0.3, 0.3, (rng.integers(2, 12), 3)), axis=0)
    trajectory = parametrise(JOINTS, knots, LIMITS)
    speeds, accelerations = rates(trajectory)
    assert np.all(speeds.max(axis=0) <= 1.005 * LIMITS.velocity)
    # The limits hold at grid points; between them a path as winding as these overshoots.
    assert np.all(np.percentile(accelerations, 99, axis=0) <= 1.25 * LIMITS.acceleration)
    np.testing.assert_allclose(trajectory.positions[[0, -1]], knots[[0, -1]], atol=1e-9)
    np.testing.assert_array_equal(trajectory.velocities[[0, -1]], 0)
    assert np.all(np.diff(trajectory.time) > 0)


def test_a_straight_joint_move_takes_the_least_time():
    trajectory = parametrise(JOINTS, np.array([[0, 0, 0], [2.0, 0, 0]]), LIMITS)
    # Trapezoid: length / speed + speed / acceleration.
    assert trajectory.duration == pytest.approx(2.0 / 1.0 + 1.0 / 4.0, rel=0.02)
    assert np.abs(trajectory.positions[:, 1:]).max() < 1e-12


def test_the_tools_speed_is_limited_on_a_line():
    knots = np.linspace(0, 0.5, 8)[:, None] * np.ones(3)
    free = parametrise(JOINTS, knots, LIMITS)
    distance = np.linspace(0, 0.4, 8)
    slow = Limits(LIMITS.velocity, LIMITS.acceleration, 0.1, 1.0)
    trajectory = parametrise(JOINTS, knots, slow, distance)
    assert trajectory.duration == pytest.approx(0.4 / 0.1 + 0.1 / 1.0, rel=0.02)
    assert trajectory.duration > free.duration


def test_no_way_is_no_motion():
    trajectory = parametrise(JOINTS, np.ones((3, 3)), LIMITS, np.zeros(3))
    assert trajectory.duration < 0.01
    np.testing.assert_array_equal(trajectory.positions, 1.0)
    assert trajectory.positions.shape[1] == 3


def test_interpolation_meets_the_samples_and_stays_at_the_ends():
    knots = np.array([[0, 0, 0], [0.2, 0.1, 0.3], [0.1, 0.4, 0.2]])
    trajectory = parametrise(JOINTS, knots, LIMITS)
    q, qd = interpolate(trajectory, trajectory.time)
    np.testing.assert_allclose(q, trajectory.positions, atol=1e-12)
    np.testing.assert_allclose(qd, trajectory.velocities, atol=1e-9)
    before, after = interpolate(trajectory, np.array([-1.0, 99.0]))[0]
    np.testing.assert_allclose(before, trajectory.positions[0])
    np.testing.assert_allclose(after, trajectory.positions[-1])
    assert interpolate(trajectory, 0.1)[0].shape == (3,)
