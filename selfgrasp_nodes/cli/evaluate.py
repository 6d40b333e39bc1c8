"""``selfgrasp evaluate``: completion, grasp success and action efficiency of policies."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from selfgrasp_nodes.cli.protocols import add_arguments, run_protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from selfgrasp_nodes.learning.evaluation import Evaluation
    from selfgrasp_nodes.learning.metrics import RunResult

HELP = "evaluate policies in the fast simulator loop"
RATIOS = ("grasp_success", "action_efficiency")
"""Measures that stand over all runs and over completed ones."""


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
    parser.add_argument(
        "--objects", type=int, help="objects in a random scene (default: 10; vpg-random: 30)"
    )
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
    parser.add_argument("--checkpoint", help="card or weights of a learnt policy")
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="parameter of the policies, e.g. rerank=0; may be given several times",
    )
    parser.add_argument("--friction-scale", type=float, default=1.0, help="factor on all friction")
    parser.add_argument("--max-actions", type=int, default=0, help="most tries a run; 0: no limit")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument(
        "--json", type=Path, help="write the result there: after each run what is done so far"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the file of --json: runs that it holds are not repeated; protocols "
        "always go on, and with this refuse what was made with another configuration",
    )
    add_arguments(parser)
    parser.set_defaults(run=run)


def _parameters(policy: str, args: argparse.Namespace) -> dict[str, Any]:
    """Of one policy, from the command line; the checkpoint only where it takes one."""
    from selfgrasp_nodes.cli.collect import parameters
    from selfgrasp_nodes.policies.registry import takes

    given = parameters(args.param)
    if args.checkpoint and takes(policy, "checkpoint"):
        given["checkpoint"] = str(Path(args.checkpoint).resolve())
    return given


def run(args: argparse.Namespace) -> int:
    """Evaluate each policy and print one table; 130 where Ctrl-C ended it early."""
    if args.protocol:
        return run_protocol(args)
    from rich.console import Console

    from selfgrasp_nodes.learning.evaluation import Evaluation, EvaluationConfig

    console = Console()
    results = Results(args.json, args.resume)
    evaluations = [
        Evaluation(config, results.reports.get(config.policy))
        for config in (
            EvaluationConfig(
                robot=args.robot,
                policy=policy,
                runs=args.runs,
                objects=10 if args.objects is None else args.objects,
                seed=args.seed,
                scenes=args.scenes,
                kinds=tuple(kind.strip() for kind in args.kinds.split(",") if kind.strip()),
                meshes=args.meshes,
                friction_scale=args.friction_scale,
                max_actions=args.max_actions,
                workers=args.workers,
                parameters=_parameters(policy, args),
            )
            for policy in dict.fromkeys(args.policy or ["antipodal"])
        )
    ]
    interrupted = False
    try:
        for evaluation in evaluations:
            with_progress(evaluation, results, console)
    except KeyboardInterrupt:
        interrupted = True
    # A table of eleven columns is unreadable in 80: let it wrap at the terminal's edge instead.
    reports = list(results.reports.values())
    if reports:
        Console(width=max(console.width, 140)).print(_table(reports))
    for report in reports:
        for entry in report["each_run"]:
            if entry["message"]:
                where = f"{report['policy']}, seed {entry['seed']} {entry['scene']}".rstrip()
                console.print(f"failed: {where}: {entry['message']}", style="yellow")
    if not interrupted:
        return 0
    done = sum(len(evaluation.results) for evaluation in evaluations)
    left = sum(len(evaluation.jobs) for evaluation in evaluations) - done
    how = (
        f"the same command with --resume goes on with {args.json}"
        if args.json
        else "with --json FILE it could be gone on with (--resume)"
    )
    console.print(f"interrupted: {done} runs are done, {left} are left; {how}")
    return 130


class Results:
    """The reports by policy, and the file that keeps them.

    Attributes:
        reports: By policy, in the order of the file.
    """

    def __init__(self, file: Path | None, resume: bool):
        """Read what is to be gone on with.

        Raises:
            InvalidConfig: If that file is missing where it is asked for, or no
                result of an evaluation.
        """
        from selfgrasp_nodes.errors import InvalidConfig

        self.reports: dict[str, dict[str, Any]] = {}
        self._file = file
        self._put = -math.inf
        if not resume:
            return
        if file is None:
            raise InvalidConfig("--resume goes on with a file: name it with --json FILE")
        if not file.exists():
            return
        try:
            content = json.loads(file.read_text())
            for report in content.get("policies", [content]):
                self.reports[report["policy"]] = report
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidConfig(f"{file} is no result of an evaluation: {error!r}") from error

    def put(self, make_report: Callable[[], dict[str, Any]], min_age: float = 0.0) -> None:
        """Take a policy's report, and write all of them where a file was named.

        Args:
            make_report: Makes it.
            min_age: Do nothing where the last one is younger [s].
        """
        if time.monotonic() - self._put < min_age:
            return
        report = make_report()
        self.reports[report["policy"]] = report
        self._put = time.monotonic()
        if self._file is None:
            return
        every = list(self.reports.values())
        content = every[0] if len(every) == 1 else {"policies": every}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        part = self._file.with_name(self._file.name + ".part")
        part.write_text(json.dumps(content, indent=1))
        part.replace(self._file)  # whoever reads it, or ends this, finds a whole file


class Keeper(Protocol):
    """Takes reports while runs go on; see :meth:`Results.put`."""

    def put(self, make_report: Callable[[], dict[str, Any]], min_age: float = 0.0) -> None:
        """Keep a report, unless the last one is younger than ``min_age`` [s]."""
        ...


def with_progress(
    evaluation: Evaluation, results: Keeper, console: Console, title: str = ""
) -> None:
    """Run what is not done yet, under a bar.

    Args:
        evaluation: What is run.
        results: Keeps its reports.
        console: Where the bar is.
        title: Of the bar; the policy's name where empty.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(
            title or evaluation.config.policy, total=len(evaluation.jobs), note=""
        )

        def show(result: RunResult | None = None) -> None:
            done = list(evaluation.results.values())
            cleared, objects = sum(r.cleared for r in done), sum(r.objects for r in done)
            note = f"{cleared}/{objects} cleared in {sum(r.actions for r in done)} tries"
            progress.update(task, completed=len(done), note=note)
            results.put(evaluation.report, min_age=2.0)

        show()
        try:
            evaluation.run(show)
        finally:
            results.put(evaluation.report)


