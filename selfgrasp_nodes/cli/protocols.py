"""``selfgrasp evaluate --protocol``: the measures of papers; their options, and which is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

PROTOCOLS = ("pinto", "vpg-random", "vpg-hard")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What only protocols take."""
    group = parser.add_argument_group("the measures of papers")
    group.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        help="measure the tables of a paper: 'pinto' on the folder of a curriculum, "
        "'vpg-random' on objects dropped at random, 'vpg-hard' on the arrangements of --scenes",
    )
    group.add_argument(
        "--row",
        action="append",
        metavar="'NAME: POLICY key=value ...'",
        help="a row of the table (vpg): a policy with parameters; checkpoint=FILE,FILE,... names "
        "one checkpoint for each training seed, primitives=grasp forbids pushes; may be given "
        "several times, the others are set against the first (default: one for each --policy)",
    )
    group.add_argument(
        "--data",
        type=Path,
        action="append",
        help="folder that a curriculum made (pinto); may be given once for each robot",
    )
    group.add_argument(
        "--curriculum",
        type=Path,
        action="append",
        help="YAML that it was made with, as often as --data (pinto)",
    )
    group.add_argument("--out", type=Path, help="folder for tables, plots and each row's runs")
    group.add_argument("--parts", default="", help="only these, e.g. 'table1,table2' (pinto)")
    group.add_argument(
        "--small",
        action="store_true",
        help="a tenth of the tries on the robot and of the ceiling (pinto)",
    )


def run_protocol(args: argparse.Namespace) -> int:
    """Measure what ``--protocol`` names; 130 where Ctrl-C ended it early."""
    from rich.console import Console

    console = Console()
    if args.protocol != "pinto":
        from selfgrasp_nodes.cli.vpg import run_vpg

        return run_vpg(args, console)
    from selfgrasp_nodes.cli.pinto import run_pinto
    from selfgrasp_nodes.cli.train import require_torch
    from selfgrasp_nodes.errors import InvalidConfig

    require_torch()
    if not args.data or len(args.data) != len(args.curriculum or ()):
        raise InvalidConfig(
            "--protocol pinto needs --data DIR and --curriculum FILE; for several robots, each "
            "as often as there are robots, in the same order"
        )
    run_pinto(args, console)
    return 0
