from __future__ import annotations

import numpy as np
import pytest
from motion_cases import tip

from selfgrasp_nodes.errors import PlanningFailed
from selfgrasp_nodes.motion.kinematics import ArmKinematics
from selfgrasp_nodes.motion.model import RobotModel


def chains(robot):
    model = RobotModel(robot)
    return [(arm, ArmKinematics(model, arm)) for arm in robot.arms]


def test_inverse_kinematics_inverts_forward_kinematics(any_robot):
    rng = np.random.default_rng(0)
    for arm, chain in chains(any_robot):
        ready = np.array(arm.ready)
        for _ in range(40):
            q = np.clip(ready + rng.uniform(-0.6, 0.6, len(ready)), chain.lower, chain.upper)
            pose = chain.fk(q)
            found = chain.ik(pose, ready)
            np.testing.assert_allclose(chain.fk(found), pose, atol=2e-6)
            assert chain.within_limits(found)


def test_every_arm_reaches_top_down_over_the_workspace(any_robot):
    workspace = any_robot.workspace.workspace
    rng = np.random.default_rng(1)
    reached = {}
    for _ in range(60):
        x, y = rng.uniform(workspace.low, workspace.high)
        pose = (x, y, rng.uniform(0.02, 0.2), rng.uniform(0, np.pi))
        for arm, chain in chains_once(any_robot):
            try:
                chain.ik(tip(arm, *pose), np.array(arm.ready))
            except PlanningFailed:
                continue
            reached[pose] = True
    # Several arms may share the workspace: one that reaches is enough.
    assert len(reached) == 60


_CHAINS: dict[str, list] = {}


def chains_once(robot):
    return _CHAINS.setdefault(robot.name, chains(robot))


def test_forward_kinematics_of_the_ur5_has_its_published_lengths(robot):
    """Stretched out, the UR5's flange is a2 + a3 from the shoulder axis, d1 - d5 high."""
    (_, chain), *_ = chains(robot)
    position = chain.fk(np.zeros(6))[:3, 3]
    np.testing.assert_allclose(
        np.abs(position), [0.425 + 0.39225, 0.10915 + 0.0823, 0.089159 - 0.09465 + 0.0109820],
        atol=0.012,
    )  # fmt: skip


def test_the_nearest_turn_of_a_wrist_is_taken(robot):
    (arm, chain), *_ = chains(robot)
    seed = np.array(arm.ready)
    seed[5] = 5.0
    found = chain.ik(chain.fk(seed - np.array([0, 0, 0, 0, 0, 0.2])), seed)
    assert found[5] == pytest.approx(4.8, abs=1e-4)


@pytest.mark.parametrize("position", [(-1.5, 0.0, 0.2), (0.0, 0.0, 2.0)])
def test_out_of_reach_is_refused_with_its_position(robot, position):
    (arm, chain), *_ = chains(robot)
    with pytest.raises(PlanningFailed, match="cannot reach"):
        chain.ik(tip(arm, *position), np.array(arm.ready))
