"""Curves of a training as in Zeng and others (2018), figures 4 and 5, and its figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from selfgrasp_nodes.learning.metrics import proportion
from selfgrasp_nodes.types import Primitive

WINDOW = 200
"""Tries that a point of the curve looks back on."""

PAPER_TRIES = 2000
"""Tries after which the paper's agent grasps with its best rate, about."""


def grasp_curve(primitive: np.ndarray, success: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """Grasp success over the last grasps, after each try.

    Args:
        primitive: (N,) as ``types.Primitive``.
        success: (N,) bool.
        window: Grasps looked back on; where there are fewer, what is missing counts as
            failed, as in the paper's code.

    Returns:
        (N,) in 0..1.
    """
    grasp = primitive == Primitive.GRASP
    hits = np.cumsum(grasp & success)
    number = np.cumsum(grasp)
    where = np.concatenate([[0], np.flatnonzero(grasp)])
    first = np.maximum(number - window, 0)
    # Hits before the window: up to the try of its last grasp left out.
    before = np.where(first > 0, hits[where[first]], 0)
    return (hits - before) / window


def push_then_grasp_curve(
    episode: np.ndarray,
    index: np.ndarray,
    primitive: np.ndarray,
    success: np.ndarray,
    window: int = WINDOW,
) -> np.ndarray:
    """Success of grasps right after a push, over the last such pushes (figures 4 and 5, dotted).

    Tries of several worlds interleave: what follows is the next of the same episode.

    Returns:
        (N,) in 0..1; early values count what is missing as failed.
    """
    grasped_next = np.zeros(len(primitive), bool)
    followed = np.zeros(len(primitive), bool)
    place = {(int(e), int(i)): n for n, (e, i) in enumerate(zip(episode, index, strict=True))}
    for n in np.flatnonzero(primitive == Primitive.PUSH):
        follower = place.get((int(episode[n]), int(index[n]) + 1))
        if follower is not None and primitive[follower] == Primitive.GRASP:
            followed[follower], grasped_next[follower] = True, bool(success[follower])
    hits, number = np.cumsum(grasped_next), np.cumsum(followed)
    where = np.concatenate([[0], np.flatnonzero(followed)])
    first = np.maximum(number - window, 0)
    before = np.where(first > 0, hits[where[first]], 0)
    return (hits - before) / window


def figures(columns: dict[str, np.ndarray], window: int = WINDOW) -> dict[str, Any]:
    """What a card says of a training's tries: counts, and success over the last ones."""
    primitive, success = columns["primitive"], columns["success"].astype(bool)
    held = columns["held"].astype(bool)
    grasps = np.flatnonzero(primitive == Primitive.GRASP)
    pushes = np.flatnonzero(primitive == Primitive.PUSH)
    last = grasps[-window:]
    rate = proportion(int(success[last].sum()), len(last))
    return {
        "tries": len(primitive),
        "grasps": len(grasps),
        "pushes": len(pushes),
        "pushes_with_change": int(columns["changed"][pushes].astype(bool).sum()),
        "last_grasps": len(last),
        "grasp_success_last": rate.as_dict(),
        "truly_held_last": float(held[last].mean()) if len(last) else None,
        "labels_wrong": int((success[grasps] != held[grasps]).sum()),
    }


def calibration(columns: dict[str, np.ndarray], window: int = 400) -> dict[str, float]:
    """Scale and offset on a grasp's log-odds that fit what came of the last grasps.

    The values are those that the policy gave before it tried, with the weights of
    then: no outcome judges what it taught.
    """
    from sklearn.linear_model import LogisticRegression

    which = np.flatnonzero(columns["primitive"] == Primitive.GRASP)[-window:]
    success = columns["success"][which].astype(bool)
    if len(which) < 50 or success.all() or not success.any():
        return {}
    value = np.clip(columns["value"][which].astype(float), 1e-4, 1 - 1e-4)
    odds = np.log(value / (1 - value))
    fitted = LogisticRegression(C=1.0).fit(odds[:, None], success)
    scale = float(np.clip(fitted.coef_[0, 0], 0.2, 3.0))
    return {"grasp_scale": scale, "grasp_offset": float(fitted.intercept_[0])}


def plot(columns: dict[str, np.ndarray], file: Path, title: str = "") -> None:
    """Draw the curves into a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    tries = np.arange(1, len(columns["primitive"]) + 1)
    success = columns["success"].astype(bool)
    figure, axis = plt.subplots(figsize=(7, 4))
    curve = grasp_curve(columns["primitive"], success)
    pushed = push_then_grasp_curve(
        columns["episode"], columns["index"], columns["primitive"], success
    )
    axis.plot(tries, 100 * curve, label=f"grasp success, last {WINDOW} grasps")
    axis.plot(tries, 100 * pushed, ":", label=f"push, then grasp success, last {WINDOW}")
    axis.axhline(80, color="0.8", linewidth=1)
    axis.set(xlabel="tries", ylabel="[%]", ylim=(0, 100), title=title)
    axis.legend(loc="lower right", fontsize="small")
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    plt.close(figure)
