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
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from selfgrasp_nodes.errors import StorageError, UnknownName
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.trials.store_file import check_length, quoted, readable
from selfgrasp_nodes.trials.store_reading import StoreReader
from selfgrasp_nodes.trials.store_record import COLUMNS, StoredTry, to_row

SCHEMA = 1
KIND = "selfgrasp tries"

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


class TrialStore(StoreReader):
    """A store that is open; use it as a context manager.

    Attributes:
        path: The file.
        geometry: Of its crops.
    """

    @classmethod
    def create(cls, path: str | Path, geometry: PatchGeometry) -> TrialStore:
        """A new, empty store.

        Raises:
            StorageError: If the file is there already, or cannot be written.
        """
        path = Path(path)
        if path.exists():
            raise StorageError(f"{path} exists; open it to add to it, or choose another name")
        with readable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Made whole beside its place: what is killed meanwhile leaves no half store.
            partial = path.with_name(f".{path.name}.new")
            partial.unlink(missing_ok=True)
            try:
                _fill(partial, geometry)
                partial.replace(path)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
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
        if path.is_dir():
            raise StorageError(
                f"{path} is a folder; a store is a file: name one, as in {path}.store"
            )
        if not path.is_file():
            raise StorageError(f"there is no store {path}; 'selfgrasp collect' makes one")
        with readable(path):
            check_length(path)
            mode = "rw" if write else "ro"
            connection = sqlite3.connect(
                f"file:{quoted(path)}?mode={mode}", uri=True, timeout=30.0, isolation_level=None
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
        with readable(self.path):
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
        self.check_geometry(source)
        for run, meta in source.runs().items():
            self.set_run(run, meta)
        added = 0
        with readable(source.path):
            cursor = source._connection.execute(f"SELECT {_QUOTED} FROM tries")
            while rows := cursor.fetchmany(500):
                added += self._insert([tuple(row) for row in rows], "keep")
        with readable(self.path):
            for row in source._connection.execute("SELECT * FROM episodes"):
                self._connection.execute(
                    "INSERT OR IGNORE INTO episodes VALUES (?, ?, ?, ?)", tuple(row)
                )
        return added

    def check_geometry(self, other: TrialStore) -> None:
        """Refuse a store that cannot be merged with this one.

        Raises:
            StorageError: If its patches have another geometry.
        """
        if other.geometry != self.geometry:
            raise StorageError(
                f"{other.path} has patches of another geometry than {self.path}: "
                f"{other.geometry} and {self.geometry}. Stores of different grippers or crop "
                "sizes cannot be merged; train on them one by one"
            )

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
        with readable(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException as error:
                if self._connection.in_transaction:  # a full disk has rolled back by itself
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.IntegrityError):
                    raise StorageError(
                        f"{self.path} holds one of these tries already ({error}); each "
                        "(run, episode, try) is stored once"
                    ) from error
                raise


def _fill(path: Path, geometry: PatchGeometry) -> None:
    """Write a store without runs and tries."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_TABLES)
        values = {"kind": KIND, "schema": SCHEMA, "geometry": geometry.as_dict()}
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)", [(k, json.dumps(v)) for k, v in values.items()]
        )
        connection.commit()
        connection.execute("PRAGMA journal_mode=WAL")
