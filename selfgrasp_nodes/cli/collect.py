"""``selfgrasp collect``: tries by the thousand, from the fast loop into a store."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfgrasp_nodes.learning.collect import Progress

HELP = "collect tries in simulation into a training store"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "collect",
        help=HELP,
        description=HELP + ". The unit is the episode: a clutter dropped by (seed, stage, "
        "number), then tries in turn. The same command goes on with a run that was "
        "interrupted, and a larger --tries makes it longer.",
    )
    parser.add_argument("--robot", default="baxter", help="robot's name or YAML file")
    parser.add_argument("--policy", default="random-roi", help="policy's name")
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="parameter of the policy, e.g. look=false; may be given several times",
    )
    parser.add_argument(
        "--objects",
        default="train_base",
        help="object set (config/objects), or several joined by '+'",
    )
    parser.add_argument(
        "--sets", type=Path, help="file of object sets (default: config/objects/toys.yaml)"
    )
    parser.add_argument(
        "--recipes", type=Path, help="file of recipes (default: config/collect.yaml)"
    )
    parser.add_argument("--tries", type=int, required=True, help="labelled tries of the run")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is random")
    parser.add_argument(
        "--stage",
        type=int,
        help="0 for random tries, k for stage k (default: 0 for a policy that draws at random, 1 "
        "for another)",
    )
    parser.add_argument("--run-id", default="", help="id of the run (default: made of the others)")
    parser.add_argument("--workers", type=int, default=2, help="worlds at once")
    parser.add_argument(
        "--ray",
        default="",
        metavar="ADDRESS",
        help="run the workers on this Ray cluster, or 'auto'",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="STORE", help="the store")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Collect with progress, and say what came of it."""
    from rich.console import Console

    from selfgrasp_nodes.learning.collect import collect
    from selfgrasp_nodes.learning.collect_config import RANDOM_POLICIES, CollectConfig

    stage = int(args.policy not in RANDOM_POLICIES) if args.stage is None else args.stage
    config = CollectConfig(
        robot=args.robot,
        policy=args.policy,
        objects=args.objects,
        seed=args.seed,
        stage=stage,
        run=args.run_id,
        parameters=parameters(args.param),
        recipes=args.recipes,
        sets=args.sets,
    )
    console = Console()
    with _Display(console, config.run, args.tries) as display:
        try:
            done = collect(config, args.out, args.tries, args.workers, args.ray, display.show)
        except KeyboardInterrupt:
            console.print("interrupted; the same command goes on where it stopped")
            raise
    console.print(summary(done, args.out))
    return 0


def parameters(given: list[str]) -> dict[str, Any]:
    """NAME=VALUE pairs as a mapping, values read as YAML.

    Raises:
        InvalidConfig: If one is no such pair.
    """
    import yaml

    from selfgrasp_nodes.errors import InvalidConfig

    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidConfig(f"--param {text!r}: write NAME=VALUE")
        try:
            found[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InvalidConfig(f"--param {text!r}: the value cannot be read: {error}") from error
    return found


def summary(done: Progress, path: Path) -> str:
    """A collection in a few lines."""
    from selfgrasp_nodes.learning.metrics import proportion

    share = proportion(done.positives, done.labelled)
    text = (
        f"{path}: {done.labelled} labelled tries in {done.episodes} episodes, {done.positives} "
        f"positive ({share} %), {done.tries - done.labelled} could not be made or labelled"
    )
    new = done.labelled - done.resumed
    if new:
        text += (
            f"\n{new} of them now, in {done.seconds:.0f} s: {done.rate:.1f} a second; "
            f"{done.label_errors} labels differ from what was truly held"
        )
    if done.left_out:
        text += (
            f"\n{done.left_out} episodes left out: their workers died each time, or a fault ended "
            "them; a call with more --tries simulates them again"
        )
    return text


class _Display:
    """Progress bar with rate, time left and the share of positives."""

    def __init__(self, console: Any, name: str, wanted: int):
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        self._task = self._progress.add_task(name, total=wanted, note="starting the workers")

    def show(self, now: Progress) -> None:
        """Bring it up to date."""
        note = "starting the workers"
        if now.rate:
            left = max(now.wanted - now.labelled, 0) / now.rate
            share = 100 * now.positives / max(now.labelled, 1)
            note = f"{now.rate:.1f}/s, {clock(left)} left, {share:.1f} % positive"
        self._progress.update(self._task, completed=min(now.labelled, now.wanted), note=note)

    def __enter__(self) -> _Display:
        self._progress.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._progress.__exit__(*exception)


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
