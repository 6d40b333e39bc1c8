"""The checkpoint in models/: whole, of the RG2, learnt as its card says, and fit to act."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed (make setup-learning)")

from selfgrasp_nodes.orchestration.fast import FastLoop
from selfgrasp_nodes.orchestration.sequence import Limits
from selfgrasp_nodes.policies import make_policy
from selfgrasp_nodes.policies.checkpoints import read_card
from selfgrasp_nodes.policies.pixelq.policy import default_checkpoint
from selfgrasp_nodes.simulation.scenes import random_scene


def test_it_is_whole_and_clears_most_of_a_table(robot) -> None:
    card = read_card(default_checkpoint("rg2").with_suffix(".yaml"))
    assert card.metrics["tries"] >= 2500 and card.metrics["grasp_success_last"]["low"] > 0.8
    policy = make_policy("pixelq", robot)
    policy.check()  # reads it: digest, geometry, gripper
    run = FastLoop(robot, policy).run(random_scene(robot, 6, 77), 77, Limits(max_actions=18))
    assert run.cleared >= 5
