"""All of a policy that its decisions follow from, so that results are known to be of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.policies.checkpoints import read_card
from selfgrasp_nodes.policies.registry import ORACLE, check_ready, make_policy
from selfgrasp_nodes.robots import RobotSpec


def policy_identity(
    policy: str, robot: RobotSpec, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """A policy's parameters, those of its file included, and the digest of its weights.

    Where the weights lie does not matter, what they are does.

    Args:
        policy: Registered name, or ``oracle``.
        robot: The cell that it acts in.
        parameters: Win over the file's.

    Returns:
        As JSON holds it.

    Raises:
        InvalidConfig: If a parameter or a checkpoint's card is wrong.
        StorageError: If a checkpoint that is named is not there.
        NotReady: If the policy needs a checkpoint and there is none.
        UnknownName: If there is no such policy.
    """
    if policy == ORACLE:
        from selfgrasp_nodes.simulation.oracle import oracle_params

        return oracle_params(parameters).model_dump(mode="json")
    made: Any = make_policy(policy, robot, **parameters)
    check_ready(made)
    found: dict[str, Any] = made.params.model_dump(mode="json")
    if "checkpoint" in found:
        path = found.pop("checkpoint")
        card = card_path(path) if path else _shipped(policy, robot)
        if path or card.is_file():
            found["digest"] = read_card(card).sha256
    return found


def card_path(checkpoint: str | Path) -> Path:
    """The card of a checkpoint that is named by its card, its weights, or without a suffix."""
    path = Path(checkpoint).expanduser()
    if path.suffix in (".yaml", ".safetensors"):
        return path.with_suffix(".yaml")
    return Path(f"{path}.yaml")


def _shipped(policy: str, robot: RobotSpec) -> Path:
    """Where a checkpoint lies that a policy takes when none is named."""
    return share_dir() / "models" / f"{policy}_{robot.arms[0].gripper.name}.yaml"
