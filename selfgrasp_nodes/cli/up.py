"""``selfgrasp up``: start the whole graph without a ROS launch system."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from selfgrasp_nodes.supervisor import Supervisor

HELP = "start all nodes: simulation, robot, or a night's recording"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "up",
        help=HELP,
        description=HELP + ". Arguments are those of the launch files, written the same way: "
        "'selfgrasp up sim objects:=5 seed:=3'.",
    )
    parser.add_argument("kind", choices=("sim", "robot", "collect"), help="what to start")
    parser.add_argument("arguments", nargs="*", metavar="name:=value")
    parser.add_argument("--show-args", action="store_true", help="list the arguments and exit")
    parser.add_argument(
        "--show-nodes", action="store_true", help="list what would run where and exit"
    )
    parser.set_defaults(run=run)


def parse(given: list[str]) -> dict[str, str]:
    """``name:=value`` texts as a dictionary.

    Raises:
        InvalidConfig: If one is written otherwise.
    """
    from selfgrasp_nodes.errors import InvalidConfig

    values = {}
    for text in given:
        name, separator, value = text.partition(":=")
        if not separator or not name:
            raise InvalidConfig(f"{text!r} is not of the form name:=value")
        values[name] = value
    return values


def run(args: argparse.Namespace) -> int:
    """Start, watch, end."""
    from selfgrasp_nodes import bringup
    from selfgrasp_nodes.errors import Unavailable
    from selfgrasp_nodes.supervisor import Supervisor, stop_event

    if args.show_args:
        _show_arguments(args.kind)
        return 0
    description = bringup.describe(args.kind, parse(args.arguments))
    if args.show_nodes:
        for process in description.processes:
            names = ", ".join(node.name for node in process.nodes) or process.command[0]
            print(f"{process.name}: {names} (when it dies: {process.on_death.value})")
        return 0
    stop = stop_event()
    supervisor = Supervisor(description)
    started = time.monotonic()
    try:
        supervisor.start()
        try:
            _wait_ready(supervisor, stop)
        except Unavailable as error:
            print(f"[selfgrasp] {error}", file=sys.stderr, flush=True)
            return 1
        if not stop.is_set():
            took = time.monotonic() - started
            print(f"[selfgrasp] all nodes are up after {took:.1f} s; Ctrl-C ends", flush=True)
        return supervisor.run(stop)
    finally:
        supervisor.stop()


def _wait_ready(supervisor: Supervisor, stop: threading.Event) -> None:
    """Wait for the nodes, but not against a wish to stop."""
    from selfgrasp_nodes.errors import Unavailable

    limit = time.monotonic() + 90
    while not stop.is_set():
        try:
            supervisor.wait_ready(0.2)
            return
        except Unavailable:
            if supervisor.deaths or time.monotonic() > limit:
                raise


def _show_arguments(kind: str) -> None:
    from selfgrasp_nodes.bringup_arguments import arguments

    print(f"Arguments of '{kind}' (name:=value):\n")
    for argument in arguments(kind):
        print(f"    '{argument.name}':")
        choices = f" Valid choices: {', '.join(argument.choices)}." if argument.choices else ""
        print(f"        {argument.description}.{choices}")
        print(f"        (default: {argument.default!r})\n")
