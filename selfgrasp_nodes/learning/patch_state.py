"""The state of a training between epochs, as one safetensors file: no pickle here either."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.learning.disk import written
from selfgrasp_nodes.policies.checkpoints import write_whole
from selfgrasp_nodes.policies.patch.networks import PatchNetwork


@dataclass
class TrainingState:
    """What one member's training needs to go on.

    Attributes:
        network: Being trained.
        average: Running mean of its weights; the same object where none is kept.
        optimizer: With its moments.
        step: Steps done.
        epoch: Epochs done.
        history: One dictionary an epoch.
    """

    network: PatchNetwork
    average: PatchNetwork
    optimizer: torch.optim.Optimizer
    step: int
    epoch: int
    history: list[dict[str, float]]

    def save(self, path: Path, identity: dict[str, Any]) -> None:
        """Write the state in one step.

        Args:
            path: File.
            identity: What the training depends on; :meth:`load` compares it.

        Raises:
            StorageError: If it cannot be written; the one before stays.
        """
        tensors: dict[str, Tensor] = {}
        for prefix, module in (("network", self.network), ("average", self.average)):
            tensors |= {f"{prefix}/{k}": v.clone() for k, v in module.state_dict().items()}
        numbers: dict[str, dict[str, float]] = {}
        for index, moments in self.optimizer.state_dict()["state"].items():
            for name, value in moments.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer/{index}/{name}"] = value.clone()
                elif value is not None:
                    numbers.setdefault(str(index), {})[name] = value
        note = {
            "identity": identity,
            "step": self.step,
            "epoch": self.epoch,
            "history": self.history,
            "numbers": numbers,
        }
        with written("the training's state", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, save(tensors, {"state": json.dumps(note)}))

    def load(self, path: Path, identity: dict[str, Any]) -> bool:
        """Take over a state that was saved.

        Returns:
            Whether there was one.

        Raises:
            StorageError: If it is damaged, or of another training.
        """
        if not path.is_file():
            return False
        try:
            with safe_open(path, "pt") as file:
                note = json.loads(file.metadata()["state"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise StorageError(
                f"the training's state {path} is damaged ({error}): delete it to begin again"
            ) from error
        other = {
            k for k in {*note["identity"], *identity} if note["identity"].get(k) != identity.get(k)
        }
        if other:
            raise StorageError(
                f"{path.parent} holds a training with other {', '.join(sorted(other))}: give "
                "another --out, or delete that folder to begin again"
            )
        for prefix, module in (("network", self.network), ("average", self.average)):
            begin = f"{prefix}/"
            module.load_state_dict(
                {k[len(begin) :]: v for k, v in tensors.items() if k.startswith(begin)}
            )
        whole = self.optimizer.state_dict()
        moments: dict[int, dict[str, Any]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer/"):
                _, index, key = name.split("/")
                moments.setdefault(int(index), {})[key] = value
        for index_text, values in note["numbers"].items():
            moments.setdefault(int(index_text), {}).update(values)
        whole["state"] = moments
        self.optimizer.load_state_dict(whole)
        self.step, self.epoch = int(note["step"]), int(note["epoch"])
        self.history = list(note["history"])
        return True
