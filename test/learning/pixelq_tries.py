"""Made-up tries of pixel values, and a small configuration."""

from __future__ import annotations

import numpy as np
import pytest

from selfgrasp_nodes.learning.pixelq_config import (
    Clutter,
    Explore,
    PixelqTraining,
    Replay,
    TargetOptions,
)
from selfgrasp_nodes.learning.pixelq_store import PixelTry, encode_state
from selfgrasp_nodes.policies.pixelq.state import State
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.types import Primitive

CONFIG = PixelqTraining(
    network={"name": "window", "widths": [0.11, 0.08], "filters": 8, "hidden": 16},
    loss="probability",
    target=TargetOptions(bootstrap="push", push_reward=0.0, every=5),
    replay=Replay(batch=16, surprising=0.25),
    explore=Explore(start=0.5, end=0.1),
    clutter=(Clutter(objects=(3, 4)),),
    tries=12,
    steps=2,
    chunk=3,
    save=6,
    workers=1,
)


@pytest.fixture(scope="session")
def robot():
    return load_robot("ur5_rg2")


def a_state(seed: int, turned: bool = False) -> State:
    """A block of 10 x 5 cm, along x or, ``turned``, along y, somewhere near the middle."""
    rng = np.random.default_rng(seed)
    height = np.zeros((224, 224), np.float32)
    color = np.full((224, 224, 3), 40, np.uint8)
    r, c = rng.integers(90, 134, 2)
    half = (25, 12) if turned else (12, 25)
    height[r - half[0] : r + half[0], c - half[1] : c + half[1]] = 0.05
    color[height > 0] = (200, 60, 60)
    return State(height, np.ones((224, 224), bool), color)


def a_try(
    number: int,
    primitive: Primitive = Primitive.GRASP,
    turned: bool = False,
    success: bool | None = None,
    changed: bool | None = None,
) -> PixelTry:
    """A try at the block's middle, with the fingers (or the stroke) along y."""
    state, after = a_state(number, turned), a_state(number + 1, turned)
    rows, cols = np.nonzero(state.occupied)
    good = not turned if success is None else success
    row = int(rows.mean()) - (40 if primitive is Primitive.PUSH else 0)
    return PixelTry(
        episode=0,
        index=number,
        primitive=int(primitive),
        angle=np.pi / 2,
        rotation=4,
        row=row,
        col=int(cols.mean()),
        opening=0,
        success=good,
        changed=good if changed is None else changed,
        code="SUCCESS" if good else "MISSED",
        value=0.5,
        version=0,
        objects=1,
        held=good,
        before=encode_state(state),
        after=encode_state(after),
    )
