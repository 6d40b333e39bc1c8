"""``selfgrasp evaluate``: completion, grasp success and action efficiency of policies."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "evaluate policies in the fast simulator loop"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "evaluate",
        help=HELP,
        description=HELP + ". Each run drops objects by seed (or takes a scene file) and "
        "tries until the table is clear or 10 actions in a row changed nothing.",
    )
    parser.add_argument("--robot", default="ur5_rg2", help="robot's name or YAML file")
    parser.add_argument(
        "--policy",
        action="append",
        help="policy's name, or 'oracle' (reads simulator truth: the ceiling); "
        "may be given several times for one table (default: antipodal)",
    )
    parser.add_argument("--runs", type=int, default=30, help="runs (of each scene of a file)")
    parser.add_argument("--objects", type=int, default=10, help="objects in a random scene")
    parser.add_argument("--seed", type=int, default=1, help="run i uses seed + i")
    parser.add_argument("--scenes", type=Path, help="scene file (JSON) instead of random scenes")
    parser.add_argument(
        "--kinds",
        default="",
        help="kinds of block in random scenes, e.g. 'cube,brick' (default: those that the "
        "robot's description names under 'blocks', or all)",
    )
    parser.add_argument(
        "--meshes",
        default="",
        help="random scenes of meshes instead of blocks: 'pybullet', 'pybullet:0-99', or a "
        "folder of STL or OBJ files ('FOLDER@0.001' scales millimetres)",
    )
    parser.add_argument("--friction-scale", type=float, default=1.0, help="factor on all friction")
    parser.add_argument("--max-actions", type=int, default=0, help="most tries a run; 0: no limit")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, help="write the result there")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate each policy and print one table."""
    from rich.console import Console

    from selfgrasp_nodes.learning.evaluation import EvaluationConfig

    console = Console()
    summaries = []
    for policy in args.policy or ["antipodal"]:
        config = EvaluationConfig(
            robot=args.robot,
            policy=policy,
            runs=args.runs,
            objects=args.objects,
            seed=args.seed,
            scenes=args.scenes,
            kinds=tuple(kind.strip() for kind in args.kinds.split(",") if kind.strip()),
            meshes=args.meshes,
            friction_scale=args.friction_scale,
            max_actions=args.max_actions,
            workers=args.workers,
        )
        summaries.append(_with_progress(config, console))
        if args.json:
            content = summaries[0] if len(summaries) == 1 else {"policies": summaries}
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps(content, indent=1))
    # A table of nine columns is unreadable in 80: let it wrap at the terminal's edge instead.
    Console(width=max(console.width, 130)).print(_table(summaries))
    return 0


def _with_progress(config: object, console: object) -> dict:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from selfgrasp_nodes.learning.evaluation import EvaluationConfig, evaluate
    from selfgrasp_nodes.learning.metrics import RunResult

    assert isinstance(config, EvaluationConfig)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:  # type: ignore[arg-type]
        task = progress.add_task(config.policy, total=None, note="")
        tally = {"cleared": 0, "objects": 0, "tries": 0}

        def on_run(result: RunResult, done: int, total: int) -> None:
            tally["cleared"] += result.cleared
            tally["objects"] += result.objects
            tally["tries"] += result.actions
            note = f"{tally['cleared']}/{tally['objects']} cleared in {tally['tries']} tries"
            progress.update(task, completed=done, total=total, note=note)

        return evaluate(config, on_run)


def _table(summaries: list[dict]) -> object:
    from rich.table import Table

    first = summaries[0]
    table = Table(
        title=f"{first['robot']}, {first['scenes']}, seeds {first['seeds'][0]}-"
        f"{first['seeds'][1]}, friction x {first['friction_scale']}",
        caption="per cent with 95 % intervals; in brackets below: over completed runs alone",
    )
    for heading in (
        "policy",
        "completion",
        "grasp success",
        "action efficiency",
        "runs",
        "tries",
        "label errors",
        "left table",
        "wall [s]",
    ):
        table.add_column(heading)
    for s in summaries:
        done = s["completed_runs"]
        table.add_row(
            s["policy"],
            _percent(s["completion"]),
            f"{_percent(s['grasp_success'])}\n({_percent(done['grasp_success'])})",
            f"{_percent(s['action_efficiency'])}\n({_percent(done['action_efficiency'])})",
            str(s["runs"]),
            str(s["tries"]),
            str(s["label_errors"]),
            str(s["left_workspace"]),
            f"{s['wall_time']:.0f}",
        )
    return table


def _percent(estimate: dict) -> str:
    if estimate["value"] is None:
        return "-"
    value, low, high = (100 * estimate[key] for key in ("value", "low", "high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"
