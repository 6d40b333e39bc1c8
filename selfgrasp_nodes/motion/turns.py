"""Which turn of the tool about its approach an arm reaches first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import PlanningFailed
from selfgrasp_nodes.motion.planner import Planner
from selfgrasp_nodes.robots import ArmSpec
from selfgrasp_nodes.robots.gripper import tip_T_tcp
from selfgrasp_nodes.types import Candidate, Primitive

_YAWS = np.arange(0, 2 * np.pi, np.pi / 6)


def turns(
    planner: Planner, candidate: Candidate, arm: ArmSpec, q_start: np.ndarray
) -> list[Candidate]:
    """The candidate and, for a grasp, its half turn; the quicker one first.

    Raises:
        PlanningFailed: If neither can be reached.
    """
    if candidate.primitive != Primitive.GRASP:
        return [candidate]
    half = half_turned(candidate.pose)
    found: list[tuple[float, Candidate]] = []
    failure: PlanningFailed | None = None
    for pose in (candidate.pose, half):
        tip = pose @ geometry.inverse(tip_T_tcp(arm.gripper, candidate.width))
        try:
            q = planner.ik(arm.name, tip, q_start)
        except PlanningFailed as error:
            failure = error
            continue
        found.append((_time(arm, q_start, q), replace(candidate, pose=pose)))
    if not found:
        assert failure is not None
        raise failure
    return [c for _, c in sorted(found, key=lambda pair: pair[0])]


def half_turned(pose: np.ndarray) -> np.ndarray:
    """The pose turned by half a turn about its approach: the same to two equal fingers."""
    half = pose.copy()
    half[:3, :2] *= -1
    return half


def quickest_yaw(
    planner: Planner, arm: ArmSpec, world_T_tip: np.ndarray, q: np.ndarray
) -> np.ndarray:
    """Joint positions for a pose with the turn about its approach that is reached first.

    Raises:
        PlanningFailed: If no turn can be reached.
    """
    best: tuple[float, np.ndarray] | None = None
    failure: PlanningFailed | None = None
    for yaw in _YAWS:
        turned = world_T_tip @ geometry.transform(rpy=(0, 0, yaw))
        try:
            goal = planner.ik(arm.name, turned, q)
        except PlanningFailed as error:
            failure = error
            continue
        if best is None or _time(arm, q, goal) < best[0]:
            best = _time(arm, q, goal), goal
    if best is None:
        assert failure is not None
        raise failure
    return best[1]


def _time(arm: ArmSpec, q_from: np.ndarray, q_to: np.ndarray) -> float:
    """Least time at full joint speed, with a mild pull away from wound-up wrists [s]."""
    slowness = 1 / np.asarray(arm.velocity_limits)
    travel = float(np.max(np.abs(q_to - q_from) * slowness))
    return travel + 0.02 * float(np.sum(np.abs(q_to - np.asarray(arm.ready)) * slowness))
