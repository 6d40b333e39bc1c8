"""``selfgrasp env``: the ROS environment, for a shell to source."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys

HELP = "print the ROS environment for a shell: source <(selfgrasp env)"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "env",
        help=HELP,
        description="Print the variables with which other ROS programs join in: "
        "source <(.venv/bin/selfgrasp env).",
    )
    parser.add_argument("--json", action="store_true", help="as a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print; what is wrong with the machine goes to standard error."""
    from selfgrasp_nodes.cli import environment, shared_memory

    variables = environment.ros_environment(os.environ)
    if args.json:
        print(json.dumps(variables, indent=1, sort_keys=True))
    else:
        for name, value in sorted(variables.items()):
            print(f"export {name}={shlex.quote(value)}")
    message = shared_memory.choose_profile().message
    if message:
        print(f"selfgrasp: {message}", file=sys.stderr)
    return 0
