"""Time parametrisation of joint paths, with TOPP-RA (Pham and Pham 2018).

A path along a straight line of the tool carries the distance along the line as
one more coordinate, so that limits on the tool's own speed and acceleration
are limits like any joint's.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import toppra
from toppra import algorithm, constraint

from selfgrasp_nodes.errors import PlanningFailed
from selfgrasp_nodes.types import Trajectory

_STEP = 0.02  # between the samples of a trajectory [s]
_LEAST = 1e-6  # a shorter path [rad] is no motion
_GRID_A_KNOT = 5
_GRID = (24, 120)  # least and most grid points
# Denser at the ends, where a short acceleration would else be smeared over a cell.
_ENDS = np.array([0.002, 0.006, 0.015])

logging.getLogger("toppra").setLevel(logging.ERROR)
# It tries to import every solver that it knows for each path; once is enough.
toppra.solverwrapper.available_solvers = functools.cache(toppra.solverwrapper.available_solvers)


@dataclass(frozen=True)
class Limits:
    """What a trajectory respects.

    Attributes:
        velocity: (J,) of the joints [rad/s].
        acceleration: (J,) of the joints [rad/s^2].
        tool_velocity: Along a straight line [m/s].
        tool_acceleration: Along a straight line [m/s^2].
    """

    velocity: np.ndarray
    acceleration: np.ndarray
    tool_velocity: float = np.inf
    tool_acceleration: float = np.inf


def parametrise(
    joints: tuple[str, ...],
    knots: np.ndarray,
    limits: Limits,
    distance: np.ndarray | None = None,
) -> Trajectory:
    """The quickest trajectory along a path, from rest to rest.

    Args:
        joints: Names, in the columns' order.
        knots: (N, J) joint positions; a cubic spline is laid through them,
            a straight line through two [rad].
        limits: Of joints and tool.
        distance: (N,) way of the tool at each knot, for the tool's limits [m].

    Returns:
        Samples at most 20 ms apart; between them interpolate with
        :func:`interpolate`.

    Raises:
        PlanningFailed: If no parametrisation respects the limits.
    """
    knots = _without_repeats(np.asarray(knots, float), distance)
    if len(knots) < 2:
        return _still(joints, knots[0, : len(joints)])
    velocity, acceleration = limits.velocity, limits.acceleration
    if distance is not None:
        velocity = np.append(velocity, limits.tool_velocity)
        acceleration = np.append(acceleration, limits.tool_acceleration)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    path = toppra.SplineInterpolator(length, knots)
    count = int(np.clip(_GRID_A_KNOT * len(knots), *_GRID))
    grid = np.unique(np.concatenate([np.linspace(0, 1, count), _ENDS, 1 - _ENDS]))
    solver = algorithm.TOPPRA(
        _constraints(tuple(velocity), tuple(acceleration)),
        path,
        gridpoints=grid * length[-1],
        solver_wrapper="seidel",
        parametrizer="ParametrizeConstAccel",
    )
    timed = solver.compute_trajectory(0, 0)
    if timed is None:
        raise PlanningFailed("no speed along this path respects the joint limits")
    time = np.linspace(0, timed.duration, max(2, int(np.ceil(timed.duration / _STEP)) + 1))
    velocities = timed(time, 1)[:, : len(joints)]
    velocities[[0, -1]] = 0.0
    trajectory = Trajectory(joints, time, timed(time)[:, : len(joints)], velocities)
    return _slowed(trajectory, limits.velocity)


def interpolate(trajectory: Trajectory, time: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joint positions and velocities at times since the start.

    Cubic Hermite between the samples, as a joint trajectory controller does it.

    Args:
        trajectory: At least one sample.
        time: Scalar or (K,) [s]; clipped to the trajectory's duration.

    Returns:
        Positions [rad] and velocities [rad/s], (J,) or (K, J).
    """
    knots = trajectory.time
    if len(knots) < 2:
        shape = (*np.shape(time), trajectory.positions.shape[1])
        return np.broadcast_to(trajectory.positions[0], shape).copy(), np.zeros(shape)
    t = np.clip(np.asarray(time, float), 0.0, knots[-1])
    index = np.clip(np.searchsorted(knots, t, side="right") - 1, 0, len(knots) - 2)
    h = (knots[index + 1] - knots[index])[..., None]
    s = (t - knots[index])[..., None] / h
    p0, p1 = trajectory.positions[index], trajectory.positions[index + 1]
    m0, m1 = trajectory.velocities[index] * h, trajectory.velocities[index + 1] * h
    positions = (
        (1 + 2 * s) * (1 - s) ** 2 * p0
        + s * (1 - s) ** 2 * m0
        + s * s * (3 - 2 * s) * p1
        + s * s * (s - 1) * m1
    )
    slopes = (6 * s * (s - 1) * (p0 - p1) + (1 - s) * (1 - 3 * s) * m0 + s * (3 * s - 2) * m1) / h
    return positions, slopes


def _slowed(trajectory: Trajectory, velocity: np.ndarray) -> Trajectory:
    """Stretched in time where it is too fast between the grid points of a winding path."""
    middles = (trajectory.time[:-1] + trajectory.time[1:]) / 2
    between = interpolate(trajectory, middles)[1]
    fastest = max(
        (np.abs(between) / velocity).max(), (np.abs(trajectory.velocities) / velocity).max()
    )
    if fastest <= 1.0:
        return trajectory
    return replace(
        trajectory,
        time=trajectory.time * fastest,
        velocities=trajectory.velocities / fastest,
    )


@functools.lru_cache(maxsize=64)
def _constraints(velocity: tuple[float, ...], acceleration: tuple[float, ...]) -> list[Any]:
    """TOPP-RA's constraints; kept, as making them costs as much as solving."""
    v, a = np.array(velocity), np.array(acceleration)
    return [
        constraint.JointVelocityConstraint(np.c_[-v, v]),
        # Holding the limits at both ends of each cell costs little and overshoots
        # far less on winding paths than holding them at one.
        constraint.JointAccelerationConstraint(
            np.c_[-a, a], discretization_scheme=constraint.DiscretizationType.Interpolation
        ),
    ]


def _without_repeats(knots: np.ndarray, distance: np.ndarray | None) -> np.ndarray:
    """The knots, with their distance as a column, without those that do not move."""
    if distance is not None:
        knots = np.c_[knots, distance]
    moved = np.linalg.norm(np.diff(knots, axis=0), axis=1) > _LEAST
    return knots[np.concatenate([[True], moved])]


def _still(joints: tuple[str, ...], q: np.ndarray) -> Trajectory:
    positions = np.repeat(q[None], 2, axis=0)
    return Trajectory(joints, np.array([0.0, 1e-3]), positions, np.zeros_like(positions))
