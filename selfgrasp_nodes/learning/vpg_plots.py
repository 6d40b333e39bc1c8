"""Results of the protocols as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfgrasp_nodes.learning.vpg_metrics import COMPLETION, MEASURES

THEIRS = "0.55"
"""Colour of the paper's figures."""


def plot(results: dict[str, Any], folder: Path) -> list[Path]:
    """Draw all rows, and where there are scenes of a file, each scene.

    Returns:
        The files: ``in_all.png`` and ``by_scene.png``.
    """
    import matplotlib

    matplotlib.use("Agg")
    figures = {"in_all": _in_all(results)}
    if any(row["by_scene"] for row in results["rows"].values()):
        figures["by_scene"] = _by_scene(results["rows"])
    files = []
    for name, figure in figures.items():
        files.append(folder / f"{name}.png")
        figure.savefig(files[-1], dpi=110, bbox_inches="tight")
        figure.clear()
    return files


def _in_all(results: dict[str, Any]) -> Any:
    import matplotlib.pyplot as plt

    rows, paper = results["rows"], results["paper"]
    names = [*rows, *(f"paper: {name}" for name in paper)]
    figure, axes = plt.subplots(
        1, len(MEASURES), figsize=(11, 1.2 + 0.32 * len(names)), sharey=True
    )
    for place, (measure, axis) in enumerate(zip(MEASURES, axes, strict=True)):
        for line, row in enumerate(rows.values()):
            _point(axis, row[measure], line, "o", "C0", "all runs")
            if measure != COMPLETION:
                done = row["completed_runs"][measure]
                _point(axis, done, line + 0.25, "s", "C1", "completed runs")
        theirs = [100 * figures[place] for figures in paper.values()]
        axis.plot(theirs, range(len(rows), len(names)), "D", c=THEIRS, label="paper")
        axis.set(xlabel=f"{measure.replace('_', ' ')} [%]")
        axis.set_xlim(-2, 102)
        axis.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    handles = dict(zip(*reversed(axes[1].get_legend_handles_labels()), strict=True))
    axes[1].legend(handles.values(), handles.keys(), fontsize=8, loc="lower left")
    return figure


def _by_scene(rows: dict[str, Any]) -> Any:
    """A field of scenes and rows for each measure; intervals are in the tables."""
    import matplotlib.pyplot as plt
    import numpy as np

    scenes = list(dict.fromkeys(scene for row in rows.values() for scene in row["by_scene"]))
    side = (4.0 + 0.55 * len(rows), 2.0 + len(MEASURES) * (0.5 + 0.34 * len(scenes)))
    figure, axes = plt.subplots(len(MEASURES), 1, figsize=side, sharex=True, layout="constrained")
    for measure, axis in zip(MEASURES, axes, strict=True):
        field = np.full((len(scenes), len(rows)), np.nan)
        for column, row in enumerate(rows.values()):
            for line, scene in enumerate(scenes):
                value = row["by_scene"].get(scene, {}).get(measure, {}).get("value")
                if value is not None:
                    field[line, column] = 100 * value
                    dark = "k" if value > 0.45 else "w"
                    axis.text(column, line, f"{100 * value:.0f}", ha="center", va="center", c=dark)
        image = axis.imshow(field, vmin=0, vmax=100, cmap="viridis", aspect="auto")
        axis.set_yticks(range(len(scenes)), scenes)
        axis.set_title(f"{measure.replace('_', ' ')} [%], all runs", fontsize=10)
        figure.colorbar(image, ax=axis, pad=0.01)
    axes[-1].set_xticks(range(len(rows)), list(rows), rotation=45, ha="right")
    return figure


def _point(
    axis: Any, estimate: dict[str, Any], y: float, marker: str, color: str, label: str
) -> None:
    """A value with its interval; nothing where there is none."""
    value, low, high = (estimate[key] for key in ("value", "low", "high"))
    if value is None:
        return
    error = [[100 * max(value - low, 0)], [100 * max(high - value, 0)]]
    axis.errorbar(100 * value, y, xerr=error, fmt=marker, ms=5, c=color, capsize=2, label=label)
