"""``selfgrasp trials`` on training stores: info, export, merge, from-bag, import."""

from __future__ import annotations

import argparse
import json
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def add_actions(actions: argparse._SubParsersAction) -> None:
    """Register the actions that make or read stores."""
    export = actions.add_parser(
        "export", help="write a store's patches in the layout of the CMU data set"
    )
    export.add_argument("store", metavar="STORE", type=Path)
    export.add_argument("folder", metavar="FOLDER", type=Path, help="new folder")
    export.add_argument("--pixels", type=int, default=227, help="rows and columns of a patch")
    export.add_argument("--where", default="", help="SQL condition on the tries, e.g. 'stage = 0'")
    export.set_defaults(run=run_export)

    merge = actions.add_parser("merge", help="put stores of one geometry together")
    merge.add_argument("out", metavar="OUT", type=Path, help="made, or added to")
    merge.add_argument("stores", metavar="STORE", type=Path, nargs="+")
    merge.set_defaults(run=run_merge)

    bag = actions.add_parser("from-bag", help="turn a robot's recorded run into a store")
    bag.add_argument("run_folder", metavar="RUN", type=Path, help="the run's folder")
    bag.add_argument("out", metavar="STORE", type=Path, help="made, or added to")
    bag.add_argument(
        "--stage",
        type=int,
        help="0 for random tries, k for stage k (default: 0 for those that were drawn at random, "
        "1 for others)",
    )
    bag.set_defaults(run=run_from_bag)

    take = actions.add_parser("import", help="read patches in the layout of the CMU data set")
    take.add_argument("folder", metavar="FOLDER", type=Path)
    take.add_argument("out", metavar="STORE", type=Path, help="new store")
    take.add_argument("--robot", default="baxter", help="that made the grasps")
    take.add_argument(
        "--split",
        action="append",
        default=[],
        choices=("Train", "Validation", "Test"),
        help="part of the data set, may be given several times (default: Train and Validation; "
        "Test belongs into a store of its own, which nothing is trained on)",
    )
    take.add_argument(
        "--run-id", default="", help="id of the run (default: made of what is imported)"
    )
    take.add_argument("--pixels", type=int, default=192, help="rows and columns of what is kept")
    take.add_argument(
        "--angle-offset",
        type=float,
        default=0.0,
        metavar="RAD",
        help="added to each angle: here angles are those at which the fingers close, from the "
        "image's columns towards its rows",
    )
    take.set_defaults(run=run_import)


def show_info(path: Path, as_json: bool, verify: bool) -> int:
    """Counts of a store, a block for each run, policy, stage and object set."""
    from rich.console import Console
    from rich.markup import escape

    from selfgrasp_nodes.trials.store import TrialStore

    with TrialStore.open(path) as store:
        if verify:
            store.check()
            whole = sum(1 for _ in store.iterate())
        info: dict[str, Any] = store.info()
    if as_json:
        print(json.dumps(info))
        return 0
    console = Console()
    sizes, each = info["geometry"], info["bytes_per_try"]
    size = f"{info['bytes'] / 1e6:.1f} MB" + (f", {each / 1e3:.1f} KB a try" if each else "")
    console.print(
        f"[bold]{escape(str(path))}[/bold]: {info['tries']} tries, {size}\n"
        f"crops of {sizes['crop_pixels']} px and {1e3 * sizes['crop_side']:.0f} mm, patches of "
        f"{1e3 * sizes['patch_side']:.0f} mm"
    )
    for shared, groups in groupby(info["groups"], key=itemgetter(*_SHARED)):
        run, robot, policy, stage, objects = shared
        console.print(f"\n[bold]{escape(run)}[/bold]")
        console.print(escape(f"{robot}, {policy}, stage {stage}, {objects or 'unknown objects'}"))
        console.print(_views(list(groups)))
    for run in sorted({*info["runs"]} - {group["run"] for group in info["groups"]}):
        console.print(f"\n[bold]{escape(run)}[/bold]\nno try yet")
    if info["codes"]:
        console.print()
        console.print(", ".join(f"{n} {code.lower()}" for code, n in info["codes"].items()))
    if verify:
        console.print(f"{whole} of {info['tries']} tries are whole")
    return 0


_SHARED = ("run", "robot", "policy", "stage", "object_set")
"""What the lines of one block have in common."""


def _views(groups: list[dict[str, Any]]) -> Table:
    """A line for each view."""
    from rich.table import Table

    from selfgrasp_nodes.learning.metrics import proportion

    table = Table()
    table.add_column("view", no_wrap=True)
    for heading in ("tries", "labelled", "positive", "% [95 % interval]"):
        table.add_column(heading, justify="right", no_wrap=True)
    for group in groups:
        counts = [group[name] for name in ("tries", "labelled", "positives")]
        share = proportion(group["positives"], group["labelled"])
        table.add_row(group["view"], *map(str, counts), str(share))
    return table


def run_export(args: argparse.Namespace) -> int:
    """Write patches."""
    from selfgrasp_nodes.learning.cmu_patches import export_patches
    from selfgrasp_nodes.trials.store import TrialStore

    with TrialStore.open(args.store) as store:
        counts = export_patches(store, args.folder, args.pixels, args.where)
    print(f"{args.folder}: {counts['positive']} positive and {counts['negative']} negative")
    return 0


def run_merge(args: argparse.Namespace) -> int:
    """Put stores together."""
    from selfgrasp_nodes.trials.store import TrialStore

    sources = [TrialStore.open(path) for path in args.stores]
    for source in sources[1:]:  # before OUT is made
        sources[0].check_geometry(source)
    exists = args.out.exists()
    out = (
        TrialStore.open(args.out, write=True)
        if exists
        else TrialStore.create(args.out, sources[0].geometry)
    )
    with out:
        for source in sources:
            with source:
                count = len(source)
                added = out.merge(source)
                print(f"{source.path}: {added} of {count} tries added")
        print(f"{args.out}: {len(out)} tries")
    return 0


def run_from_bag(args: argparse.Namespace) -> int:
    """Turn a run into a store."""
    from rich.progress import Progress

    from selfgrasp_nodes.learning.from_bag import bag_to_store

    with Progress() as progress:
        task = progress.add_task(str(args.run_folder), total=None)
        done = bag_to_store(
            args.run_folder,
            args.out,
            args.stage,
            lambda number, total: progress.update(task, completed=number, total=total),
        )
    print(
        f"{args.out}: {done.stored} tries added, {done.known} were there, {done.pushes} pushes "
        f"and {len(done.unreadable)} grasps without a crop left out"
    )
    for line in done.unreadable[:10]:
        print(f"  {line}")
    return 0


def run_import(args: argparse.Namespace) -> int:
    """Read patches."""
    from selfgrasp_nodes.learning.cmu_patches import import_patches
    from selfgrasp_nodes.robots import load_robot

    robot = load_robot(args.robot)
    done = import_patches(
        args.folder,
        args.out,
        robot.arms[0].gripper,
        robot.name,
        args.run_id,
        args.pixels,
        args.angle_offset,
        args.split,
    )
    print(f"{args.out}: {done.positive} positive and {done.negative} negative, run {done.run}")
    for split, count in () if args.split else done.left_out.items():
        print(
            f"{count} of {split} left out; into a store of their own: selfgrasp trials import "
            f"--split {split} {args.folder} OTHER_STORE"
        )
    return 0
