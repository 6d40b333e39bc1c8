"""The policy node serves a checkpoint that it is given while it runs."""

from __future__ import annotations

import time

import pytest

torch = pytest.importorskip("torch")

from selfgrasp.msg import Observation as ObservationMsg  # noqa: E402
from selfgrasp.msg import Status  # noqa: E402
from selfgrasp.msg import Trial as TrialMsg  # noqa: E402
from selfgrasp.srv import LoadCheckpoint, Plan  # noqa: E402

from selfgrasp_nodes.nodes import conversions, qos, trial_messages  # noqa: E402
from selfgrasp_nodes.nodes.base import BaseNode  # noqa: E402
from selfgrasp_nodes.nodes.policy_node import PolicyNode  # noqa: E402
from selfgrasp_nodes.nodes.waiting import call  # noqa: E402
from selfgrasp_nodes.perception.heightmap import build_heightmap  # noqa: E402
from selfgrasp_nodes.perception.regions import BackgroundModel  # noqa: E402
from selfgrasp_nodes.policies.checkpoints import Card, GripperCard, save_checkpoint  # noqa: E402
from selfgrasp_nodes.policies.patch.judge import input_card  # noqa: E402
from selfgrasp_nodes.policies.patch.networks import make_network  # noqa: E402
from selfgrasp_nodes.policies.pixelq.policy import default_checkpoint  # noqa: E402
from selfgrasp_nodes.robots import load_robot  # noqa: E402
from selfgrasp_nodes.robots.patch import PatchGeometry  # noqa: E402
from selfgrasp_nodes.simulation.scene import Scene  # noqa: E402
from selfgrasp_nodes.simulation.scenes import random_scene  # noqa: E402
from selfgrasp_nodes.simulation.world import World  # noqa: E402
from selfgrasp_nodes.types import (  # noqa: E402
    Candidate,
    Execution,
    Observation,
    Outcome,
    OutcomeCode,
    Trial,
)

ROBOT = load_robot("ur5_rg2")
NETWORK = {"name": "polar", "widths": [8, 8, 16, 16], "rings": 16}


def _checkpoint(path, seed: int) -> Card:
    torch.manual_seed(seed)
    gripper = ROBOT.arms[0].gripper
    card = Card(
        policy="patch",
        network={**NETWORK, "members": 1},
        input=input_card(PatchGeometry.of(gripper), 64),
        gripper=GripperCard.of(gripper),
        robot=ROBOT.name,
        views=("overhead",),
    )
    weights = make_network(**NETWORK).state_dict()
    return save_checkpoint(path, card, {f"0.{k}": v for k, v in weights.items()})


@pytest.fixture(scope="module")
def seen() -> Observation:
    world = World(ROBOT)
    world.reset(Scene("empty", ()), 0)
    background = BackgroundModel()
    empty = [world.render() for _ in range(10)]
    background.learn_empty([v.color for v in empty], [v.depth for v in empty])
    world.reset(random_scene(ROBOT, 4, 11), 11)
    view = world.render()
    regions = background.regions(view.color, view.camera, depth=view.depth)
    heightmap = build_heightmap([view], ROBOT.workspace.workspace)
    world.close()
    return Observation("o", view.stamp, {view.camera: view}, heightmap, regions)


def test_a_checkpoint_serves_every_arm_and_a_wrong_one_changes_nothing(
    spinner, seen, tmp_path
) -> None:
    spinner.add(PolicyNode(parameters={"policy": "patch"}, namespace="serves"))
    caller = spinner.add(BaseNode(namespace="serves"))
    plan = caller.create_client(Plan, "plan")
    load = caller.create_client(LoadCheckpoint, "load_checkpoint")
    given = conversions.observation_message(seen, "world", {})

    def digests(arm: str) -> set[str]:
        asked = Plan.Request(observation=[given], policy="patch", arm=arm, seed=1)
        answer = call(plan, asked, 60.0)
        assert answer.success, answer.message
        scores = [candidate.score for candidate in answer.candidates]
        assert scores == sorted(scores, reverse=True)
        return {candidate.checkpoint_digest for candidate in answer.candidates}

    first, second = (_checkpoint(tmp_path / name, seed) for seed, name in enumerate("ab"))
    for card, name in ((first, "a"), (second, "b")):
        request = LoadCheckpoint.Request(path=str(tmp_path / name), policy="patch")
        answer = call(load, request, 60.0)
        assert answer.success and card.sha256 in answer.card
        # Also an arm's own policy, whether it was there before or not.
        assert digests("") == digests(ROBOT.arms[0].name) == {card.sha256}
    wrong = LoadCheckpoint.Request(path=str(tmp_path / "a"), policy="patch", digest=second.sha256)
    answer = call(load, wrong, 60.0)
    assert answer.code == Status.STORAGE_ERROR and "SHA-256" in answer.message
    (tmp_path / "c.safetensors").write_bytes(b"\x80\x04cos\nsystem\n")
    answer = call(load, LoadCheckpoint.Request(path=str(tmp_path / "c"), policy="patch"), 60.0)
    assert not answer.success and answer.message
    assert digests("") == {second.sha256}


def test_a_policy_that_learns_while_it_runs_hears_what_became_of_its_tries(
    spinner, seen, tmp_path
) -> None:
    file = tmp_path / "policies.yaml"
    file.write_text("pixelq: {learn: true, learn_rate: 0.02}\n")
    node = PolicyNode(
        parameters={"policy": "pixelq", "policy_file": str(file)}, namespace="learns"
    )
    spinner.add(node)
    caller = spinner.add(BaseNode(namespace="learns"))
    plan = caller.create_client(Plan, "plan")
    load = caller.create_client(LoadCheckpoint, "load_checkpoint")
    tried = caller.create_publisher(TrialMsg, "trial", qos.EVENT)
    observed = caller.create_publisher(ObservationMsg, "observation", qos.EVENT)
    given = conversions.observation_message(seen, "world", {})

    def best() -> Candidate:
        answer = call(plan, Plan.Request(observation=[given], seed=1), 60.0)
        assert answer.success, answer.message
        return conversions.candidate(answer.candidates[0])

    first = best()
    assert best().score == first.score, "nothing was tried yet"
    failed = Trial(
        "t0", "r", "0", 0, 1, ROBOT.name, "", "s", first, Outcome(OutcomeCode.MISSED),
        Execution(first, (), None), "o", "",
    )  # fmt: skip
    limit = time.monotonic() + 30
    while tried.get_subscription_count() < 1 or observed.get_subscription_count() < 1:
        assert time.monotonic() < limit
        time.sleep(0.05)
    # The try comes before its picture, as it may.
    tried.publish(trial_messages.trial_message(failed, "world", 1, ROBOT.arms[0].joints))
    time.sleep(0.3)
    assert node.diagnose()[1]["tries_heard"] == 0
    observed.publish(given)
    while node.diagnose()[1]["tries_heard"] < 1:
        assert time.monotonic() < limit
        time.sleep(0.05)
    after = best()
    assert after.score < first.score - 1e-4
    checkpoint = str(default_checkpoint("rg2"))
    answer = call(load, LoadCheckpoint.Request(path=checkpoint, policy="pixelq"), 60.0)
    assert answer.success, answer.message
    assert best().score == first.score
