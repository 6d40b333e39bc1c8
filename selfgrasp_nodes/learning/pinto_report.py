"""The protocol's results as text, the paper's figures beside them."""

from __future__ import annotations

from typing import Any

from selfgrasp_nodes.learning.pinto import Amounts
from selfgrasp_nodes.learning.pinto_paper import PAPER
from selfgrasp_nodes.learning.tables import Row, Table, number, percent
from selfgrasp_nodes.learning.tables import markdown as tables_as_markdown


def tables(results: dict[str, Any], scene: str = "") -> list[Table]:
    """One table of each part that there is.

    Args:
        results: Of ``Pinto.run``.
        scene: Robot and views, as :func:`scene` names them; in every title.
    """
    return [
        (f"{title} ({scene})" if scene else title, headings, rows)
        for title, headings, rows in _tables(results)
    ]


def scene(curriculum: Any, views: tuple[str, ...]) -> str:
    """Robot and the cameras that patches came from, in a few words."""
    return f"{curriculum.robot}, {', '.join(views)}"


def _tables(results: dict[str, Any]) -> list[Table]:
    found: list[Table] = []
    if "table1" in results:
        found.append(_table1(results["table1"]))
    if "table2" in results:
        found.append(_table2(results))
    elif "ceiling" in results:
        found.append(("Ceiling of any classifier", _ACCURACY, [_ceiling(results["ceiling"])]))
    if "figure8" in results:
        found.append(_figure8(results["figure8"]))
    if "tuning" in results:
        found.append(_tuning(results["tuning"]))
    for part, title in (
        ("stages", "Stages"),
        ("ablations", _ablations_title(results)),
        ("pretraining", "Pretraining on ImageNet: a network on colour alone"),
    ):
        if part in results:
            rows = _accuracies(results[part], PAPER.get(part, {}))
            found.append((f"{title}: balanced accuracy, novel objects", _ACCURACY, rows))
    if "isolation" in results:
        found.append(_isolation(results["isolation"]))
    if "clutter" in results:
        found.append(_clutter(results["clutter"]))
    return found


def _ablations_title(results: dict[str, Any]) -> str:
    """With the number of tries that the trainings really saw: a small run has fewer."""
    rows = results.get("ablations", {}).values()
    count = max((row.get("training_tries", 0) for row in rows), default=0)
    return f"Ablations on the first {count} random tries"


def about(curriculum: Any, views: tuple[str, ...], amounts: Amounts) -> str:
    """Robot, views, seeds and counts that the tables are about, in a paragraph.

    Args:
        curriculum: See ``curriculum.Curriculum``.
        views: Cameras that patches came from.
        amounts: Of the simulated parts.
    """
    seeds = ", ".join(str(stage.seed) for stage in curriculum.stages)
    test = f", test set {curriculum.test.seed}" if curriculum.test else ""
    return (
        f"Robot {curriculum.robot}, patches from {', '.join(views)}. Seeds: stages {seeds}{test}, "
        f"training {curriculum.settings().seed}, robot tests and ceiling {amounts.seed}. "
        "In brackets: 95 % intervals, over episodes for accuracies (and over the objects next to "
        "the fingers, which are few), Wilson's for rates, over runs for means. Where the hand was "
        "blocked something stopped it on its way down."
    )


def markdown(results: dict[str, Any], paragraph: str, scene: str = "") -> str:
    """The tables as Markdown.

    Args:
        results: Of ``Pinto.run``.
        paragraph: What they are about.
        scene: See :func:`tables`.
    """
    return tables_as_markdown(tables(results, scene), paragraph)


_ACCURACY: Row = (
    "method",
    "accuracy [%]",
    "over objects",
    "ROC area [%]",
    "tries (positive)",
    "hand not blocked [%]",
    "tries",
    "paper [%]",
)


def _table1(result: dict[str, Any]) -> Table:
    rows: list[Row] = []
    for name, row in result.items():
        paper = PAPER["table1"][name]
        share = 100 * paper["positives"] / paper["tries"]
        shares = (percent(row["rate"]), percent(row["blocked"]))
        counts = (str(row["tries"]), str(row["positives"]), *shares)
        rows.append((name, *counts, f"{paper['tries']}, {share:.1f}"))
    headings: Row = (
        "tries",
        "number",
        "positive",
        "rate [%]",
        "blocked [%]",
        "paper: number, rate [%]",
    )
    return "Table I: tries", headings, rows


