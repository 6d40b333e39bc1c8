"""A decision as a picture: what is seen, and the values of both primitives over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selfgrasp_nodes.policies.pixelq.actions import rotation_angle
from selfgrasp_nodes.policies.pixelq.networks import Scored
from selfgrasp_nodes.policies.pixelq.state import RESOLUTION, State
from selfgrasp_nodes.types import Candidate, Primitive

ARROW = 0.10
"""Length of a drawn stroke, and of the line between a grasp's fingers [m]."""


def draw_values(state: State, scored: Scored, file: Path, title: str = "") -> None:
    """Draw colour, height, and for each primitive the best value over all orientations.

    The best action of each primitive is marked, or the one that was made: a line between
    a grasp's fingers, an arrow along a push.

    Args:
        state: What was seen.
        scored: Its actions with their values.
        file: PNG to write.
        title: Above all.
    """
    draw_steps([Step("", state, scored)], file, title)


@dataclass(frozen=True, eq=False)
class Step:
    """A decision to be drawn.

    Attributes:
        caption: Beside its row.
        state: What was seen.
        scored: Its actions with their values.
        made: What was done, marked in place of the best action of its primitive, and in
            the picture; None: not said.
        push_weight: A push comes first if its value times this is larger than a grasp's.
    """

    caption: str
    state: State
    scored: Scored
    made: Candidate | None = None
    push_weight: float = 1.0


def draw_steps(steps: Sequence[Step], file: Path, title: str = "") -> None:
    """Draw decisions that followed each other, one a row; see :func:`draw_values`."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    # A row's axes are square: 3.6 wide, its titles and caption above.
    size = (15, 4.2 * len(steps))
    figure, grid = plt.subplots(len(steps), 4, figsize=size, squeeze=False)
    for axes, step in zip(grid, steps, strict=True):
        _draw_step(figure, axes, step)
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(file, dpi=100 if len(steps) == 1 else 70)
    plt.close(figure)


def _draw_step(figure: Any, axes: Any, step: Step) -> None:
    state, scored = step.state, step.scored
    axes[0].imshow(state.color, origin="lower")
    axes[0].set_title("colour")
    axes[0].set_ylabel(step.caption, fontsize=12)
    heights = axes[1].imshow(np.where(state.known, 100 * state.height, np.nan), origin="lower")
    figure.colorbar(heights, ax=axes[1], fraction=0.046)
    axes[1].set_title("height [cm], white: not seen")
    gray = np.repeat(state.color.mean(2, keepdims=True) * 0.5, 3, 2).astype(np.uint8)
    # Chances have one scale in all steps; returns may be more than 1.
    top = max(1.0, float(scored.value.max())) if len(scored) else 1.0
    for axis, primitive in zip(axes[2:], Primitive, strict=True):
        mine = np.flatnonzero(scored.primitive == primitive)
        axis.imshow(gray, origin="lower")
        name = primitive.name.lower()
        axis.set_title(f"{name}: none")
        if not len(mine):
            continue
        order = mine[np.argsort(scored.value[mine])]  # the best drawn last, on top
        spots = axis.scatter(
            scored.col[order],
            scored.row[order],
            c=scored.value[order],
            s=6,
            vmin=0,
            vmax=top,
            marker="s",
        )
        figure.colorbar(spots, ax=axis, fraction=0.046)
        best = int(order[-1])
        made = step.made if step.made and step.made.primitive is primitive else None
        said = f"{name}: best {scored.value[best]:.2f}"
        if primitive is Primitive.PUSH and step.push_weight != 1.0:
            said += f" x {step.push_weight:g} = {step.push_weight * scored.value[best]:.2f}"
        axis.set_title(f"{said}{', made' if made else ''}", fontsize=10)
        if made:
            for shown in (axis, axes[0]):
                _mark(shown, primitive, made.pixel, made.angle)
        else:
            angle = rotation_angle(primitive, int(scored.rotation[best]))
            _mark(axis, primitive, (int(scored.col[best]), int(scored.row[best])), angle)
    for axis in axes:
        axis.set(xticks=[], yticks=[], xlim=(0, 224), ylim=(0, 224))


def _mark(axis: Any, primitive: Primitive, pixel: tuple[int, int], angle: float) -> None:
    """The action as its hand moves; pixel (column, row)."""
    step = np.array([np.cos(angle), np.sin(angle)]) * ARROW / RESOLUTION
    at = np.array(pixel, float)
    if primitive is Primitive.PUSH:
        axis.annotate(
            "", at + step, at, arrowprops={"arrowstyle": "->", "color": "red", "linewidth": 2}
        )
    else:
        ends = np.stack([at - step / 2, at + step / 2])
        axis.plot(ends[:, 0], ends[:, 1], "r-", linewidth=2)
        axis.plot(*at, "r.")
