"""The training store: every try of many runs, in one SQLite file.

SQLite keeps what was committed whatever is killed, lets others read while one
writes, and refuses a second try of the same key. One process writes (the
collector's parent); any number may read. The tables:

* ``meta``: schema version and patch geometry, one for the whole file;
* ``runs``: for each run what it was collected with (digests, versions, seed);
* ``episodes``: the finished ones, so that a resumed run knows what is left;
* ``tries``: see :class:`selfgrasp_nodes.trials.store_record.StoredTry`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import numpy as np

from selfgrasp_nodes.errors import StorageError, UnknownName
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.trials.store_record import (
    COLUMNS,
    PICTURES,
    PLAIN,
    StoredTry,
    from_row,
    to_row,
)

SCHEMA = 1
KIND = "selfgrasp tries"
Key = tuple[str, int, int]

_QUOTED = ", ".join(f'"{name}"' for name in COLUMNS)
_INSERT = f"{{}} INTO tries ({_QUOTED}) VALUES ({', '.join('?' * len(COLUMNS))})"
_TABLES = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE runs (run TEXT PRIMARY KEY, meta TEXT NOT NULL);
CREATE TABLE episodes (run TEXT NOT NULL, episode INTEGER NOT NULL, tries INTEGER NOT NULL,
    ended TEXT NOT NULL, PRIMARY KEY (run, episode));
CREATE TABLE tries ({", ".join(f'"{n}" {kind}' for n, kind in COLUMNS.items())},
    PRIMARY KEY (run, episode, "try"));
"""