def _table2(results: dict[str, Any]) -> Table:
    table = results["table2"]
    # In the paper's order, whatever ended first.
    order = [*PAPER["table2"], *(name for name in table if name not in PAPER["table2"])]
    rows = _accuracies({n: table[n] for n in order if n in table}, PAPER["table2"])
    if "ceiling" in results:
        rows.append(_ceiling(results["ceiling"]))
    return "Table II: balanced accuracy, novel objects", _ACCURACY, rows


def _ceiling(found: dict[str, Any]) -> Row:
    low, high = found["balanced_lower"], found["balanced_upper"]
    share = found["positives"]["value"]
    count = f"{found['tries']} x {found['repeats']}"
    count += f" ({100 * share:.1f} %)" if share is not None else ""
    return "ceiling: between", f"{percent(low)} and {percent(high)}", "", "", count, "", "", ""


def _accuracies(table: dict[str, Any], paper: dict[str, float]) -> list[Row]:
    rows: list[Row] = []
    for name, row in table.items():
        theirs = f"{100 * paper[name]:.1f}" if name in paper else ""
        counts = f"{row['tries']} ({row['positives']})"
        over, free = row["over_objects"], row["not_blocked"]
        area = f"{100 * row['roc_area']:.1f}" if "roc_area" in row else ""
        reached = (percent(free["balanced_accuracy"]), str(free["tries"]))
        accuracy = percent(row["balanced_accuracy"])
        rows.append((name, accuracy, _spread(over), area, counts, *reached, theirs))
    return rows


def _spread(estimate: dict[str, Any]) -> str:
    """The interval alone."""
    if estimate["low"] is None:
        return "-"
    return f"[{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]"


def _figure8(result: dict[str, Any]) -> Table:
    rows: list[Row] = []
    for count in sorted(result, key=int):
        row = result[count]
        cells = [percent(row[name]["balanced_accuracy"]) for name in ("novel", "seen")]
        rows.append((count, *cells))
    for count, novel in PAPER["figure8"]["novel"].items():
        seen = PAPER["figure8"]["seen"][count]
        rows.append((f"paper, {count}", f"{100 * novel:.1f}", f"{100 * seen:.1f}"))
    return "Figure 8: accuracy by number of tries", ("tries", "novel [%]", "seen [%]"), rows


def _tuning(result: dict[str, Any]) -> Table:
    """Every setting's figure on held-out episodes; what the best one gives on the test set."""
    rows: list[Row] = []
    for name, row in result.items():
        if "setting" in row:
            own = "the configuration's own" if row["own"] else "trained on all"
            rows.append((f"{name}: {row['setting']}", own, percent(row["balanced_accuracy"])))
        else:
            rows.append((name, f"{100 * row['held_out_accuracy']:.1f}", ""))
    count = max((row["tries"] for row in result.values() if "setting" not in row), default=0)
    title = f"Settings of the network, trained on the first {count} random tries"
    return title, ("setting", "held-out episodes [%]", "novel objects [%]"), rows


def _isolation(result: dict[str, Any]) -> Table:
    rows: list[Row] = []
    for method, sets in result.items():
        for name, row in sets.items():
            theirs = PAPER["isolation"].get(method, {}).get(name)
            rows.append(
                (
                    f"{method}, {name}",
                    percent(row["rate"]),
                    _spread(row["over_objects"]),
                    str(row["runs"]),
                    str(row["not_made"]),
                    str(row["label_errors"]),
                    f"{100 * theirs:.0f}" if theirs else "",
                )
            )
    headings = (
        "objects alone",
        "grasped [%]",
        "over objects",
        "tries",
        "not made",
        "label errors",
        "paper [%]",
    )
    return "Robot: one try on each single object", headings, rows


def _clutter(result: dict[str, Any]) -> Table:
    rows: list[Row] = []
    for method, sets in result.items():
        row = sets["novel"]
        theirs = PAPER["clutter"].get(method)
        rows.append(
            (
                method,
                number(row["to_clear"]),
                percent(row["completed"]),
                f"{row['cleared']} in {row['tries']}",
                percent(row["efficiency"]),
                str(row["runs"]),
                f"{theirs:.0f}" if theirs else "",
            )
        )
    headings = (
        "clutter of 10",
        "tries to clear",
        "cleared [%]",
        "objects in tries",
        "objects a try [%]",
        "clutters",
        "paper",
    )
    return "Robot: clearing ten novel objects", headings, rows
