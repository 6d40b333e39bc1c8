"""``selfgrasp ceiling``: how far tries repeat themselves, the bound of any classifier."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

HELP = "repeat tries under noise: the accuracy that no classifier exceeds"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "ceiling",
        help=HELP,
        description=HELP + ". Each try is made again in the same clutter with another error of "
        "the grasp's pose (config/collect.yaml), other readings of the sensors, and objects of "
        "other friction and density.",
    )
    parser.add_argument("--robot", default="baxter", help="robot's name or YAML file")
    parser.add_argument("--policy", default="random-roi", help="policy's name")
    parser.add_argument("--objects", default="test_novel", help="object set (config/objects)")
    parser.add_argument("--tries", type=int, default=300, help="tries that are repeated")
    parser.add_argument("--repeats", type=int, default=5, help="repetitions of each")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is random")
    parser.add_argument("--workers", type=int, default=2, help="worlds at once")
    parser.add_argument("--json", type=Path, help="write the result there")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from rich.console import Console
    from rich.progress import Progress

    from selfgrasp_nodes.learning.ceiling import measure
    from selfgrasp_nodes.learning.collect_config import CollectConfig

    config = CollectConfig(args.robot, args.policy, args.objects, args.seed)
    console = Console()
    with Progress(console=console) as progress:
        task = progress.add_task("tries repeated", total=args.tries)
        found = measure(
            config,
            args.tries,
            args.repeats,
            args.workers,
            lambda done: progress.update(task, completed=done),
        )
    console.print(table(found))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(found, indent=1))
    return 0


def table(found: dict[str, Any]) -> Any:
    """The figures for people."""
    from rich.table import Table

    noise, meta = found["noise"], found["run"]
    made = Table(
        title=f"{meta['robot']}, {meta['policy']}, {meta['objects']}, seed {meta['seed']}: "
        f"{found['tries']} tries, {found['repeats']} times each",
        caption="per cent with 95 % intervals over episodes; pose noise "
        f"{1e3 * noise['position']:.1f} mm "
        f"and {57.2958 * noise['angle']:.1f} degrees; {found['unlabelled']} tries without a label "
        "in some repetition left out",
    )
    made.add_column("measure")
    made.add_column("value")
    rows = (
        ("positive", "positives"),
        ("tries with both outcomes", "mixed"),
        ("two repetitions agree", "agreement"),
        ("accuracy at most (by its own outcomes)", "accuracy_upper"),
        ("accuracy of the other repetitions' vote", "accuracy_lower"),
        ("balanced accuracy at most (by its own outcomes)", "balanced_upper"),
        ("balanced accuracy of the other repetitions' vote", "balanced_lower"),
    )
    for text, name in rows:
        made.add_row(text, percent(found[name]))
    return made


def percent(estimate: dict[str, float | None]) -> str:
    """An estimate's value and interval."""
    if estimate["value"] is None:
        return "-"
    value, low, high = (100 * (estimate[key] or 0.0) for key in ("value", "low", "high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"
