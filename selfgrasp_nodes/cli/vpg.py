"""``selfgrasp evaluate --protocol vpg-random`` and ``vpg-hard``: tables and plots of policies."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from rich.console import Console

    from selfgrasp_nodes.learning.evaluation import EvaluationConfig
    from selfgrasp_nodes.learning.vpg_rows import Row


def run_vpg(args: argparse.Namespace, console: Console) -> int:
    """Measure, print, and write ``tables.md``, ``results.json`` and plots.

    Args:
        args: Of ``selfgrasp evaluate``.
        console: Where tables go.

    Returns:
        0, or 130 where Ctrl-C ended it early; tables are written of what is done.
    """
    from selfgrasp_nodes.cli.evaluate import with_progress
    from selfgrasp_nodes.learning.vpg import Vpg

    config = _config(args)
    name = args.protocol if config.scenes is None else f"{args.protocol}-{config.scenes.stem}"
    out = args.out or Path("out") / name

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    vpg = Vpg(args.protocol, _rows(args), config, out, args.resume, say)
    interrupted = False
    try:
        for member in vpg.members:
            with_progress(member.evaluation, member, console, member.title)
    except KeyboardInterrupt:
        interrupted = True
    results = vpg.results()
    if results["rows"]:
        _show(results, out, console)
    if interrupted:
        done = sum(len(member.evaluation.results) for member in vpg.members)
        left = sum(len(member.evaluation.jobs) for member in vpg.members) - done
        say(f"interrupted: {done} runs are done, {left} are left; the same command goes on")
        return 130
    return 0


def _config(args: argparse.Namespace) -> EvaluationConfig:
    """What all rows share.

    Raises:
        InvalidConfig: If options do not fit the protocol.
    """
    from selfgrasp_nodes.errors import InvalidConfig
    from selfgrasp_nodes.learning.evaluation import EvaluationConfig
    from selfgrasp_nodes.learning.vpg import ACTIONS_PER_OBJECT, OBJECTS
    from selfgrasp_nodes.learning.vpg_paper import HARD, RANDOM

    if args.protocol == HARD and args.scenes is None:
        from selfgrasp_nodes.paths import share_dir

        shipped = sorted((share_dir() / "config" / "scenes").glob("vpg_*.json"))
        raise InvalidConfig(
            f"--protocol {HARD} needs --scenes FILE; those that ship: "
            + ", ".join(map(str, shipped))
        )
    if args.protocol == RANDOM and args.scenes is not None:
        raise InvalidConfig(f"--protocol {RANDOM} drops its objects; --scenes goes with {HARD}")
    if args.json is not None:
        raise InvalidConfig("--protocol writes results.json to the folder of --out, not --json")
    return EvaluationConfig(
        robot=args.robot,
        runs=args.runs,
        objects=OBJECTS if args.objects is None else args.objects,
        seed=args.seed,
        scenes=args.scenes,
        kinds=tuple(kind.strip() for kind in args.kinds.split(",") if kind.strip()),
        meshes=args.meshes,
        friction_scale=args.friction_scale,
        max_actions=args.max_actions,
        actions_per_object=0 if args.max_actions else ACTIONS_PER_OBJECT,
        workers=args.workers,
    )


def _rows(args: argparse.Namespace) -> list[Row]:
    """Of ``--row``, and of ``--policy`` with the parameters that go with it."""
    from selfgrasp_nodes.cli.collect import parameters
    from selfgrasp_nodes.learning.vpg_rows import Row, parse_row
    from selfgrasp_nodes.policies.registry import takes

    rows = []
    for policy in dict.fromkeys(args.policy or ([] if args.row else ["antipodal"])):
        given = (args.checkpoint,) if args.checkpoint and takes(policy, "checkpoint") else ()
        rows.append(Row(policy, policy, parameters(args.param), given))
    return rows + [parse_row(text) for text in args.row or ()]


def _show(results: dict[str, Any], out: Path, console: Console) -> None:
    from selfgrasp_nodes.cli.protocol_results import show_tables, write_results
    from selfgrasp_nodes.learning.vpg_plots import plot
    from selfgrasp_nodes.learning.vpg_report import about, as_markdown, tables

    show_tables(tables(results), console)
    for name, row in results["rows"].items():
        if row["failed"]:
            console.print(f"{name}: {row['failed']} runs broke down, see rows/", style="yellow")
    console.print(about(results), markup=False, highlight=False)
    write_results(out, as_markdown(results), results, partial(plot, results))
    console.print(f"written to {out}")
