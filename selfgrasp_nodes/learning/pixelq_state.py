"""A learner between two steps as one safetensors file: weights, copies, moments, counters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.learning.pixelq_learner import Learner
from selfgrasp_nodes.learning.pixelq_store import check_identity
from selfgrasp_nodes.policies.checkpoints import write_whole


def save_learner(learner: Learner, path: Path, identity: dict[str, Any]) -> None:
    """Write the state in one step; the file before it stays whole until then.

    The tries are not in it: they are in the store, and are read from there.

    Raises:
        StorageError: If it cannot be written.
    """
    tensors: dict[str, torch.Tensor] = {}
    for prefix, values in _networks(learner).items():
        tensors |= {f"{prefix}/{k}": v.clone() for k, v in values.network.state_dict().items()}
    for index, moments in learner.optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            if value is not None:
                tensors[f"optimizer/{index}/{name}"] = torch.as_tensor(value).clone()
    tensors["random"] = torch.get_rng_state()
    note = {
        "identity": identity,
        "steps": learner.steps,
        "copies": learner.copies,
        "generator": learner.rng.bit_generator.state,
        # What is known of each try beside the store: its last loss, and what followed it.
        "surprise": [float(m.surprise) if m.surprise < 1e30 else -1.0 for m in learner.memories],
        "future": [[m.future, m.judged, m.lost] for m in learner.memories],
    }
    data = save(tensors, {"state": json.dumps(note)})
    try:
        write_whole(path, data)
    except OSError as error:
        raise StorageError(
            f"the training's state {path} cannot be written ({error}); the one before is whole: "
            "free the disk and run the same command again"
        ) from error


def load_learner(learner: Learner, path: Path, identity: dict[str, Any]) -> bool:
    """Take over a state; the learner must hold the store's tries already.

    Returns:
        Whether there was one.

    Raises:
        StorageError: If it is damaged, of another training, or tries that it learnt from
            are gone.
    """
    if not path.is_file():
        return False
    try:
        with safe_open(path, "pt") as file:
            note = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
        raise StorageError(
            f"the training's state {path} is damaged ({error}): delete it, and the tries that "
            "are stored will be learnt from anew"
        ) from error
    check_identity(note["identity"], identity, path.parent)
    known, there = len(note["surprise"]), len(learner.memories)
    if known > there:
        raise StorageError(
            f"the training's state {path} has learnt from {known} tries and {path.parent} holds "
            f"{there}: put tries.sqlite back, or delete the folder to begin again"
        )
    for prefix, values in _networks(learner).items():
        begin = f"{prefix}/"
        values.network.load_state_dict(
            {k[len(begin) :]: v for k, v in tensors.items() if k.startswith(begin)}
        )
    whole = learner.optimizer.state_dict()
    moments: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/")
            moments.setdefault(int(index), {})[key] = value
    whole["state"] = moments
    learner.optimizer.load_state_dict(whole)
    torch.set_rng_state(tensors["random"])
    learner.steps, learner.copies = int(note["steps"]), int(note["copies"])
    learner.rng.bit_generator.state = note["generator"]
    for memory, surprise, (future, judged, lost) in zip(
        learner.memories, note["surprise"], note["future"], strict=False
    ):
        memory.surprise = surprise if surprise >= 0 else float("inf")
        memory.future, memory.judged = float(future), int(judged)
        memory.lost = bool(lost)
    return True


def _networks(learner: Learner) -> dict[str, Any]:
    """The networks that differ, by name."""
    found = {"online": learner.online}
    if learner.acting is not learner.online:
        found["acting"] = learner.acting
    if learner.judge is not learner.online:
        found["judge"] = learner.judge
    return found
