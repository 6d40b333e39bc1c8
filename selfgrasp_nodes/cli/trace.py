"""``selfgrasp trace``: is the workspace where the robot thinks it is?"""

from __future__ import annotations

import argparse

HELP = "lead the hand round the workspace's border; confirm it before a robot's first try"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "trace",
        help=HELP,
        description="With the graph running (selfgrasp up robot), leads the hand round the border "
        "of the workspace, above the table, and asks whether that was right. Until somebody has "
        "said yes, a robot's bring-up executes nothing.",
    )
    parser.add_argument("--robot", default="ur5_rg2", help="robot's name or YAML file")
    parser.add_argument("--speed", type=float, default=0.2, help="share of full speed, 0 to 1")
    parser.add_argument("--height", type=float, default=0.12, help="of the fingertips [m]")
    parser.add_argument("--namespace", default="", help="in which the graph runs")
    parser.add_argument("--yes", action="store_true", help="confirm without asking")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Trace, ask, confirm; 1 where it was not confirmed."""
    from selfgrasp_nodes.errors import InvalidConfig
    from selfgrasp_nodes.nodes.tracer import Tracer

    if not 0 < args.speed <= 1:
        raise InvalidConfig(f"--speed must be in (0, 1], not {args.speed}")
    if not 0.02 <= args.height <= 0.4:
        raise InvalidConfig(f"--height must be 0.02 to 0.4 m, not {args.height}")
    with Tracer(args.robot, args.namespace) as tracer:
        size = " x ".join(f"{side:.3f}" for side in tracer.robot.workspace.size)
        print(f"the workspace measures {size} m; keep clear of the arm, Ctrl-C stops it")
        tracer.trace(args.speed, args.height, lambda n, of: print(f"  {n} of {of}", flush=True))
        if not args.yes and not _agreed("did the hand go round the part of the table meant? "):
            print("not confirmed: correct world_T_base and workspace in the robot's description")
            return 1
        tracer.confirm()
    print("confirmed: candidates are executed from now on")
    return 0


def _agreed(question: str) -> bool:
    try:
        return input(question + "[y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
