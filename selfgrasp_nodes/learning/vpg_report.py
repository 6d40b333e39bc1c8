"""Results of the protocols as text, the paper's rows beside them."""

from __future__ import annotations

from typing import Any

from selfgrasp_nodes.learning.tables import Row, Table, markdown, percent
from selfgrasp_nodes.learning.vpg_metrics import COMPLETION, MEASURES
from selfgrasp_nodes.learning.vpg_paper import HARD

_MEASURES: Row = ("completion", "grasp success", "action efficiency")


def tables(results: dict[str, Any]) -> list[Table]:
    """In all, by scene, by training seed, and against the first row."""
    rows = results["rows"]
    found = [_all(results), _counts(rows)]
    if any(row["by_scene"] for row in rows.values()):
        found.append(_scenes(rows))
    if any("by_training_seed" in row for row in rows.values()):
        found.append(_training_seeds(rows))
    if results["differences"]:
        found.append(_differences(results))
    return found


def about(results: dict[str, Any]) -> str:
    """What the tables are about, in a paragraph."""
    said = results["about"]
    hard = said["protocol"] == HARD
    first, last = said["seeds"]
    if hard:
        mm, degrees = said["perturbed"]
        scenes = (
            f"{said['scenes']}, {said['runs']} runs of each scene, poses disturbed by up to "
            f"{mm:g} mm and {degrees:g} degrees"
        )
    else:
        scenes = f"{said['objects']} objects dropped at random, {said['runs']} runs"
    limits = [f"{said['max_no_change']} tries in a row change nothing"]
    if said["max_actions"]:
        limits.append(f"after {said['max_actions']} tries")
    if said["actions_per_object"]:
        limits.append(f"after {said['actions_per_object']} tries an object")
    over = "scenes, not repeats of one scene," if hard else "runs"
    return (
        f"Protocol {said['protocol']}: robot {said['robot']}, {scenes}, seeds {first} to {last}. "
        f"A run ends when all is cleared, {' or '.join(limits)}. Per cent; in brackets "
        f"95 % intervals over {over} and over training seeds where there are several. Grasp "
        "success and action efficiency are means over completed runs, as the paper defines them, "
        "and over all runs. The paper's rows are of its own simulator"
        f"{' and its own 11 scenes' if hard else ''}."
    )


def as_markdown(results: dict[str, Any]) -> str:
    """The tables as Markdown."""
    return markdown(tables(results), about(results))


def _all(results: dict[str, Any]) -> Table:
    lines: list[Row] = []
    for name, row in results["rows"].items():
        done = row["completed_runs"]
        lines.append(
            (
                name,
                percent(row[COMPLETION]),
                *(percent(done[key]) for key in MEASURES if key != COMPLETION),
                *(percent(row[key]) for key in MEASURES if key != COMPLETION),
            )
        )
    for name, figures in results["paper"].items():
        lines.append((f"paper: {name}", *(f"{100 * value:.1f}" for value in figures), "", ""))
    headings = (
        "policy",
        *_MEASURES,
        "grasp success, all runs",
        "action efficiency, all runs",
    )
    return "In all", headings, lines


def _counts(rows: dict[str, Any]) -> Table:
    lines: list[Row] = []
    for name, row in rows.items():
        missing = "" if row["runs"] == row["runs_wanted"] else f" of {row['runs_wanted']}"
        ended = (f"{key.replace('_', ' ')} {count}" for key, count in row["stop_reasons"].items())
        lines.append(
            (
                name,
                f"{row['runs']}{missing}",
                str(row["training_seeds"]),
                f"{row['cleared']} of {row['objects']}",
                str(row["grasps"]),
                str(row["tries"] - row["grasps"]),
                str(row["label_errors"]),
                str(row["left_workspace"]),
                ", ".join(ended),
            )
        )
    headings = (
        "policy",
        "runs",
        "training seeds",
        "objects cleared",
        "grasps",
        "pushes",
        "label errors",
        "left the workspace",
        "ended by",
    )
    return "Counts", headings, lines


def _scenes(rows: dict[str, Any]) -> Table:
    lines: list[Row] = []
    scenes = dict.fromkeys(scene for row in rows.values() for scene in row["by_scene"])
    for scene in scenes:
        for name, row in rows.items():
            if scene in row["by_scene"]:
                of = row["by_scene"][scene]
                counts = (f"{of['tries'] - of['grasps']}", str(of["runs"]))
                lines.append((scene, name, *(percent(of[key]) for key in MEASURES), *counts))
    headings = ("scene", "policy", *_MEASURES, "pushes", "runs")
    return "By scene, all runs, intervals over the scene's runs", headings, lines


def _training_seeds(rows: dict[str, Any]) -> Table:
    lines: list[Row] = []
    for name, row in rows.items():
        for number, of in enumerate(row.get("by_training_seed", ()), start=1):
            lines.append((name, str(number), *(percent(of[key]) for key in MEASURES)))
    return "By training seed, all runs", ("policy", "training seed", *_MEASURES), lines


def _differences(results: dict[str, Any]) -> Table:
    first = next(iter(results["rows"]))
    lines: list[Row] = [
        (name, *(percent(of[key]) for key in MEASURES))
        for name, of in results["differences"].items()
    ]
    title = f"Less {first!r}, on the same scenes, all runs (percentage points)"
    return title, ("policy", *_MEASURES), lines
