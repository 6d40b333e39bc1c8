"""``selfgrasp exec``: any program in the ROS environment."""

from __future__ import annotations

import argparse
import os
import shutil

from selfgrasp_nodes.errors import UnknownName

HELP = "run another program in the ROS environment: selfgrasp exec python my_client.py"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the verb."""
    parser = subparsers.add_parser("exec", help=HELP, description=HELP)
    parser.add_argument("program", help="program to run")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Replace this process by the program.

    Raises:
        UnknownName: If there is no such program.
    """
    from selfgrasp_nodes.cli import environment

    variables = {**os.environ, **environment.ros_environment(os.environ)}
    program = shutil.which(args.program, path=variables.get("PATH"))
    if program is None:
        raise UnknownName("program", args.program, ["a file, or a name on the PATH"])
    os.execve(program, [args.program, *args.arguments], variables)
