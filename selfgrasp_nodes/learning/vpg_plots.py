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
    import matplotlib.pyplot as plt

    scenes = list(dict.fromkeys(scene for row in rows.values() for scene in row["by_scene"]))
    height = 1.2 + len(scenes) * (0.2 + 0.13 * len(rows))
    figure, axis = plt.subplots(figsize=(8, height))
    thick = 0.8 / len(rows)
    for number, (name, row) in enumerate(rows.items()):
        for line, scene in enumerate(scenes):
            if scene in row["by_scene"]:
                place = line + (number - (len(rows) - 1) / 2) * thick
                estimate = row["by_scene"][scene][COMPLETION]
                _point(axis, estimate, place, "o", f"C{number}", name)
    axis.set_yticks(range(len(scenes)), scenes)
    axis.set_ylim(len(scenes) - 0.5, -0.5)
    axis.set(xlim=(-2, 102), xlabel="completion [%]")
    axis.grid(axis="x", alpha=0.3)
    handles = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    axis.legend(
        handles.values(), handles.keys(), fontsize=8, loc="upper left", bbox_to_anchor=(1, 1)
    )
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
