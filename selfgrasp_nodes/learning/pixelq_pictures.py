"""A decision as a picture: what is seen, and the values of both primitives over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from selfgrasp_nodes.policies.pixelq.actions import rotation_angle
from selfgrasp_nodes.policies.pixelq.networks import Scored
from selfgrasp_nodes.policies.pixelq.state import RESOLUTION, State
from selfgrasp_nodes.types import Primitive

ARROW = 0.10
"""Length of a drawn stroke, and of the line between a grasp's fingers [m]."""


def draw_values(state: State, scored: Scored, file: Path, title: str = "") -> None:
    """Draw colour, height, and for each primitive the best value over all orientations.

    The best action of each primitive is marked: a line between a grasp's fingers, an
    arrow along a push.

    Args:
        state: What was seen.
        scored: Its actions with their values.
        file: PNG to write.
        title: Above all.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(15, 4.2))
    axes[0].imshow(state.color, origin="lower")
    axes[0].set_title("colour")
    axes[1].imshow(np.where(state.known, 100 * state.height, np.nan), origin="lower")
    axes[1].set_title("height [cm], white: not seen")
    gray = np.repeat(state.color.mean(2, keepdims=True) * 0.5, 3, 2).astype(np.uint8)
    for axis, primitive in zip(axes[2:], Primitive, strict=True):
        mine = np.flatnonzero(scored.primitive == primitive)
        axis.imshow(gray, origin="lower")
        name = primitive.name.lower()
        axis.set_title(f"{name}: none")
        if not len(mine):
            continue
        order = mine[np.argsort(scored.value[mine])]  # the best drawn last, on top
        spots = axis.scatter(
            scored.col[order], scored.row[order], c=scored.value[order], s=6, vmin=0, marker="s"
        )
        figure.colorbar(spots, ax=axis, fraction=0.046)
        best = int(order[-1])
        axis.set_title(f"{name}: best {scored.value[best]:.2f}")
        _mark(axis, primitive, scored, best)
    for axis in axes:
        axis.set(xticks=[], yticks=[], xlim=(0, 224), ylim=(0, 224))
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(file, dpi=100)
    plt.close(figure)


def _mark(axis: Any, primitive: Primitive, scored: Scored, best: int) -> None:
    """The action as its hand moves."""
    angle = rotation_angle(primitive, int(scored.rotation[best]))
    step = np.array([np.cos(angle), np.sin(angle)]) * ARROW / RESOLUTION
    at = np.array([scored.col[best], scored.row[best]], float)
    if primitive is Primitive.PUSH:
        axis.annotate(
            "", at + step, at, arrowprops={"arrowstyle": "->", "color": "red", "linewidth": 2}
        )
    else:
        ends = np.stack([at - step / 2, at + step / 2])
        axis.plot(ends[:, 0], ends[:, 1], "r-", linewidth=2)
        axis.plot(*at, "r.")