def _table(reports: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    first = reports[0]
    table = Table(
        title=f"{first['robot']}, {first['scenes']}, seeds {first['seeds'][0]}-"
        f"{first['seeds'][1]}, friction x {first['friction_scale']}",
        caption="per cent with 95 % intervals; in brackets below: over completed runs alone",
    )
    for heading in ("policy", "completion", "grasp success", "action efficiency"):
        table.add_column(heading, no_wrap=True)
    for heading in ("runs", "ended by", "10 without success"):
        table.add_column(heading)
    for heading in ("tries", "label errors", "left table", "wall [s]"):
        table.add_column(heading, justify="right")
    for s in reports:
        done = s["completed_runs"]
        missing = "" if s["runs"] == s["runs_wanted"] else f"\nof {s['runs_wanted']}"
        ended = (f"{name.replace('_', ' ')}: {n}" for name, n in s["stop_reasons"].items())
        table.add_row(
            s["policy"],
            _percent(s["completion"]),
            *(f"{_percent(s[k])}\n({_percent(done[k])})" for k in RATIOS),
            f"{s['runs']}{missing}",
            "\n".join(ended),
            str(s["ten_without_success"]),
            str(s["tries"]),
            str(s["label_errors"]),
            str(s["left_workspace"]),
            f"{s['wall_time']:.0f}",
        )
    return table


def _percent(estimate: dict[str, float | None]) -> str:
    value, low, high = (estimate[key] for key in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return "-"
    return f"{100 * value:.1f}\n[{100 * low:.1f}, {100 * high:.1f}]"
