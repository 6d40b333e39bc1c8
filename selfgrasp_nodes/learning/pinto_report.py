"""The protocol's results as text and as plots, the paper's figures beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfgrasp_nodes.learning.pinto import PAPER

Row = tuple[str, ...]


def tables(results: dict[str, Any]) -> list[tuple[str, Row, list[Row]]]:
    """(title, headings, rows) of each part that there is."""
    found = []
    if "table1" in results:
        found.append(_table1(results["table1"]))
    if "table2" in results:
        found.append(_accuracies("Table II: balanced accuracy, novel objects", results, "table2"))
    if "figure8" in results:
        found.append(_figure8(results["figure8"]))
    if "ablations" in results:
        found.append(
            _accuracies("Ablations: balanced accuracy, novel objects", results, "ablations")
        )
    return found


def markdown(results: dict[str, Any], about: str) -> str:
    """The tables as Markdown.

    Args:
        results: Of ``Pinto.run``.
        about: Robot, views, data: what the tables are about.
    """
    lines = [about, ""]
    for title, headings, rows in tables(results):
        lines += [f"### {title}", "", _line(headings), _line(("---",) * len(headings))]
        lines += [*(_line(row) for row in rows), ""]
    return "\n".join(lines)


def plot_figure8(result: dict[str, Any], file: Path) -> None:
    """Accuracy against the number of tries, with the paper's."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
    counts = [int(count) for count in result]
    for axis, name in zip(axes, ("novel", "seen"), strict=True):
        rows = [result[str(count)][name]["balanced_accuracy"] for count in counts]
        values = [row["value"] for row in rows]
        below = [row["value"] - row["low"] for row in rows]
        above = [row["high"] - row["value"] for row in rows]
        axis.errorbar(counts, values, [below, above], marker="o", capsize=3, label="here")
        paper = PAPER["figure8"][name]
        axis.plot([int(c) for c in paper], list(paper.values()), "s--", c="0.5", label="paper")
        axis.axhline(0.5, c="0.8", lw=1)
        axis.set(title=f"{name} objects", xlabel="random tries", xscale="log", ylim=(0.4, 1))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("balanced accuracy")
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    plt.close(figure)


def _table1(result: dict[str, Any]) -> tuple[str, Row, list[Row]]:
    rows: list[Row] = []
    for name, row in result.items():
        paper = PAPER["table1"][name]
        rows.append(
            (
                name,
                str(row["tries"]),
                str(row["positives"]),
                _percent(row["rate"]),
                f"{paper['tries']}, {100 * paper['positives'] / paper['tries']:.1f}",
            )
        )
    headings: Row = ("tries", "number", "positive", "rate [%]", "paper: number, rate [%]")
    return "Table I: tries", headings, rows


def _accuracies(title: str, results: dict[str, Any], part: str) -> tuple[str, Row, list[Row]]:
    rows: list[Row] = []
    for name, row in results[part].items():
        paper = PAPER[part].get(name)
        rows.append(
            (name, _percent(row["balanced_accuracy"]), f"{100 * paper:.1f}" if paper else "")
        )
    return title, ("method", "accuracy [%]", "paper [%]"), rows


def _figure8(result: dict[str, Any]) -> tuple[str, Row, list[Row]]:
    rows = [
        (count, *(_percent(row[name]["balanced_accuracy"]) for name in ("novel", "seen")))
        for count, row in result.items()
    ]
    return "Figure 8: accuracy by number of tries", ("tries", "novel [%]", "seen [%]"), rows


def _percent(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None:
        return "-"
    value, low, high = (100 * estimate[key] for key in ("value", "low", "high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def _line(cells: Row) -> str:
    return "| " + " | ".join(cells) + " |"
