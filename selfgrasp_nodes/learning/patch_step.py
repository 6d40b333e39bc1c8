"""One step of a patch network's training: loss, optimizer, learning rate, running mean."""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.learning.patch_batches import Batch
from selfgrasp_nodes.learning.patch_config import PatchTraining, Phase
from selfgrasp_nodes.learning.patch_state import TrainingState
from selfgrasp_nodes.policies.patch.networks import PatchNetwork


def batch_loss(
    network: PatchNetwork, batch: Batch, weights: tuple[float, float], smoothing: float = 0.0
) -> Tensor:
    """Equation 1 of the paper: only the tried angle's bin counts, or its neighbours softly.

    Args:
        network: Judge.
        batch: Of tries.
        weights: Of a failure and of a success.
        smoothing: Labels are moved from 0 and 1 by this.
    """
    target = batch.labels * (1 - 2 * smoothing) + smoothing
    weight = torch.where(batch.labels > 0.5, weights[1], weights[0])
    if network.aligned:
        odds = network.tried(batch.images, batch.frames, batch.tips, batch.bins)
        each = F.binary_cross_entropy_with_logits(odds, target, reduction="none")
    else:
        odds = network(batch.images, batch.frames, batch.tips)
        every = F.binary_cross_entropy_with_logits(
            odds, target[:, None].expand_as(odds), reduction="none"
        )
        each = (every * batch.shares).sum(1)
    return (each * weight).mean()


def make_optimizer(
    network: PatchNetwork, config: PatchTraining, phase: Phase
) -> torch.optim.Optimizer:
    """SGD with momentum 0.9 or AdamW, as the configuration says, at the phase's rate."""
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            network.parameters(), phase.rate, momentum=0.9, weight_decay=config.weight_decay
        )
    # Biases and norms are not pulled to zero.
    plain = [p for p in network.parameters() if p.ndim > 1 and p.shape[0] > 1]
    chosen = {id(p) for p in plain}
    free = [p for p in network.parameters() if id(p) not in chosen]
    groups = [
        {"params": plain, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, phase.rate)


def learning_rate(config: PatchTraining, phase: Phase, step: int, steps: int) -> float:
    """Rate of a step: constant, or a rise over a twentieth of all steps, then half a cosine.

    Args:
        config: Schedule.
        phase: Its highest rate.
        step: Steps made before, over all epochs.
        steps: Of the whole phase.
    """
    if config.schedule == "constant":
        return phase.rate
    warm = min(1.0, (step + 1) / max(1, steps // 20))
    return phase.rate * warm * 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0)))


def follow(state: TrainingState, decay: float) -> None:
    """Move the running mean of the weights a little; faster at the beginning."""
    if state.average is state.network:
        return
    decay = min(decay, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        mine, theirs = state.average.state_dict(), state.network.state_dict()
        for name, value in mine.items():
            if value.dtype.is_floating_point:
                value.lerp_(theirs[name], 1 - decay)
            else:
                value.copy_(theirs[name])


def begin_from_imagenet(network: PatchNetwork, path: Path) -> None:
    """Put ImageNet weights into a network that has a place for them.

    Raises:
        InvalidConfig: If it has none.
        StorageError: If the file cannot be read.
    """
    from selfgrasp_nodes.policies.patch.alexnet import PaperNetwork, load_imagenet
    from selfgrasp_nodes.policies.patch.lite import LiteNetwork, load_lite

    if isinstance(network, PaperNetwork):
        load_imagenet(network, path)
    elif isinstance(network, LiteNetwork):
        load_lite(network, path)
    else:
        raise InvalidConfig("ImageNet weights fit networks 'alexnet' and 'lite' alone")
