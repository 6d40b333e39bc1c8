"""The way round the workspace: the right points, at the right height, within reach."""

from __future__ import annotations

import numpy as np
import pytest

from selfgrasp_nodes.errors import PlanningFailed
from selfgrasp_nodes.motion.border import border_poses
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.robots import load_robot, robot_names
from selfgrasp_nodes.robots.gripper import tip_T_tcp


@pytest.mark.parametrize("name", robot_names())
def test_the_hand_goes_round_the_workspace(name: str) -> None:
    planner = EmbeddedPlanner(load_robot(name))
    robot = planner.robot
    poses = border_poses(planner, 0.12)
    tips = []
    for arm, world_T_tip in poses:
        tcp = world_T_tip @ tip_T_tcp(robot.arm(arm).gripper, robot.arm(arm).gripper.width_min)
        assert tcp[2, 2] == pytest.approx(-1)
        tips.append(tcp[:3, 3])
    tips = np.array(tips)
    np.testing.assert_allclose(tips[:, 2], 0.12, atol=1e-9)
    half = np.array(robot.workspace.size) / 2
    offset = np.abs(tips[:, :2] - robot.workspace.center) / half
    np.testing.assert_allclose(offset.max(axis=1), 1, atol=1e-9)  # on the border
    corners = tips[(offset > 1 - 1e-9).all(axis=1), :2]
    assert len(np.unique(corners.round(6), axis=0)) == 4
    np.testing.assert_allclose(tips[0], tips[-1])


def test_the_arm_is_led_from_pose_to_pose() -> None:
    """Every leg can be planned, and on it the tips stay near the border and above the table."""
    planner = EmbeddedPlanner(load_robot("ur5_rg2"))
    arm = planner.robot.arms[0]
    q = np.array(arm.home)
    lowest = 1.0
    for number, (name, pose) in enumerate(border_poses(planner, 0.12)):
        path = planner.plan_free(name, q, pose, width=0.0, scale=0.2)
        q = path.positions[-1]
        if number:
            tcps = [planner.fk(name, p) @ tip_T_tcp(arm.gripper, 0.0) for p in path.positions]
            lowest = min(lowest, *(t[2, 3] for t in tcps))
    assert lowest > 0.1


def test_a_workspace_out_of_reach_is_named() -> None:
    robot = load_robot("ur5_rg2")
    far = robot.workspace.model_copy(update={"center": (-1.2, 0.0)})
    with pytest.raises(PlanningFailed, match=r"border at \(-1\.424, -0\.224\)"):
        border_poses(EmbeddedPlanner(robot.model_copy(update={"workspace": far})))
