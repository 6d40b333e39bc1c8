"""``selfgrasp check``: like a doctor; names what is missing and what to do."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfgrasp_nodes.doctor import Finding

HELP = "look for what is missing: in this machine, in a running graph, in the physics"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "check",
        help=HELP,
        description="Looks at libraries, ROS environment, interfaces, shared memory, GL, "
        "configuration and the robot's description; where nodes run in this ROS domain, also "
        "at their topics, frames, controllers, services, cameras and clock. Exit code 1 where "
        "something fails.",
    )
    parser.add_argument("--robot", default="ur5_rg2", help="robot's name or YAML file")
    parser.add_argument(
        "--graph",
        action="store_true",
        help="only the running graph; it is an error when there is none",
    )
    parser.add_argument("--no-graph", action="store_true", help="do not look for a running graph")
    parser.add_argument("--namespace", default="", help="ROS namespace of the graph's nodes")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long rates are measured")
    parser.add_argument(
        "--physics", action="store_true", help="measure the simulated physics (some minutes)"
    )
    parser.add_argument("--all", action="store_true", help="show also what is in order")
    parser.add_argument("--json", type=Path, help="write all findings there")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Look, print; 1 where anything fails."""
    from rich.console import Console

    console = Console()
    if args.physics:
        return _physics(args, console)
    from selfgrasp_nodes.doctor import Level, environment_findings

    findings: list[Finding] = []
    if not args.graph:
        with console.status("looking at this machine ..."):
            findings += list(environment_findings(args.robot))
    usable = not any(f.level == Level.FAIL and f.area in ("ROS", "interfaces") for f in findings)
    if usable and not args.no_graph:
        from selfgrasp_nodes.nodes.graph_check import graph_findings

        with console.status("listening to the graph ..."):
            findings += graph_findings(args.robot, args.namespace, args.seconds, args.graph)
    if args.json:
        content = [{**vars(f), "level": f.level.value} for f in findings]
        args.json.write_text(json.dumps(content, indent=1))
    show(console, findings, args.all)
    return 1 if any(f.level == Level.FAIL for f in findings) else 0


def show(console: Any, findings: Iterable[Finding], everything: bool) -> None:
    """One table; what is in order is one line an area unless everything is asked for."""
    from rich.markup import escape
    from rich.table import Table

    from selfgrasp_nodes.doctor import Level

    findings = list(findings)
    marks = {
        Level.OK: "[green]ok[/]",
        Level.WARN: "[yellow]warning[/]",
        Level.FAIL: "[bold red]fails[/]",
    }
    table = Table(show_lines=False)
    for heading in ("", "what", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for area in dict.fromkeys(f.area for f in findings):
        here = [f for f in findings if f.area == area]
        shown = here if everything else [f for f in here if f.level != Level.OK]
        if not everything and len(here) > len(shown):
            # The few figures that a report of a fault should always hold.
            told = area in ("machine", "graph", "cameras", "clock")
            quiet = [f for f in here if f.level == Level.OK]
            if told:
                shown = here
            else:
                names = ", ".join(f.name for f in quiet)
                names = names if len(names) < 90 else f"{len(quiet)} things"
                table.add_row(marks[Level.OK], f"[bold]{escape(area)}[/]", escape(names), "")
        for f in shown:
            name = f"[bold]{escape(f.area)}[/] {escape(f.name)}"
            table.add_row(marks[f.level], name, escape(f.found), escape(f.remedy))
    console.print(table)
    failed = sum(f.level == Level.FAIL for f in findings)
    warned = sum(f.level == Level.WARN for f in findings)
    if failed or warned:
        console.print(f"{failed} fail, {warned} warnings, of {len(findings)} looked at")
    else:
        console.print(f"all {len(findings)} are in order")


def _physics(args: argparse.Namespace, console: Any) -> int:
    from rich.table import Table

    from selfgrasp_nodes.robots import load_robot
    from selfgrasp_nodes.simulation.physics_check import physics_checks

    robot = load_robot(args.robot)
    with console.status(f"measuring the physics of {robot.name} ..."):
        checks = physics_checks(robot)
    table = Table(title=f"Physics of {robot.name}")
    for heading in ("", "measured", "value", "bound", "how"):
        table.add_column(heading)
    for check in checks:
        mark = "[green]ok[/]" if check.passed else "[bold red]fails[/]"
        value, bound = (f"{v:.4g} {check.unit}" for v in (check.value, check.bound))
        table.add_row(mark, check.name, value, bound, check.detail)
    console.print(table)
    if args.json:
        content = [{**vars(check), "passed": check.passed} for check in checks]
        args.json.write_text(json.dumps(content, indent=1))
    return 0 if all(check.passed for check in checks) else 1
