"""The workspace's border, as poses that lead a hand round it.

Shown before a robot's first try: whoever watches sees whether the table is where the
description says.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import PlanningFailed
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.robots.gripper import tip_T_tcp

HEIGHT = 0.12
"""Of the closed fingers' tips above the table [m]."""

_YAWS = np.arange(0, np.pi, np.pi / 6)
_STEPS = 4  # poses on each side: between them the hand keeps within millimetres of the border


def border_poses(planner: EmbeddedPlanner, height: float = HEIGHT) -> list[tuple[str, np.ndarray]]:
    """Poses of the flange round the border, back to the first corner.

    Each is taken by the first arm that reaches it with the hand pointing down, and which
    goes on for as long as it can.

    Args:
        planner: Of the cell.
        height: Of the closed fingers' tips above the table [m].

    Returns:
        (arm, world_T_tip) each.

    Raises:
        PlanningFailed: If no arm reaches one of them; with where it is.
    """
    workspace = planner.robot.workspace
    (cx, cy), (sx, sy) = workspace.center, workspace.size
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]) * (sx / 2, sy / 2)
    points = [corners[0]]
    for a, b in pairwise(corners):
        points += [a + share * (b - a) for share in np.arange(1, _STEPS + 1) / _STEPS]
    found: list[tuple[str, np.ndarray]] = []
    seeds = {arm.name: np.asarray(arm.ready, float) for arm in planner.robot.arms}
    for x, y in np.add(points, (cx, cy)):
        found.append(_pose(planner, x, y, height, found[-1][0] if found else "", seeds))
    return found


def _pose(
    planner: EmbeddedPlanner,
    x: float,
    y: float,
    height: float,
    last: str,
    seeds: dict[str, np.ndarray],
) -> tuple[str, np.ndarray]:
    arms = sorted(planner.robot.arms, key=lambda arm: arm.name != last)
    reason = ""
    for arm in arms:
        width = arm.gripper.width_min
        # The turn about the approach that the arm takes with the least motion comes first.
        options = []
        for yaw in _YAWS:
            tcp = geometry.grasp_pose(x, y, height, float(yaw))
            tip = tcp @ geometry.inverse(tip_T_tcp(arm.gripper, width))
            try:
                q = planner.reach(arm.name, tip, seeds[arm.name], width)
            except PlanningFailed as error:
                reason = str(error)
                continue
            options.append((float(np.abs(q - seeds[arm.name]).max()), tip, q))
        if options:
            _, tip, seeds[arm.name] = min(options, key=lambda option: option[0])
            return arm.name, tip
    raise PlanningFailed(
        f"no arm reaches the workspace's border at ({x:.3f}, {y:.3f}), {height:.2f} m above the "
        f"table: {reason}; is the workspace in the robot's description right?"
    )
