"""``selfgrasp trials``: what a recorded run or a training store holds; stores made of others."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from selfgrasp_nodes.cli import trials_store

if TYPE_CHECKING:
    from rich.table import Table

    from selfgrasp_nodes.trials.reader import RunReader

HELP = "look into recorded runs and training stores"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the verb."""
    parser = subparsers.add_parser("trials", help=HELP, description=HELP)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    info = actions.add_parser("info", help="list a run's trials and outcomes, or count a store's")
    info.add_argument("run_folder", metavar="RUN", type=Path, help="the run's folder, or a store")
    info.add_argument("--last", type=int, default=0, metavar="N", help="only the last N trials")
    info.add_argument("--json", action="store_true", help="print the index as JSON lines instead")
    info.add_argument("--verify", action="store_true", help="read every message of every trial")
    info.set_defaults(run=run)
    trials_store.add_actions(actions)


def run(args: argparse.Namespace) -> int:
    """Print the table; with ``--verify`` 1 where a trial cannot be read."""
    if args.run_folder.is_file():
        return trials_store.show_info(args.run_folder, args.json, args.verify)
    from rich.console import Console

    from selfgrasp_nodes.trials.reader import RunReader

    reader = RunReader(args.run_folder)
    if args.last < 0:
        print("--last must not be negative")
        return 2
    records = reader.records[-args.last :] if args.last else reader.records
    if args.json:
        for record in records:
            print(record.to_json())
        return 0
    console = Console()
    console.print(_session_text(reader))
    if records:
        console.print(_table(reader, len(records)))
    console.print(_summary_text(reader))
    return _verify(reader, console) if args.verify else 0


def _session_text(reader: RunReader) -> str:
    session = reader.session
    bags = sorted({record.bag.split("/")[0] for record in reader.records})
    play = " ".join(str(reader.path / bag) for bag in bags)
    versions = ", ".join(f"{k} {v}" for k, v in session.get("versions", {}).items() if v)
    return (
        f"[bold]{session['run_id']}[/bold]: robot {session.get('robot') or '?'}, seed "
        f"{session.get('seed')}, configuration {session.get('config_digest') or '?'}\n"
        f"started {', '.join(session.get('started', []))}\n{versions}\n"
        + (f"replay: ros2 bag play {play}" if bags else "no trial is finished yet")
    )


def _table(reader: RunReader, last: int) -> Table:
    from rich.table import Table

    table = Table(title=f"{last} of {len(reader)} trials")
    for heading, right in (
        ("#", True),
        ("trial", False),
        ("action", False),
        ("policy", False),
        ("arm", False),
        ("x, y, z [mm]", True),
        ("angle [deg]", True),
        ("outcome", False),
        ("conf.", True),
        ("width [mm]", True),
        ("force [N]", True),
        ("time [s]", True),
        ("messages", True),
        ("MB", True),
    ):
        table.add_column(heading, justify="right" if right else "left")
    for record in reader.records[-last:]:
        candidate, outcome = record.candidate, record.outcome
        good = record.code in ("SUCCESS", "CHANGED")
        table.add_row(
            str(record.index),
            record.trial_id,
            str(candidate.get("primitive", "?")).lower(),
            str(candidate.get("policy", "")),
            str(candidate.get("arm", "")),
            " ".join(_number(v, 1e3, 0) for v in candidate.get("position", [])),
            _number(candidate.get("angle"), 180 / math.pi, 0),
            f"[{'green' if good else 'yellow'}]{record.code.lower()}[/]",
            _number(outcome.get("confidence"), 1, 2),
            _number(outcome.get("width_lifted"), 1e3, 1),
            _number(outcome.get("force_held"), 1, 1),
            _number((record.end - record.start) * 1e-9 if record.end else None, 1, 1),
            str(record.messages),
            _number(record.bytes, 1e-6, 1),
        )
    return table


def _summary_text(reader: RunReader) -> str:
    counts: dict[str, int] = {}
    for record in reader.records:
        counts[record.code] = counts.get(record.code, 0) + 1
    text = ", ".join(f"{n} {code.lower()}" for code, n in sorted(counts.items()))
    size = sum(record.bytes for record in reader.records) / 1e6
    return f"{len(reader)} trials ({text or 'none'}), {size:.1f} MB"


def _number(value: float | None, scale: float, digits: int) -> str:
    return "-" if value is None else f"{value * scale:.{digits}f}"


def _verify(reader: RunReader, console: object) -> int:
    """Read everything; count the trials that are whole."""
    from selfgrasp_nodes.errors import StorageError

    bad = []
    for trial in reader.trials():
        try:
            count = sum(1 for message in trial.messages() if message.decode() is not None)
            if count != trial.record.messages:
                bad.append(f"{trial.record.trial_id}: {count} of {trial.record.messages} messages")
        except StorageError as error:
            bad.append(f"{trial.record.trial_id}: {error}")
    for line in bad:
        console.print(f"[red]{line}[/red]")  # type: ignore[attr-defined]
    console.print(f"{len(reader) - len(bad)} of {len(reader)} trials are whole")  # type: ignore[attr-defined]
    return 1 if bad else 0
