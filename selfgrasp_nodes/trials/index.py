"""The index of a run: JSON lines, one a finished trial, appended and synced."""

from __future__ import annotations

import os
from pathlib import Path

from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.trials.files import guarded
from selfgrasp_nodes.trials.record import TrialRecord

FILE_NAME = "index.jsonl"


def read_index(path: Path) -> list[TrialRecord]:
    """All complete lines of an index, oldest first.

    A last line without its line end is what a killed process left of a trial
    that was not finished: it is left out.

    Raises:
        StorageError: If a complete line is not a record, with its number.
    """
    return _parse(path)[0]


def _parse(path: Path) -> tuple[list[TrialRecord], int]:
    """The records, and the length in bytes of the complete lines."""
    if not path.is_file():
        return [], 0
    with guarded("cannot read the index", path):
        data = path.read_bytes()
    complete = data.rfind(b"\n") + 1
    records = []
    for number, line in enumerate(data[:complete].splitlines(), start=1):
        try:
            records.append(TrialRecord.from_json(line.decode("utf-8")))
        except (StorageError, UnicodeDecodeError) as error:
            raise StorageError(
                f"{path}, line {number}: {error}; remove that line, the trial itself is "
                "still in its bag file and is entered again when the run is resumed"
            ) from error
    return records, complete


class TrialIndex:
    """Appends to an index; on opening, cuts off an incomplete last line.

    Attributes:
        path: The file.
        records: All lines so far.
    """

    def __init__(self, path: Path) -> None:
        """Open or create it.

        Raises:
            StorageError: If it cannot be written, or a complete line is damaged.
        """
        self.path = path
        self.records, complete = _parse(path)
        with guarded("cannot open the index", path):
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            os.ftruncate(self._handle, complete)
            os.fsync(self._handle)
        self._length = complete

    def append(self, record: TrialRecord) -> None:
        """Add one line; on return it is on disk.

        Raises:
            StorageError: If it could not be written; the index is as before.
        """
        line = (record.to_json() + "\n").encode("utf-8")
        with guarded("cannot append to the index", self.path):
            try:
                written = 0
                while written < len(line):
                    written += os.pwrite(self._handle, line[written:], self._length + written)
                os.fsync(self._handle)
            except OSError:
                os.ftruncate(self._handle, self._length)
                raise
        self._length += len(line)
        self.records.append(record)

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)
