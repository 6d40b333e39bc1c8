"""Reading of a training store: tries, columns, runs and counts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from selfgrasp_nodes.errors import StorageError, UnknownName
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.trials.store_file import readable, remedy
from selfgrasp_nodes.trials.store_record import COLUMNS, PICTURES, PLAIN, StoredTry, from_row

Key = tuple[str, int, int]
"""Run, episode and try."""
_Self = TypeVar("_Self", bound="StoreReader")


class StoreReader:
    """What can be read of an open store; use it as a context manager.

    Attributes:
        path: The file.
        geometry: Of its crops.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, geometry: PatchGeometry):
        """Use :meth:`selfgrasp_nodes.trials.store.TrialStore.open`."""
        self.path = path
        self.geometry = geometry
        self._connection = connection

    def __len__(self) -> int:
        with readable(self.path):
            return int(self._connection.execute("SELECT COUNT(*) FROM tries").fetchone()[0])

    def keys(self, where: str = "", values: Sequence[Any] = ()) -> list[Key]:
        """The keys, in order; ``where`` as for :meth:`iterate`."""
        return [
            (str(row[0]), int(row[1]), int(row[2]))
            for row in self._select('run, episode, "try"', where, values)
        ]

    def iterate(
        self, where: str = "", values: Sequence[Any] = (), pictures: bool = True
    ) -> Iterator[StoredTry]:
        """The tries in the order of their keys.

        Args:
            where: An SQL condition on the columns, e.g. ``"stage = ? AND success
                IS NOT NULL"``; all where empty.
            values: For its question marks.
            pictures: Whether crops are read, too; without them it is fast.

        Raises:
            StorageError: If the file is damaged, or the condition is wrong.
        """
        names = [n for n in COLUMNS if pictures or n not in PICTURES]
        for row in self._select(", ".join(f'"{n}"' for n in names), where, values):
            yield from_row(dict(row))

    def check_where(self, where: str, values: Sequence[Any] = ()) -> None:
        """Refuse a condition that :meth:`iterate` could not use.

        Raises:
            StorageError: With what is wrong and the columns.
        """
        try:
            self._connection.execute(
                f"EXPLAIN SELECT run FROM tries WHERE {where or '1'}", tuple(values)
            ).close()
        except (sqlite3.OperationalError, sqlite3.ProgrammingError, sqlite3.Warning) as error:
            if isinstance(error, sqlite3.OperationalError) and remedy(error):
                return  # it is the file's fault: reading says so
            raise StorageError(
                f"the condition {where!r} cannot be used: {error}. Write one SQL condition on the "
                f"columns, e.g. 'stage = 0'; there are: {', '.join(PLAIN)}"
            ) from error

    def get(self, key: Key) -> StoredTry:
        """One try.

        Raises:
            UnknownName: If there is none of this key.
        """
        for stored in self.iterate('run = ? AND episode = ? AND "try" = ?', key):
            return stored
        raise UnknownName("try", key, [str(k) for k in self.keys()[:5]])

    def columns(
        self, names: Sequence[str] = PLAIN, where: str = "", values: Sequence[Any] = ()
    ) -> dict[str, np.ndarray]:
        """Columns as arrays, in the order of the keys: for what needs no picture.

        Args:
            names: Of plain columns; ``success`` becomes float with NaN for None.
            where: As for :meth:`iterate`.
            values: For its question marks.

        Raises:
            UnknownName: If a column is not plain.
        """
        for name in names:
            if name not in PLAIN:
                raise UnknownName("column", name, PLAIN)
        rows = list(self._select(", ".join(f'"{n}"' for n in names), where, values))
        found = {}
        for index, name in enumerate(names):
            column = [row[index] for row in rows]
            if COLUMNS[name].startswith("TEXT"):
                found[name] = np.array(column, dtype=str)
            elif COLUMNS[name].endswith("NOT NULL"):
                found[name] = np.array(column, int if "INTEGER" in COLUMNS[name] else float)
            else:
                found[name] = np.array([np.nan if v is None else v for v in column], float)
        return found

    def episodes(self, run: str) -> dict[int, int]:
        """Labelled tries of each finished episode of a run, by its number."""
        with readable(self.path):
            cursor = self._connection.execute(
                "SELECT episode, tries FROM episodes WHERE run = ? ORDER BY episode", (run,)
            )
            return {int(row[0]): int(row[1]) for row in cursor}

    def runs(self) -> dict[str, dict[str, Any]]:
        """What each run was collected with."""
        with readable(self.path):
            cursor = self._connection.execute("SELECT run, meta FROM runs ORDER BY run")
            return {str(row[0]): json.loads(row[1]) for row in cursor}

    def info(self) -> dict[str, Any]:
        """Counts by stage, label and outcome; size on disk, a try's None where there is none."""
        with readable(self.path):
            execute = self._connection.execute
            groups = [
                dict(row)
                for row in execute(
                    "SELECT run, robot, view, policy, stage, object_set, COUNT(*) AS tries, "
                    "COUNT(success) AS labelled, COALESCE(SUM(success), 0) AS positives "
                    "FROM tries GROUP BY run, robot, policy, stage, object_set, view "
                    "ORDER BY run, robot, policy, stage, object_set, view"
                )
            ]
            codes = {
                str(row[0]): int(row[1])
                for row in execute("SELECT code, COUNT(*) FROM tries GROUP BY code ORDER BY code")
            }
            pictures = execute("SELECT SUM(LENGTH(color) + LENGTH(height)) FROM tries").fetchone()
        count = len(self)
        files = [self.path, self.path.with_name(self.path.name + "-wal")]
        size = sum(file.stat().st_size for file in files if file.exists())
        return {
            "path": str(self.path),
            "tries": count,
            "bytes": size,
            "bytes_per_try": size / count if count else None,
            "picture_bytes": int(pictures[0] or 0),
            "geometry": self.geometry.as_dict(),
            "groups": groups,
            "codes": codes,
            "runs": self.runs(),
        }

    def check(self) -> None:
        """Read every page.

        Raises:
            StorageError: If one is damaged.
        """
        with readable(self.path):
            said = [str(row[0]) for row in self._connection.execute("PRAGMA integrity_check(5)")]
        if said != ["ok"]:
            raise StorageError(f"{self.path} is damaged: {'; '.join(said)}")

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _select(self, what: str, where: str, values: Sequence[Any]) -> Iterator[sqlite3.Row]:
        if where:
            self.check_where(where, values)
        condition = f" WHERE {where}" if where else ""
        with readable(self.path):
            yield from self._connection.execute(
                f'SELECT {what} FROM tries{condition} ORDER BY run, episode, "try"', tuple(values)
            )
