"""A checkpoint with an untrained network: which one does not matter to most tests."""

from __future__ import annotations

from pathlib import Path

import pytest

NETWORK = {"name": "window", "widths": [0.11, 0.08], "filters": 8, "hidden": 16}


def write_checkpoint(robot, path: Path, configuration: dict | None = None, **changes) -> Path:
    """Weights and card at ``path``; ``changes`` are of the card."""
    torch = pytest.importorskip("torch")
    from selfgrasp_nodes.policies.checkpoints import Card, GripperCard, save_checkpoint
    from selfgrasp_nodes.policies.pixelq.actions import Strokes
    from selfgrasp_nodes.policies.pixelq.values import build_network, input_card

    torch.manual_seed(5)
    gripper = robot.arms[0].gripper
    network = build_network(NETWORK, gripper, robot.workspace.workspace, Strokes())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2.5)
    card = Card(
        policy="pixelq",
        network={**NETWORK, "output": "probability"},
        input=input_card(Strokes()),
        gripper=GripperCard.of(gripper),
        robot=robot.name,
        views=("overhead",),
        training={"configuration": configuration or {}},
    )
    save_checkpoint(path, card.model_copy(update=changes), network.state_dict())
    return path


@pytest.fixture(scope="session")
def checkpoint(robot, tmp_path_factory) -> str:
    return str(write_checkpoint(robot, tmp_path_factory.mktemp("pixelq") / "net"))
