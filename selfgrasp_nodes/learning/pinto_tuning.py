"""Settings of the network's training, chosen as those of the other learners are.

As many settings as kNN and SVMs may try (``classical.SETTINGS``), each trained on the same
tries and judged by balanced accuracy at its best threshold on the same held-out episodes.
They are trained on the first tries of stage 0 alone, which takes a quarter of the time; what
is chosen is then trained on all.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from selfgrasp_nodes.learning.classical import SETTINGS, judged
from selfgrasp_nodes.learning.patch_config import PatchTraining
from selfgrasp_nodes.learning.patch_data import PatchTries, held_out
from selfgrasp_nodes.learning.patch_train import judge_tries
from selfgrasp_nodes.policies.patch.networks import PatchNetwork

TRIES = 10_000
"""Of stage 0, that each setting is trained on."""

RATES = (0.0015, 0.003, 0.006, 0.012)
DECAYS = (0.01, 0.05)
"""Highest learning rates and weight decays; their pairs are the settings."""


def settings() -> dict[str, dict[str, float]]:
    """By name: learning rate and weight decay."""
    pairs = list(product(RATES, DECAYS))
    assert len(pairs) == SETTINGS
    return {f"rate {r:g}, decay {d:g}": {"rate": r, "decay": d} for r, d in pairs}


def changed(config: PatchTraining, setting: dict[str, float]) -> PatchTraining:
    """The training with a setting in place of its own."""
    base = config.base.model_copy(update={"rate": setting["rate"]})
    return config.model_copy(update={"base": base, "weight_decay": setting["decay"]})


def is_own(config: PatchTraining, setting: dict[str, float]) -> bool:
    """Whether a setting is the configuration's own."""
    return changed(config, setting) == config


def validated(
    members: list[PatchNetwork],
    tries: PatchTries,
    config: PatchTraining,
    pair: tuple[float, float],
) -> dict[str, float]:
    """Threshold and balanced accuracy on the held-out episodes of what was trained on.

    Args:
        members: Trained on the others of ``tries``.
        tries: All.
        config: Says which are held out.
        pair: Patch and crop side [m].
    """
    validation = tries.take(np.flatnonzero(held_out(tries.episode, config.validation)))
    odds = judge_tries(members, validation, pair)
    found = judged(1 / (1 + np.exp(-odds)), validation.success)
    return {"threshold": found["threshold"], "held_out_accuracy": found["balanced_accuracy"]}


def best(rows: dict[str, dict[str, Any]]) -> str:
    """The name of the setting with the best accuracy on held-out episodes."""
    return max(rows, key=lambda name: float(rows[name]["held_out_accuracy"]))