class TrialStore:
    """A store that is open; use it as a context manager.

    Attributes:
        path: The file.
        geometry: Of its crops.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, geometry: PatchGeometry):
        """Use :meth:`create` or :meth:`open`."""
        self.path = path
        self.geometry = geometry
        self._connection = connection

    @classmethod
    def create(cls, path: str | Path, geometry: PatchGeometry) -> TrialStore:
        """A new, empty store.

        Raises:
            StorageError: If the file is there already, or cannot be written.
        """
        path = Path(path)
        if path.exists():
            raise StorageError(f"{path} exists; open it to add to it, or choose another name")
        with _readable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Made whole beside its place: what is killed meanwhile leaves no half store.
            partial = path.with_name(f".{path.name}.new")
            partial.unlink(missing_ok=True)
            connection = sqlite3.connect(partial)
            connection.executescript(_TABLES)
            values = {"kind": KIND, "schema": SCHEMA, "geometry": geometry.as_dict()}
            connection.executemany(
                "INSERT INTO meta VALUES (?, ?)", [(k, json.dumps(v)) for k, v in values.items()]
            )
            connection.commit()
            connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
            partial.replace(path)
        return cls.open(path, write=True)

    @classmethod
    def open(cls, path: str | Path, write: bool = False) -> TrialStore:
        """An existing store.

        Args:
            path: The file.
            write: Whether tries will be added.

        Raises:
            StorageError: If it is missing, no store, cut short, or of another
                schema.
        """
        path = Path(path)
        if not path.is_file():
            raise StorageError(f"there is no store {path}; 'selfgrasp collect' makes one")
        with _readable(path):
            _check_length(path)
            mode = "rw" if write else "ro"
            connection = sqlite3.connect(
                f"file:{_quoted(path)}?mode={mode}", uri=True, timeout=30.0, isolation_level=None
            )
            connection.row_factory = sqlite3.Row
            meta = {
                str(row["key"]): json.loads(row["value"])
                for row in connection.execute("SELECT key, value FROM meta")
            }
            if meta.get("kind") != KIND or meta.get("schema") != SCHEMA:
                raise StorageError(
                    f"{path} is {meta.get('kind')!r}, schema {meta.get('schema')}; this version "
                    f"reads {KIND!r}, schema {SCHEMA}"
                )
            if write:
                connection.execute("PRAGMA synchronous=NORMAL")
        return cls(path, connection, PatchGeometry.from_dict(meta["geometry"]))

    # -- writing

    def append(self, tries: Iterable[StoredTry], known: str = "refuse") -> int:
        """Add tries, all or none; on return they are on disk.

        Args:
            tries: To add.
            known: What to do with a key that is there already: ``refuse``, or
                ``keep`` what is there.

        Returns:
            How many were added.

        Raises:
            StorageError: If a key is there already, a crop has another size, or
                the file cannot be written.
        """
        rows = []
        for stored in tries:
            self._check_crop(stored)
            rows.append(to_row(stored))
        return self._insert(rows, known)

    def add_episode(
        self,
        run: str,
        episode: int,
        rows: Sequence[tuple[Any, ...]],
        labelled: int,
        ended: str,
    ) -> None:
        """Add a finished episode with all its tries, or nothing of it.

        Args:
            run: That it belongs to.
            episode: Its number.
            rows: Of its tries, as ``store_record.to_row`` makes them.
            labelled: How many tries have a label.
            ended: Why it ended.

        Raises:
            StorageError: If it is there already, or the file cannot be written.
        """
        with self._transaction():
            self._connection.executemany(_INSERT.format("INSERT"), rows)
            self._connection.execute(
                "INSERT INTO episodes VALUES (?, ?, ?, ?)", (run, episode, labelled, ended)
            )

    def set_run(self, run: str, meta: dict[str, Any]) -> None:
        """Note what a run is collected with.

        Raises:
            StorageError: If the run is there with other values: its tries would
                not be of one kind.
        """
        there = self.runs().get(run)
        plain = json.loads(json.dumps(meta))
        if there is not None and there != plain:
            other = sorted(key for key in {*there, *plain} if there.get(key) != plain.get(key))
            raise StorageError(
                f"run {run!r} of {self.path} was begun with other {', '.join(other)}: "
                + "; ".join(f"{k} {there.get(k)!r}, now {plain.get(k)!r}" for k in other)
                + ". Use the same, or another file"
            )
        with _readable(self.path):
            self._connection.execute(
                "INSERT OR REPLACE INTO runs VALUES (?, ?)", (run, json.dumps(plain))
            )

    def merge(self, source: TrialStore) -> int:
        """Add every try of another store; those with a known key are kept as they are.

        Returns:
            How many were added.

        Raises:
            StorageError: If its patches have another geometry, or a run of the
                same name was collected with other values.
        """
        if source.geometry != self.geometry:
            raise StorageError(
                f"{source.path} has patches of another geometry than {self.path}: "
                f"{source.geometry} and {self.geometry}. Stores of different grippers or crop "
                "sizes cannot be merged; train on them one by one"
            )
        for run, meta in source.runs().items():
            self.set_run(run, meta)
        added = 0
        with _readable(source.path):
            cursor = source._connection.execute(f"SELECT {_QUOTED} FROM tries")
            while rows := cursor.fetchmany(500):
                added += self._insert([tuple(row) for row in rows], "keep")
        with _readable(self.path):
            for row in source._connection.execute("SELECT * FROM episodes"):
                self._connection.execute(
                    "INSERT OR IGNORE INTO episodes VALUES (?, ?, ?, ?)", tuple(row)
                )
        return added

    # -- reading

    def __len__(self) -> int:
        with _readable(self.path):
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
        with _readable(self.path):
            cursor = self._connection.execute(
                "SELECT episode, tries FROM episodes WHERE run = ? ORDER BY episode", (run,)
            )
            return {int(row[0]): int(row[1]) for row in cursor}

    def runs(self) -> dict[str, dict[str, Any]]:
        """What each run was collected with."""
        with _readable(self.path):
            cursor = self._connection.execute("SELECT run, meta FROM runs ORDER BY run")
            return {str(row[0]): json.loads(row[1]) for row in cursor}

    def info(self) -> dict[str, Any]:
        """Counts by stage, label and outcome; size on disk."""
        with _readable(self.path):
            execute = self._connection.execute
            groups = [
                dict(row)
                for row in execute(
                    "SELECT run, robot, view, policy, stage, object_set, COUNT(*) AS tries, "
                    "COUNT(success) AS labelled, COALESCE(SUM(success), 0) AS positives "
                    "FROM tries GROUP BY run, robot, view, policy, stage, object_set"
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
            "bytes_per_try": size / count if count else float("nan"),
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
        with _readable(self.path):
            said = [str(row[0]) for row in self._connection.execute("PRAGMA integrity_check(5)")]
        if said != ["ok"]:
            raise StorageError(f"{self.path} is damaged: {'; '.join(said)}")

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def __enter__(self) -> TrialStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _check_crop(self, stored: StoredTry) -> None:
        pixels = self.geometry.crop_pixels
        if stored.color.shape != (pixels, pixels, 3) or stored.height.shape != (pixels, pixels):
            raise StorageError(
                f"try {stored.key} has a crop of {stored.color.shape} and heights of "
                f"{stored.height.shape}; {self.path} holds crops of {pixels} x {pixels}"
            )

    def _insert(self, rows: Sequence[tuple[Any, ...]], known: str) -> int:
        verbs = {"refuse": "INSERT", "keep": "INSERT OR IGNORE"}
        if known not in verbs:
            raise UnknownName("treatment of known keys", known, verbs)
        with self._transaction():
            before = self._connection.total_changes
            self._connection.executemany(_INSERT.format(verbs[known]), rows)
            return self._connection.total_changes - before

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing; a key that is there already is refused."""
        with _readable(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException as error:
                self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.IntegrityError):
                    raise StorageError(
                        f"{self.path} holds one of these tries already ({error}); each "
                        "(run, episode, try) is stored once"
                    ) from error
                raise

    def _select(self, what: str, where: str, values: Sequence[Any]) -> Iterator[sqlite3.Row]:
        condition = f" WHERE {where}" if where else ""
        with _readable(self.path):
            yield from self._connection.execute(
                f'SELECT {what} FROM tries{condition} ORDER BY run, episode, "try"', tuple(values)
            )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system say into a StorageError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StorageError(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise StorageError(
            f"{path} is no store, or damaged ({error}): restore it from a copy; what can be read "
            f"of it comes out with: sqlite3 {path} .recover"
        ) from error
    except OSError as error:
        raise StorageError(f"{path} cannot be used: {error}") from error


def _check_length(path: Path) -> None:
    """Refuse a file that ends before its last page.

    SQLite itself would notice only when a page is read that is missing. The
    header's count holds while there is no log: with one, the last pages may be
    in it.

    Raises:
        StorageError: With what is missing.
    """
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        return
    with path.open("rb") as file:
        header = file.read(100)
    size = path.stat().st_size
    page = int.from_bytes(header[16:18], "big")
    page = 65536 if page == 1 else page
    count = int.from_bytes(header[28:32], "big")
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0") or size < count * page:
        raise StorageError(
            f"{path} is no store or was cut short ({size} bytes of {count * page}): restore it "
            f"from a copy; what can be read of it comes out with: sqlite3 {path} .recover"
        )


def _quoted(path: Path) -> str:
    return quote(str(path.absolute()))
