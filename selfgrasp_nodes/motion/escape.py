"""The way out of the objects among which a stopped arm stands.

A cancel may stop the arm where the heightmap shows objects: no free path begins
there. The hand then goes straight up, or back along its approach, as far as it
must. Only where the arm stands already is ignored: what is clear of the objects,
or has come clear of them, stays clear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from selfgrasp_nodes.errors import PlanningFailed
from selfgrasp_nodes.motion.kinematics import ArmKinematics
from selfgrasp_nodes.motion.lines import densified

_STEP = 0.01  # of the hand between two looks [m]
_SPACING = 0.02  # of the joints between two looks [rad]
_LARGEST_JUMP = 0.3  # of a joint in one step [rad]
_UPWARDS = 0.5  # least share of a way back along the approach that leads up


def way_out(
    chain: ArmKinematics,
    q_start: np.ndarray,
    rise: float,
    among: Callable[[np.ndarray], frozenset[str]],
    collides: Callable[[np.ndarray], bool],
) -> tuple[np.ndarray, np.ndarray]:
    """Joint knots of the shortest straight way into the free.

    Args:
        chain: The arm's kinematics.
        q_start: (J,) [rad].
        rise: Longest way [m].
        among: Names of the arm's shapes that stand among the objects.
        collides: Whether the arm touches anything but the objects.

    Returns:
        Knots (N, J) [rad], and their distances along the way (N,) [m].

    Raises:
        PlanningFailed: If neither way ends in the free.
    """
    reasons = []
    for name, direction in _directions(chain.fk(q_start)):
        try:
            knots = _follow(chain, q_start, direction, rise, among, collides)
        except PlanningFailed as error:
            reasons.append(f"{name}: {error}")
            continue
        return knots, _STEP * np.arange(len(knots))
    raise PlanningFailed("no way out of the objects around the arm; " + "; ".join(reasons))


def _directions(world_T_tip: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    yield "straight up", np.array([0.0, 0.0, 1.0])
    back = -world_T_tip[:3, 2]
    if _UPWARDS <= back[2] < 0.999:
        yield "back along the tool", back


def _follow(
    chain: ArmKinematics,
    q_start: np.ndarray,
    direction: np.ndarray,
    rise: float,
    among: Callable[[np.ndarray], frozenset[str]],
    collides: Callable[[np.ndarray], bool],
) -> np.ndarray:
    start, knots, inside = chain.fk(q_start), [q_start], among(q_start)
    for number in range(1, round(rise / _STEP) + 1):
        free = not inside  # then one step more: what is only just clear may not be for long
        try:
            found, inside = _step(chain, start, number * _STEP * direction, knots, inside, among)
            if collides(found):
                raise PlanningFailed("it collides with what is no object")
        except PlanningFailed:
            if free:
                break
            raise
        knots.append(found)
        if free:
            break
    else:
        if inside:
            raise PlanningFailed(f"objects are still around the arm after {rise:.2f} m")
    return np.array(knots)


def _step(
    chain: ArmKinematics,
    start: np.ndarray,
    shift: np.ndarray,
    knots: list[np.ndarray],
    inside: frozenset[str],
    among: Callable[[np.ndarray], frozenset[str]],
) -> tuple[np.ndarray, frozenset[str]]:
    """The next knot, and which shapes still stand among the objects there.

    Raises:
        PlanningFailed: If it cannot be reached, or another shape would touch objects.
    """
    pose = start.copy()
    pose[:3, 3] += shift
    guess = 2 * knots[-1] - knots[-2] if len(knots) > 1 else knots[-1]
    found = chain.solve(pose, guess)
    if found is None or np.abs(found - knots[-1]).max() > _LARGEST_JUMP:
        raise PlanningFailed(f"the arm's reach ends before {np.linalg.norm(shift):.2f} m")
    for q in densified(np.stack([knots[-1], found]), _SPACING)[1:]:
        now = among(q)
        if not now <= inside:
            raise PlanningFailed(f"{', '.join(sorted(now - inside))} would touch objects")
        inside = now
    return found, inside
