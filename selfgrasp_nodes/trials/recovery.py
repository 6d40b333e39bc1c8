"""Puts a run in order that a killed process left behind."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.trials.files import guarded
from selfgrasp_nodes.trials.index import TrialIndex
from selfgrasp_nodes.trials.mcap import inspect
from selfgrasp_nodes.trials.message_types import MessageTypes
from selfgrasp_nodes.trials.metadata import FILE_NAME, BagMetadata, load_metadata

_BAG = re.compile(r"^bag(?:_(\d+))?$")
_TRIAL = re.compile(r"^trial_(\d+)\.mcap$")


def bag_folder(run: Path, number: int) -> Path:
    """The run's rosbag2 folder of that number; the first is ``bag``."""
    return run / ("bag" if number == 0 else f"bag_{number}")


def bag_number(folder: Path) -> int:
    """The inverse of :func:`bag_folder`."""
    match = _BAG.match(folder.name)
    if match is None:
        raise StorageError(f"{folder} is not a bag of a run (bag, bag_1, bag_2, ...)")
    return int(match.group(1) or 0)


def bag_folders(run: Path) -> list[Path]:
    """All rosbag2 folders of a run, oldest first."""
    found = [p for p in run.iterdir() if p.is_dir() and _BAG.match(p.name)]
    return sorted(found, key=bag_number)


def _files(bag: Path) -> list[Path]:
    return sorted(p for p in bag.iterdir() if _TRIAL.match(p.name))


def next_number(run: Path) -> int:
    """Number of the next trial's file, larger than any that is there."""
    numbers = [-1]
    for bag in bag_folders(run):
        numbers += [int(found[1]) for p in bag.iterdir() if (found := _TRIAL.match(p.name))]
    return max(numbers) + 1


def recover(
    run: Path, index: TrialIndex, types: MessageTypes
) -> tuple[Path, BagMetadata, list[str]]:
    """Remove what was unfinished, enter what was finished but not entered.

    Returns:
        The bag to go on with, its metadata, and the ids of the trials that
        were entered now.

    Raises:
        StorageError: If a file that the metadata lists is missing.
    """
    with guarded("cannot clean up", run):
        shutil.rmtree(run / ".staging", ignore_errors=True)
        bags = bag_folders(run)
    entered = {record.bag for record in index.records}
    recovered = []
    bag, metadata = bag_folder(run, 0), BagMetadata()
    for bag in bags:
        metadata = load_metadata(bag) if (bag / FILE_NAME).is_file() else BagMetadata()
        missing = [p for p in metadata.paths if not (bag / p).is_file()]
        if missing:
            raise StorageError(
                f"{bag} lacks {', '.join(missing)}, which its metadata lists: bring the "
                "files back, or record into another run folder"
            )
        for path in _files(bag):
            name = f"{bag.name}/{path.name}"
            if path.name in metadata.paths and name in entered:
                continue
            file, topics, record, compressed = inspect(path, types)
            if path.name not in metadata.paths:
                metadata = metadata.with_file(file, topics)
                metadata.compressed_messages = compressed
                metadata.custom = metadata.custom or {"run_id": record.run_id}
                with guarded("cannot write", bag / FILE_NAME):
                    metadata.save(bag)
            if name not in entered:
                index.append(
                    dataclasses.replace(
                        record, bag=name, messages=file.messages, bytes=path.stat().st_size
                    )
                )
                recovered.append(record.trial_id)
    return bag, metadata, recovered
