"""``selfgrasp label``: how right the labels are, as a confusion table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

HELP = "compare the labels with simulator truth"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "label",
        help=HELP,
        description="Runs tries on random blocks and on thin objects in the fast simulator "
        "loop, with noisy sensors, and compares each label (made from the sensors alone) with "
        "what the simulator knows at the end of the lift.",
    )
    parser.add_argument(
        "--confusion", action="store_true", required=True, help="print the confusion table"
    )
    parser.add_argument("--robot", default="ur5_rg2", help="robot's name or YAML file")
    parser.add_argument("--held", type=int, default=500, help="least number of held tries")
    parser.add_argument("--not-held", type=int, default=500, help="least number of others")
    parser.add_argument("--seed", type=int, default=1, help="of scenes and noise")
    parser.add_argument("--friction-scale", type=float, default=1.0, help="factor on all friction")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, help="write every try there")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print; 1 where a precision or a recall is below 98 %."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    from selfgrasp_nodes.learning.label_evaluation import LabelConfig, evaluate_labels

    config = LabelConfig(
        robot=args.robot,
        held=args.held,
        not_held=args.not_held,
        seed=args.seed,
        workers=args.workers,
        friction_scale=args.friction_scale,
    )
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        held = progress.add_task("held", total=config.held)
        empty = progress.add_task("not held", total=config.not_held)

        def on_progress(with_object: int, without: int) -> None:
            progress.update(held, completed=min(with_object, config.held))
            progress.update(empty, completed=min(without, config.not_held))

        summary = evaluate_labels(config, on_progress)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(summary, indent=1))
    for key, title in (
        ("with_force", "labels from width, force and wrench"),
        ("without_force", "the same tries, as a gripper without force sees them"),
    ):
        console.print(_counts(summary[key]["all"], f"{summary['robot']}: {title}"))
        console.print(_quality(summary[key]))
    for error in summary["errors"][:10]:
        console.print(f"wrong: {error}", style="yellow")
    for scene in summary["broken_scenes"]:
        console.print(f"left out, {scene}", style="yellow")
    reached = _worst(summary["with_force"]["all"]) >= 0.98
    return 0 if reached else 1


def _worst(table: dict[str, Any]) -> float:
    values = [table[c][k]["value"] for c in ("held", "not_held") for k in ("precision", "recall")]
    return min(v if v is not None else 0.0 for v in values)


def _counts(table: dict[str, Any], title: str) -> Table:
    from rich.table import Table

    codes = sorted({code for row in table["counts"].values() for code in row})
    result = Table("truth", *(c.lower() for c in codes), "sum", title=title)
    for truth, row in table["counts"].items():
        numbers = [str(row.get(code, 0)) for code in codes]
        result.add_row(truth.replace("_", " "), *numbers, str(sum(row.values())))
    return result


def _quality(groups: dict[str, Any]) -> Table:
    from rich.table import Table

    result = Table("objects", "truth", "tries", "precision", "recall")
    for kind, table in groups.items():
        for truth in ("held", "not_held"):
            part = table[truth]
            result.add_row(
                kind,
                truth.replace("_", " "),
                str(part["count"]),
                _percent(part["precision"]),
                _percent(part["recall"]),
            )
    return result


def _percent(estimate: dict[str, float | None]) -> str:
    value, low, high = (estimate[key] for key in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return "-"
    return f"{100 * value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
