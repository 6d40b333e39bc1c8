"""Trains patch networks: resumable at every epoch, repeatable by seed.

Every draw of epoch e of member m follows from (seed, m, e), so that a training
that was interrupted gives the network that it would have given.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfgrasp_nodes.learning.patch_batches import (
    Batch,
    epoch_order,
    make_batch,
    outcome_weights,
)
from selfgrasp_nodes.learning.patch_config import PatchTraining, Phase
from selfgrasp_nodes.learning.patch_data import HELD_OUT, TRAINING, PatchTries, held_out
from selfgrasp_nodes.learning.patch_metrics import (
    Calibration,
    balanced_accuracy,
    best_threshold,
    calibrate,
    cross_fitted,
    ranking,
    report,
)
from selfgrasp_nodes.learning.patch_state import TrainingState
from selfgrasp_nodes.learning.patch_step import (
    batch_loss,
    begin_from_imagenet,
    follow,
    learning_rate,
    make_optimizer,
)
from selfgrasp_nodes.policies.patch.networks import PatchNetwork, make_network

Sizes = tuple[float, float]
"""Patch side and crop side [m]."""


@dataclass(frozen=True)
class Step:
    """Where a training stands, for progress and curves.

    Attributes:
        member: Which network of the ensemble.
        epoch: Epochs done, of ``epochs``.
        epochs: In all.
        done: Share of the current epoch that is done, 0..1.
        numbers: Of the epoch that has just ended; empty within one.
    """

    member: int
    epoch: int
    epochs: int
    done: float
    numbers: dict[str, float]


@dataclass(frozen=True, eq=False)
class Trained:
    """An ensemble and how good it is.

    Attributes:
        members: Networks in evaluation mode.
        calibration: Of the mean of their log-odds.
        metrics: On the held-out episodes, by ``patch_metrics.cross_fitted``.
        history: Of each member, by epoch.
    """

    members: list[PatchNetwork]
    calibration: Calibration
    metrics: dict[str, Any]
    history: list[list[dict[str, float]]]


def train(
    tries: PatchTries,
    sizes: Sizes,
    config: PatchTraining,
    out: Path,
    *,
    start: list[dict[str, Tensor]] | None = None,
    judged_on: PatchTries | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Trained:
    """Train an ensemble on tries.

    Args:
        tries: All; held-out episodes are put aside here.
        sizes: Patch and crop side [m].
        config: How.
        out: Folder for the state after each epoch.
        start: Weights of each member of the stage before, to be fine-tuned; from
            scratch where None.
        judged_on: Tries that no member has seen, to judge and calibrate on in place of the
            held-out episodes, which are put aside nevertheless.
        on_step: Called now and then, and after each epoch.

    Raises:
        NothingToLearn: If either part holds tries of one outcome only.
        StorageError: If ``out`` holds another training's state.
    """
    torch.set_num_threads(config.threads)
    held = held_out(tries.episode, config.validation)
    training, validation = tries.take(np.flatnonzero(~held)), tries.take(np.flatnonzero(held))
    validation = validation if judged_on is None else judged_on
    tries.check()
    training.check(TRAINING)
    validation.check(HELD_OUT)
    identity = {
        "configuration": config.model_dump(mode="json", exclude={"threads"}),
        "data": tries.digest,
        "start": _digest(start),
        **({} if judged_on is None else {"judged on": judged_on.digest}),
    }
    members, histories = [], []
    for member in range(config.members):
        network, history = _train_member(
            training, validation, sizes, config, out, identity, member, start, on_step
        )
        members.append(network)
        histories.append(history)
    odds = judge_tries(members, validation, sizes)
    random = validation.stage == 0
    calibration = calibrate(odds, validation.success, random)
    # Reported by folds: nothing is judged by a number that was fitted on it.
    probability, predicted = cross_fitted(odds, validation.success, validation.episode, random)
    metrics = {
        "held_out": report(validation.success, probability, predicted, validation.episode),
        "training_tries": len(training),
        "training_positives": int(training.success.sum()),
    }
    return Trained(members, calibration, metrics, histories)


def judge_tries(
    members: list[PatchNetwork], tries: PatchTries, sizes: Sizes, batch: int = 256
) -> np.ndarray:
    """(N,) mean log-odds of each try at its own angle."""
    total = np.zeros(len(tries))
    with torch.inference_mode():
        for network in members:
            network.eval()
            for first in range(0, len(tries), batch):
                index = np.arange(first, min(first + batch, len(tries)))
                shown = make_batch(tries, index, network.aligned, sizes)
                odds = network.tried(shown.images, shown.frames, shown.tips, shown.bins)
                total[index] += odds.double().numpy()
    return total / len(members)


def _train_member(
    training: PatchTries,
    validation: PatchTries,
    sizes: Sizes,
    config: PatchTraining,
    out: Path,
    identity: dict[str, Any],
    member: int,
    start: list[dict[str, Tensor]] | None,
    on_step: Callable[[Step], None] | None,
) -> tuple[PatchNetwork, list[dict[str, float]]]:
    torch.manual_seed(config.seed * 1000 + member)
    network = make_network(**config.network)
    if start is not None:
        network.load_state_dict(start[member % len(start)])
    elif config.imagenet:
        begin_from_imagenet(network, Path(config.imagenet))
    phase = config.base if start is None else config.stage
    state = TrainingState(
        network,
        copy.deepcopy(network) if config.average else network,
        make_optimizer(network, config, phase),
        0,
        0,
        [],
    )
    file = out / f"member{member}.state.safetensors"
    state.load(file, identity)
    for epoch in range(state.epoch, phase.epochs):
        loss = _epoch(state, training, sizes, config, phase, member, epoch, on_step)
        odds = judge_tries([state.average], validation, sizes)
        numbers = {"loss": loss, "rate": state.optimizer.param_groups[0]["lr"]}
        numbers |= _numbers(odds, validation)
        state.history.append(numbers)
        state.epoch = epoch + 1
        state.save(file, identity)
        if on_step is not None:
            on_step(Step(member, epoch + 1, phase.epochs, 0.0, numbers))
    state.average.eval()
    return state.average, state.history


def _epoch(
    state: TrainingState,
    training: PatchTries,
    sizes: Sizes,
    config: PatchTraining,
    phase: Phase,
    member: int,
    epoch: int,
    on_step: Callable[[Step], None] | None,
) -> float:
    """One pass over the data; the mean loss."""
    rng = np.random.default_rng([config.seed, member, epoch])
    torch.manual_seed(int(rng.integers(2**31)))
    network = state.network
    network.train()
    order = epoch_order(training, config, rng)
    steps = max(1, len(order) // config.batch)
    weights = outcome_weights(training, config)
    total = 0.0
    for number, batch in enumerate(_batches(training, order, sizes, config, network, rng, steps)):
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(config, phase, state.step, steps * phase.epochs)
        loss = batch_loss(network, batch, weights, config.smoothing)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        state.optimizer.step()
        state.step += 1
        follow(state, config.average)
        total += float(loss.detach())
        if on_step is not None and number % 10 == 0:
            on_step(Step(member, epoch, phase.epochs, (number + 1) / steps, {}))
    return total / steps


def _batches(
    training: PatchTries,
    order: np.ndarray,
    sizes: Sizes,
    config: PatchTraining,
    network: PatchNetwork,
    rng: np.random.Generator,
    steps: int,
) -> Iterator[Batch]:
    for number in range(steps):
        index = order[number * config.batch : (number + 1) * config.batch]
        yield make_batch(
            training, index, network.aligned, sizes, config.augment, rng, config.soft_angle
        )


def _numbers(odds: np.ndarray, validation: PatchTries) -> dict[str, float]:
    """An epoch's measures on held-out random tries (all, where there are none)."""
    index = np.flatnonzero(validation.stage == 0)
    chosen = validation.success[index]
    if not len(index) or chosen.all() or not chosen.any():
        index = np.arange(len(validation))
    success = validation.success[index]
    probability = 1 / (1 + np.exp(-odds[index]))
    best = best_threshold(probability, success)
    return {
        "roc_area": ranking(success, probability),
        "balanced_accuracy": balanced_accuracy(success, probability >= 0.5),
        "best_balanced_accuracy": balanced_accuracy(success, probability >= best),
    }


def _digest(start: list[dict[str, Tensor]] | None) -> str:
    if start is None:
        return ""
    found = hashlib.sha256()
    for weights in start:
        for name in sorted(weights):
            found.update(name.encode())
            found.update(weights[name].detach().contiguous().numpy().tobytes())
    return found.hexdigest()
