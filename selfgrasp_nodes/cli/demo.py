"""``selfgrasp demo``: the whole ROS graph clears a simulated table."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfgrasp_nodes.bringup import Description

HELP = "watch a simulated robot pick its table clear, through the whole ROS graph"
TIME_LIMIT = 1800.0
"""Wall-clock limit of a demonstration [s]."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the verb."""
    parser = subparsers.add_parser("demo", help=HELP, description=HELP + ".")
    parser.add_argument("--robot", default="ur5_rg2", help="robot's name or YAML file")
    parser.add_argument("--objects", type=int, default=10, help="objects that are dropped")
    parser.add_argument("--seed", type=int, default=1, help="of the scene")
    parser.add_argument("--scene", type=Path, help="JSON of arrangements; one in place of a drop")
    parser.add_argument("--scene-name", default="", help="which of them (default: the first)")
    parser.add_argument("--policy", default="antipodal", help="policy that chooses")
    parser.add_argument("--out", type=Path, help="output folder (default: out/demo-...)")
    parser.add_argument("--no-film", action="store_true", help="do not film the run")
    parser.add_argument("--no-bag", action="store_true", help="do not record a bag")
    parser.add_argument("--processes", default="grouped", choices=("grouped", "separate"))
    parser.add_argument(
        "--real-time-factor", default="1.0", help="speed of the simulation; 0: as fast as it can"
    )
    parser.add_argument("--verbose", action="store_true", help="show what the nodes print")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Bring the graph up, clear the table, sum up."""
    from rich.console import Console

    from selfgrasp_nodes import bringup
    from selfgrasp_nodes.cli.domain import free_domain
    from selfgrasp_nodes.errors import InvalidConfig
    from selfgrasp_nodes.policies.registry import check_ready, make_policy
    from selfgrasp_nodes.robots import load_robot

    if not 1 <= args.objects <= 100 or args.seed < 0:
        raise InvalidConfig(
            f"--objects must lie in 1..100 and --seed must not be negative; got {args.objects} "
            f"and {args.seed}"
        )
    scene = _scene(args)
    console = Console()
    robot = load_robot(args.robot)
    check_ready(make_policy(args.policy, robot))
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = args.out or Path("out") / f"demo-{robot.name}-{args.seed}-{stamp}"
    given = {
        "robot": args.robot,
        "policy": args.policy,
        "objects": "0",
        "seed": "0",
        "record": "" if args.no_bag else str(folder / "bag"),
        "processes": args.processes,
        "real_time_factor": args.real_time_factor,
    }
    description = bringup.describe("sim", given)  # refuses what is wrong before anything is made
    folder.mkdir(parents=True, exist_ok=True)
    with free_domain(os.environ) as domain:
        console.print(f"ROS_DOMAIN_ID={domain} (free), this machine only; output in {folder}")
        return _run_graph(args, description, robot, folder, console, scene)


def _scene(args: argparse.Namespace) -> str:
    """The arrangement that was asked for, as JSON; empty where none was.

    Raises:
        InvalidConfig: If a name stands without a file.
        InvalidScene: If the file is wrong.
        UnknownName: If it holds no scene of that name.
    """
    from selfgrasp_nodes.errors import InvalidConfig
    from selfgrasp_nodes.simulation.scenes import load_scenes, pick_scene, scene_as_json

    if args.scene is None:
        if args.scene_name:
            raise InvalidConfig("--scene-name needs --scene FILE, which it is taken from")
        return ""
    return scene_as_json(pick_scene(load_scenes(args.scene, args.seed), args.scene_name))


def _run_graph(
    args: argparse.Namespace,
    description: Description,
    robot: Any,
    folder: Path,
    console: Any,
    scene: str,
) -> int:
    from selfgrasp_nodes.nodes.demo import DemoSession
    from selfgrasp_nodes.supervisor import Supervisor

    log = (folder / "nodes.log").open("w")

    def show(line: str) -> None:
        print(line, file=log, flush=True)
        if args.verbose:
            console.print(line, markup=False, highlight=False)

    supervisor = Supervisor(description, show)
    display = Display(console, args.objects)
    started = time.monotonic()
    try:
        supervisor.start()
        with console.status("starting the nodes ..."):
            supervisor.wait_ready(90)
        console.print(f"all nodes are up after {time.monotonic() - started:.1f} s")
        session = DemoSession(robot, folder, display.trial, display.feedback, not args.no_film)
        with session as node:
            with console.status("learning the empty table, dropping objects ..."):
                display.objects = node.prepare(args.objects, args.seed, scene)
            began = time.monotonic()
            try:
                with display:
                    result = node.clear_table(
                        args.policy, args.seed, TIME_LIMIT, lambda: _check_alive(supervisor)
                    )
            except KeyboardInterrupt:
                node.cancel()
                raise
            seconds = time.monotonic() - began
            truth = node.where_objects_are()
            film = node.close_film()
        display.summary(result, truth, seconds)
        for what, path in (
            ("bag and index of trials", None if args.no_bag else folder / "bag"),
            ("first decision", node.picture),
            ("film", film),
            ("what the nodes said", folder / "nodes.log"),
        ):
            if path is not None:
                console.print(f"{what}: {path}")
        return 0 if truth["bin"] == display.objects else 1
    finally:
        supervisor.stop()
        log.close()


def _check_alive(supervisor: Any) -> None:
    """Raise when a process of the graph has died, with its last error."""
    from selfgrasp_nodes.errors import Unavailable

    for death in supervisor.poll():
        if death.stops:
            raise Unavailable(str(death))


class Display:
    """Progress while it runs, and the table at the end.

    Attributes:
        objects: On the table at the start.
    """

    def __init__(self, console: Any, objects: int):
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self.objects = objects
        self._console = console
        self._rows: list[tuple[Any, float, float]] = []
        self._cleared = 0
        self._last = time.monotonic()
        self._bar = Progress(
            TextColumn("[bold]cleared"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )

    def __enter__(self) -> Display:
        """Show the bar."""
        self._bar.start()
        self._task = self._bar.add_task("", total=self.objects, note="")
        self._last = time.monotonic()
        return self

    def __exit__(self, *exception: object) -> None:
        """Take it away."""
        self._bar.stop()

    def feedback(self, feedback: Any) -> None:
        """Show the phase that runs."""
        from selfgrasp_nodes.types import PhaseCode

        phase = PhaseCode(feedback.phase.phase).name.lower()
        note = f"try {feedback.actions + 1}: {phase}"
        self._bar.update(self._task, completed=feedback.cleared, note=note)

    def trial(self, trial: Any, rest: float) -> None:
        """One line for a finished try."""
        now = time.monotonic()
        self._rows.append((trial, now - self._last, rest))
        self._last = now
        grasped = trial.candidate.primitive.name == "GRASP" and trial.outcome.success
        self._cleared += grasped
        color = "green" if trial.outcome.success else "yellow"
        x, y = trial.candidate.pose[:2, 3]
        still = "" if rest != rest else f", {rest:.2f} s at rest before"
        self._console.print(
            f"try {trial.index + 1:2d}  {trial.candidate.primitive.name.lower():5s} at "
            f"({x:+.3f}, {y:+.3f})  [{color}]{trial.outcome.code.name.lower():8s}[/]  "
            f"{self._rows[-1][1]:4.1f} s{still}; "
            f"{max(self.objects - self._cleared, 0)} left  [dim]{trial.outcome.reason}[/]"
        )
        self._bar.update(self._task, completed=self._cleared)

    def summary(self, result: Any, truth: dict[str, int], seconds: float) -> None:
        """The table at the end."""
        import numpy as np
        from rich.table import Table

        rests = [rest for _, _, rest in self._rows if not np.isnan(rest)] or [float("nan")]
        periods = [period for _, period, _ in self._rows] or [float("nan")]
        table = Table(
            title="Table clear" if truth["bin"] == self.objects else "Table not clear",
            min_width=60,
        )
        table.add_column("measure")
        table.add_column("value", justify="right")
        for name, value in (
            ("objects", str(self.objects)),
            ("cleared (sensor label)", str(result.cleared)),
            ("in the bin (simulator truth)", str(truth["bin"])),
            ("left in the workspace (simulator truth)", str(truth["workspace"])),
            ("fell elsewhere (simulator truth)", str(truth["elsewhere"])),
            ("tries", str(result.actions)),
            ("grasp success (sensor label)", _number(100 * result.grasp_success, ".0f", "%")),
            ("time", f"{seconds:.1f} s"),
            ("time a try, median", _number(np.median(periods), ".2f")),
            ("arm and gripper at rest between picks, median", _number(np.median(rests), ".3f")),
        ):
            table.add_row(name, value)
        self._console.print(table)
        if result.message:
            self._console.print(result.message)


def _number(value: float, form: str, unit: str = "s") -> str:
    """With its unit; a dash where there is none."""
    return "-" if value != value else f"{value:{form}} {unit}"
