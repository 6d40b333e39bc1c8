"""The ablation of pretraining: one network, from ImageNet or from scratch, all else equal.

Both are trained whole (nothing frozen) on the same tries with the same settings, on
colour alone, as ImageNet has nothing else. The tries are few and the picture small:
what is asked is the difference between the two, not the best figure.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from selfgrasp_nodes.learning.patch_config import PatchTraining
from selfgrasp_nodes.simulation.meshes import cache_folder

TRIES = 10_000
"""Of stage 0, that both see."""

EPOCHS, RATE = 6, 0.001
"""Of both trainings."""


def weights_file() -> Path:
    """Where ``tools/imagenet_weights.py`` leaves the weights: beside the meshes' cache."""
    return cache_folder().parent / "efficientnet_lite0.safetensors"


def training(config: PatchTraining, pretrained: bool) -> PatchTraining:
    """The settings of one of the two.

    Args:
        config: The default training.
        pretrained: Whether the trunk begins from ImageNet.
    """
    changes = {
        "network": {"name": "lite"},
        "base": {"epochs": EPOCHS, "rate": RATE},
        "imagenet": str(weights_file()) if pretrained else "",
        "members": 1,
    }
    changed: PatchTraining = PatchTraining.model_validate({**config.model_dump(), **changes})
    return changed


def describe() -> dict[str, Any]:
    """What the ablation is, for the results: settings, and the digest of the weights."""
    file = weights_file()
    digest = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
    return {"tries": TRIES, "epochs": EPOCHS, "rate": RATE, "imagenet": digest}
