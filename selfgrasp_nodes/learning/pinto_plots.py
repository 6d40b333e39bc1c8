"""The protocol's results as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfgrasp_nodes.learning.pinto_paper import PAPER

HERE, THEIRS = "#1f6f8b", "0.55"
"""Colours of what is measured here, and of the paper's."""


def plot(results: dict[str, Any], folder: Path) -> list[Path]:
    """Draw every part that there is.

    Returns:
        The files.
    """
    import matplotlib

    matplotlib.use("Agg")
    files = []
    for name, draw in (
        ("table2", _table2),
        ("figure8", _figure8),
        ("isolation", _isolation),
        ("clutter", _clutter),
    ):
        if name in results:
            figure = draw(results)
            files.append(folder / f"{name}.png")
            figure.tight_layout()
            figure.savefig(files[-1], dpi=120)
            figure.clear()
    return files


def _table2(results: dict[str, Any]) -> Any:
    table = results["table2"]
    names = [name for name in PAPER["table2"] if name in table]
    rows = [table[name]["balanced_accuracy"] for name in names]
    figure, axis = _axis(len(names))
    _bars(axis, names, rows, [PAPER["table2"][name] for name in names])
    if "ceiling" in results:
        found = results["ceiling"]
        low, high = (found[f"balanced_{side}"]["value"] for side in ("lower", "upper"))
        if low is not None and high is not None:
            axis.axvspan(100 * low, 100 * high, color="C1", alpha=0.25, label="ceiling")
    axis.set(xlim=(45, 100), xlabel="balanced accuracy on novel objects [%]")
    _legend(axis)
    return figure


def _figure8(results: dict[str, Any]) -> Any:
    import matplotlib.pyplot as plt

    result = results["figure8"]
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
    counts = sorted(int(count) for count in result)
    for axis, name in zip(axes, ("novel", "seen"), strict=True):
        rows = [result[str(count)][name]["balanced_accuracy"] for count in counts]
        values, below, above = _spans(rows)
        axis.errorbar(counts, values, [below, above], marker="o", capsize=3, c=HERE, label="here")
        paper = PAPER["figure8"][name]
        theirs = [100 * value for value in paper.values()]
        axis.plot([int(c) for c in paper], theirs, "s--", c=THEIRS, label="paper")
        axis.axhline(50, c="0.8", lw=1)
        axis.set(title=f"{name} objects", xlabel="random tries", xscale="log", ylim=(40, 100))
        # Named where the paper measured: a logarithm's own ticks would overlap.
        axis.set_xticks([int(c) for c in paper], [f"{int(c) // 1000}K" for c in paper])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("balanced accuracy [%]")
    axes[0].legend(loc="lower right")
    return figure


def _isolation(results: dict[str, Any]) -> Any:
    names, rows, paper = [], [], []
    for method, sets in results["isolation"].items():
        for name, row in sets.items():
            names.append(f"{method}: {name}")
            rows.append(row["rate"])
            paper.append(PAPER["isolation"].get(method, {}).get(name))
    figure, axis = _axis(len(names))
    _bars(axis, names, rows, paper)
    axis.set(xlim=(0, 100), xlabel="single objects grasped at the first try [%]")
    _legend(axis)
    return figure


def _clutter(results: dict[str, Any]) -> Any:
    methods = results["clutter"]
    rows = [sets["novel"]["to_clear"] for sets in methods.values()]
    figure, axis = _axis(len(methods))
    _bars(axis, list(methods), rows, [PAPER["clutter"].get(m) for m in methods], scale=1)
    axis.set(xlim=(0, None), xlabel="tries to clear ten novel objects (over cleared clutters)")
    for place, row in enumerate(rows):
        if row["value"] is None:
            axis.text(0.3, place, "none cleared", va="center", fontsize=8)
    _legend(axis)
    return figure


def _legend(axis: Any) -> None:
    """Above the axes, where no bar is."""
    axis.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=8, frameon=False)


def _axis(count: int) -> tuple[Any, Any]:
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(7.5, 1.0 + 0.36 * count))


def _bars(
    axis: Any,
    names: list[str],
    rows: list[dict[str, Any]],
    paper: list[float | None],
    scale: float = 100,
) -> None:
    """Horizontal bars with intervals, the paper's figures as ticks; the first on top."""
    places = range(len(names))
    values, below, above = _spans(rows, scale)
    axis.barh(places, values, xerr=[below, above], color=HERE, capsize=3, label="here")
    there = [(scale * p, i) for i, p in zip(places, paper, strict=True) if p is not None]
    if there:
        x, y = zip(*there, strict=True)
        axis.plot(x, y, "|", ms=16, mew=3, c=THEIRS, label="paper")
    axis.set_yticks(places, names)
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)


def _spans(
    rows: list[dict[str, Any]], scale: float = 100
) -> tuple[list[float], list[float], list[float]]:
    """Values, and how far their intervals reach below and above; 0 where there is none."""

    def number(row: dict[str, Any], key: str) -> float:
        found = row[key] if row[key] is not None else row["value"]
        return scale * (found if found is not None else 0.0)

    values = [number(row, "value") for row in rows]
    below = [max(v - number(row, "low"), 0.0) for v, row in zip(values, rows, strict=True)]
    above = [max(number(row, "high") - v, 0.0) for v, row in zip(values, rows, strict=True)]
    return values, below, above
