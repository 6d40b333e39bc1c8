"""The checkpoints in models/: whole, of their robot's gripper, and with the figures they claim."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed (make setup-learning)")

from selfgrasp_nodes.policies import make_policy
from selfgrasp_nodes.robots import load_robot


@pytest.mark.parametrize("name", ["baxter", "ur5_rg2"])
def test_a_robot_has_a_checkpoint_of_its_gripper(name) -> None:
    policy = make_policy("patch", load_robot(name))
    policy.check()  # reads it: digest, geometry, gripper
    held_out = policy.judge.card.metrics["held_out"]
    assert held_out["tries"] >= 400 and held_out["balanced_accuracy"]["low"] > 0.6
