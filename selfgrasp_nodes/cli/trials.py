"""``selfgrasp trials``: what a recorded run or a training store holds; stores made of others."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from selfgrasp_nodes.cli import trials_store
from selfgrasp_nodes.errors import InvalidConfig

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from selfgrasp_nodes.trials.reader import RunReader
    from selfgrasp_nodes.trials.record import TrialRecord

HELP = "look into recorded runs and training stores"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the verb."""
    parser = subparsers.add_parser("trials", help=HELP, description=HELP)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    info = actions.add_parser("info", help="list a run's trials and outcomes, or count a store's")
    info.add_argument("run_folder", metavar="RUN", type=Path, help="the run's folder, or a store")
    info.add_argument(
        "--last", type=int, default=0, metavar="N", help="only the last N trials of a run"
    )
    info.add_argument("--json", action="store_true", help="print the index as JSON lines instead")
    info.add_argument("--verify", action="store_true", help="read every message of every trial")
    info.set_defaults(run=run)
    trials_store.add_actions(actions)


def run(args: argparse.Namespace) -> int:
    """Print the table; with ``--verify`` 1 where a trial cannot be read."""
    if args.last and args.run_folder.is_file():
        raise InvalidConfig(
            f"--last lists trials of a recorded run, and {args.run_folder} is a store: leave it "
            "away, or read the tries themselves with TrialStore.iterate (docs/collect.md)"
        )
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
        console.print(_table(reader, len(records), console))
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


_COLUMNS: dict[str, Literal["left", "right"]] = {
    "#": "right",
    "trial": "left",
    "action": "left",
    "policy": "left",
    "arm": "left",
    "x, y, z [mm]": "right",
    "angle [deg]": "right",
    "outcome": "left",
    "conf.": "right",
    "width [mm]": "right",
    "force [N]": "right",
    "time [s]": "right",
    "messages": "right",
    "MB": "right",
}
"""Heading of each column -> how it is set."""

_LEAVE_OUT = ("trial", "messages", "arm", "MB", "conf.", "policy", "time [s]", "angle [deg]")
"""What a narrow terminal does without, the least of it first."""


def _table(reader: RunReader, last: int, console: Console) -> Table:
    """The last trials, a line each; columns that find no room on the terminal are left out."""
    from rich.markup import escape
    from rich.measure import Measurement
    from rich.table import Table

    rows = [_cells(record) for record in reader.records[-last:]]
    for dropped in range(len(_LEAVE_OUT) + 1):
        table = Table(title=f"{last} of {len(reader)} trials")
        shown = [heading for heading in _COLUMNS if heading not in _LEAVE_OUT[:dropped]]
        for heading in shown:
            table.add_column(escape(heading), justify=_COLUMNS[heading], no_wrap=True)
        for row in rows:
            table.add_row(*(row[heading] for heading in shown))
        free = console.options.update(width=1000)
        if Measurement.get(console, free, table).maximum <= console.width:
            break
    return table


def _cells(record: TrialRecord) -> dict[str, str]:
    """One trial's text for each column."""
    candidate, outcome = record.candidate, record.outcome
    good = record.code in ("SUCCESS", "CHANGED")
    return {
        "#": str(record.index),
        "trial": record.trial_id,
        "action": str(candidate.get("primitive", "?")).lower(),
        "policy": str(candidate.get("policy", "")),
        "arm": str(candidate.get("arm", "")),
        "x, y, z [mm]": " ".join(_number(v, 1e3, 0) for v in candidate.get("position", [])),
        "angle [deg]": _number(candidate.get("angle"), 180 / math.pi, 0),
        "outcome": f"[{'green' if good else 'yellow'}]{record.code.lower()}[/]",
        "conf.": _number(outcome.get("confidence"), 1, 2),
        "width [mm]": _number(outcome.get("width_lifted"), 1e3, 1),
        "force [N]": _number(outcome.get("force_held"), 1, 1),
        "time [s]": _number((record.end - record.start) * 1e-9 if record.end else None, 1, 1),
        "messages": str(record.messages),
        "MB": _number(record.bytes, 1e-6, 1),
    }


def _summary_text(reader: RunReader) -> str:
    counts: dict[str, int] = {}
    for record in reader.records:
        counts[record.code] = counts.get(record.code, 0) + 1
    text = ", ".join(f"{n} {code.lower()}" for code, n in sorted(counts.items()))
    size = sum(record.bytes for record in reader.records) / 1e6
    return f"{len(reader)} trials ({text or 'none'}), {size:.1f} MB"


def _number(value: float | None, scale: float, digits: int) -> str:
    return "-" if value is None else f"{value * scale:.{digits}f}"


def _verify(reader: RunReader, console: Console) -> int:
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
        console.print(f"[red]{line}[/red]")
    console.print(f"{len(reader) - len(bad)} of {len(reader)} trials are whole")
    return 1 if bad else 0
