"""Order and diversity of candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from selfgrasp_nodes.types import Candidate, Primitive


def angle_difference(a: np.ndarray | float, b: np.ndarray | float, period: float) -> np.ndarray:
    """Smallest absolute difference of two angles with a period [rad]."""
    half = period / 2
    return np.abs(np.mod(np.asarray(a) - np.asarray(b) + half, period) - half)


def suppress(
    x: np.ndarray,
    y: np.ndarray,
    angle: np.ndarray,
    score: np.ndarray,
    limit: int,
    distance: float = 0.02,
    turn: float = 0.35,
    period: float = np.pi,
) -> list[int]:
    """Indices of the best candidates, no two of them alike (non-maximum suppression).

    Args:
        x: (N,) [m].
        y: (N,) [m].
        angle: (N,) [rad].
        score: (N,), larger is better.
        limit: At most so many.
        distance: Two are alike if nearer than this [m] ...
        turn: ... and turned by less than this [rad].
        period: Of the angles: pi for grasps, 2 pi for pushes.
    """
    kept: list[int] = []
    open_ = np.ones(len(score), bool)
    for index in np.argsort(-score, kind="stable"):
        if not open_[index]:
            continue
        kept.append(int(index))
        if len(kept) == limit:
            break
        near = np.hypot(x - x[index], y - y[index]) < distance
        open_ &= ~(near & (angle_difference(angle, angle[index], period) < turn))
    return kept


def avoidance(
    x: np.ndarray,
    y: np.ndarray,
    angle: np.ndarray,
    avoid: Sequence[Candidate],
    primitive: Primitive,
    distance: float = 0.02,
    turn: float = 0.5,
) -> np.ndarray:
    """Factor in (0, 1] by which earlier failures lower the score of what is like them.

    A failed try lowers its own score to about a quarter, that of the same place
    with another angle to about a half, and each repetition again.

    Args:
        x: (N,) [m].
        y: (N,) [m].
        angle: (N,) [rad].
        avoid: Tries that failed.
        primitive: Only failures of this primitive count.
        distance: Scale of what counts as near [m].
        turn: Scale of what counts as the same angle [rad].
    """
    total = np.zeros(len(x))
    period = np.pi if primitive is Primitive.GRASP else 2 * np.pi
    for failed in avoid:
        if failed.primitive is not primitive:
            continue
        squared = (x - failed.pose[0, 3]) ** 2 + (y - failed.pose[1, 3]) ** 2
        alike = np.exp(-((angle_difference(angle, failed.angle, period) / turn) ** 2))
        total += np.exp(-squared / distance**2) * (0.55 + 0.85 * alike)
    return np.exp(-total)
