"""``selfgrasp train``: from a store of tries to a checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfgrasp_nodes.learning.patch_train import Step

HELP = "train a policy on a store of tries, or run a whole curriculum"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "train",
        help=HELP,
        description=HELP + ". The same command goes on with what was interrupted.",
    )
    parser.add_argument("policy", choices=["patch", "pixelq"], help="which learnt policy")
    parser.add_argument(
        "--data", type=Path, metavar="STORE", help="store of tries; pixelq: to pretrain from"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the checkpoint")
    parser.add_argument(
        "--config", type=Path, help="YAML of the training (default: config/learning/POLICY.yaml)"
    )
    parser.add_argument(
        "--curriculum",
        type=Path,
        help="YAML of a curriculum: collects, trains, and collects with what was trained",
    )
    parser.add_argument("--start", type=Path, help="checkpoint to fine-tune as a further stage")
    parser.add_argument("--stages", default="", help="train on these stages alone, e.g. '0,1'")
    parser.add_argument(
        "--where", default="", help="SQL condition on the tries to train on, e.g. 'stage = 0'"
    )
    parser.add_argument(
        "--robot", default="", help="name or YAML file of the robot that made the tries"
    )
    parser.add_argument("--members", type=int, help="networks of the ensemble")
    parser.add_argument("--seed", type=int, help="of everything that is drawn")
    parser.add_argument("--threads", type=int, help="of torch")
    parser.add_argument(
        "--imagenet", type=Path, help="ImageNet weights for network 'alexnet' or 'densenet'"
    )
    parser.add_argument("--tries", type=int, help="of a pixelq training in all")
    parser.add_argument("--workers", type=int, help="worlds at once, for a curriculum or pixelq")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train with progress, and print the card."""
    from rich.console import Console

    from selfgrasp_nodes.errors import InvalidConfig

    require_torch()
    for name in ("workers", "threads"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise InvalidConfig(f"--{name} must be 1 or more, not {getattr(args, name)}")
    console = Console()
    if args.policy == "pixelq":
        return run_pixelq(args, console)
    if args.curriculum:
        from selfgrasp_nodes.learning.curriculum import load_curriculum, run_curriculum

        if not args.out:
            raise InvalidConfig("a curriculum needs --out DIR")
        _refuse_beside_curriculum(args)
        overrides = {"workers": args.workers} if args.workers is not None else {}
        curriculum = load_curriculum(args.curriculum, **overrides)
        if args.threads is not None:
            changed = {**curriculum.overrides, "threads": args.threads}
            curriculum = curriculum.model_copy(update={"overrides": changed})
        with Display(console) as display:
            cards = run_curriculum(curriculum, args.out, display)
        for card in cards:
            console.print(card_line(card))
        return 0
    if not args.data or not args.out:
        raise InvalidConfig("give --data STORE and --out DIR, or --curriculum FILE and --out DIR")
    if foreign := [
        f"--{name}" for name in ("tries", "workers") if getattr(args, name) is not None
    ]:
        raise InvalidConfig(
            f"{', '.join(foreign)} does not go with --data: all tries of the store are trained on "
            "(choose some with --where) in one process (give --threads)"
        )
    from selfgrasp_nodes.learning.patch_config import load_training
    from selfgrasp_nodes.learning.patch_job import PatchJob, run_job
    from selfgrasp_nodes.paths import share_dir

    overrides = {
        name: getattr(args, name)
        for name in ("members", "seed", "threads")
        if getattr(args, name) is not None
    }
    if args.imagenet:
        overrides["imagenet"] = str(args.imagenet)
    config = load_training(
        args.config or share_dir() / "config" / "learning" / "patch.yaml", **overrides
    )
    job = PatchJob(
        args.data,
        args.out,
        config,
        stages(args.stages),
        args.start,
        where=args.where,
        robot=args.robot,
    )
    with Display(console) as display:
        card = run_job(job, display.step, display.decoded)
    console.print(card.as_yaml(), markup=False, highlight=False)
    console.print(f"checkpoint: {args.out / job.name}.safetensors")
    return 0


def _refuse_beside_curriculum(args: argparse.Namespace) -> None:
    """What a curriculum's file says is said there alone: its tables are measured by it, too.

    Raises:
        InvalidConfig: If an option is given that a curriculum would not hear.
    """
    from selfgrasp_nodes.errors import InvalidConfig

    names = ["data", "config", "start", "stages", "members", "seed", "imagenet"]
    names += ["where", "robot", "tries"]
    given = [f"--{name}" for name in names if getattr(args, name) not in (None, "")]
    if given:
        raise InvalidConfig(
            f"{', '.join(given)} does not go with --curriculum: write it into {args.curriculum} "
            "(tries, objects and seeds under 'stages', settings of the training under 'overrides')"
        )


def run_pixelq(args: argparse.Namespace, console: Any) -> int:
    """Train pixel values with progress, and print the card.

    Raises:
        InvalidConfig: If an option does not belong to this policy.
    """
    from selfgrasp_nodes.errors import InvalidConfig
    from selfgrasp_nodes.learning.pixelq_config import load_pixelq_training
    from selfgrasp_nodes.learning.pixelq_job import run_pixelq as train
    from selfgrasp_nodes.paths import share_dir

    names = ("curriculum", "start", "stages", "members", "where", "robot")
    foreign = [n for n in names if getattr(args, n)]
    if foreign:
        raise InvalidConfig(
            f"--{foreign[0]} is for policy 'patch'; pixelq takes --config, --out, --data, --seed, "
            "--tries, --workers, --threads and --imagenet"
        )
    if not args.out:
        raise InvalidConfig("give --out DIR: the training's tries, state and checkpoint")
    folder = share_dir() / "config" / "learning"
    path = args.config or folder / "pixelq.yaml"
    numbers = ("seed", "threads", "tries", "workers")
    overrides = {n: getattr(args, n) for n in numbers if getattr(args, n) is not None}
    if args.data:
        overrides["pretrain"] = {"store": str(args.data)}
    config = load_pixelq_training(path, **overrides)
    if args.imagenet:
        network = {**config.network, "imagenet": str(args.imagenet)}
        config = load_pixelq_training(path, **overrides, network=network)
    with Display(console) as display:
        card = train(config, args.out, display.tried)
    console.print(card.as_yaml(), markup=False, highlight=False)
    console.print(f"checkpoint: {args.out / 'pixelq.safetensors'}; curves: {args.out}/curves.png")
    return 0


def stages(text: str) -> tuple[int, ...] | None:
    """Numbers of a comma-separated list; None where empty.

    Raises:
        InvalidConfig: If one is no number.
    """
    from selfgrasp_nodes.errors import InvalidConfig

    try:
        return tuple(int(part) for part in text.split(",") if part.strip()) or None
    except ValueError as error:
        raise InvalidConfig(f"--stages takes numbers such as '0,1', not {text!r}") from error


def require_torch() -> None:
    """Say what to install where torch is missing.

    Raises:
        MissingDependency: If it is.
    """
    from importlib.util import find_spec

    from selfgrasp_nodes.errors import MissingDependency

    missing = [name for name in ("torch", "safetensors") if find_spec(name) is None]
    if missing:
        raise MissingDependency(
            f"training needs {' and '.join(missing)}: run 'make setup-learning', or pip install "
            "-r requirements-learning.txt"
        )


def card_line(card: Any) -> str:
    """One line about a checkpoint."""
    held = card.metrics["held_out"]
    accuracy = held["balanced_accuracy"]
    return (
        f"{card.training['tries']} tries, {card.training['positives']} positive: balanced "
        f"accuracy {accuracy['value']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}] on "
        f"{held['tries']} held out"
    )


class Display:
    """Progress bars of a training or a curriculum."""

    def __init__(self, console: Any):
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        self._tasks: dict[str, Any] = {}
        self._title = ""
        self._whole: Any = None
        self._told = 0

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def title(self, text: str) -> None:
        """What the next bars belong to."""
        self._title = f"{text}: " if text else ""

    def line(self, text: str) -> None:
        """A line above the bars."""
        self._console.print(text, markup=False, highlight=False)

    def step(self, now: Step) -> None:
        """A training's progress."""
        note = ""
        if now.numbers:
            note = (
                f"loss {now.numbers['loss']:.3f}, area under ROC {now.numbers['roc_area']:.3f}, "
                f"balanced accuracy {now.numbers['best_balanced_accuracy']:.3f}"
            )
        self._show(f"train network {now.member + 1}", now.epoch + now.done, now.epochs, note)

    def decoded(self, done: int, total: int) -> None:
        """The decoding of crops."""
        self._show("read crops", done, total, "")

    def collected(self, progress: Any) -> None:
        """A collection's progress."""
        note = f"{progress.positives} positive, {progress.rate:.1f} a second"
        self._show("collect", progress.labelled, progress.wanted, note)

    def tried(self, now: Any) -> None:
        """Progress of a training on own tries."""
        rate = f"{now.successes} of the last {now.grasps} grasps held" if now.grasps else ""
        note = f"{rate}, {now.pushes} pushes, loss {now.loss:.3f}, {now.rate:.1f} tries a second"
        self._show("try and learn", now.tries, now.wanted, note)
        if not self._console.is_terminal and now.tries * 20 // now.wanted > self._told:
            self._told = now.tries * 20 // now.wanted
            self.line(f"{now.tries} of {now.wanted} tries: {note}")

    def whole(self, share: float, left: float) -> None:
        """The whole curriculum, above its steps."""
        from selfgrasp_nodes.cli.collect import clock

        if self._whole is None:
            self._whole = self._progress.add_task("whole curriculum", total=1.0, note="")
        self._progress.update(self._whole, completed=share, note=f"about {clock(left)} left")
        # Where no bar can be drawn, a line now and then says the same.
        if not self._console.is_terminal and int(share * 20) > self._told:
            self._told = int(share * 20)
            self.line(f"{100 * share:.0f} % of the whole, about {clock(left)} left")

    def _show(self, name: str, done: float, total: float, note: str) -> None:
        name = self._title + name
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total, note="")
        task = self._tasks[name]
        self._progress.update(task, completed=done, total=total)
        if note:
            self._progress.update(task, note=note)
