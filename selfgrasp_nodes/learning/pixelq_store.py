"""The tries of a pixel-value training, kept as they come: one SQLite file.

Each try is written in one transaction before anything is learnt from it, so that
a training that is killed loses none. A state is a PNG of height with validity and
a JPEG of colour, and is kept once: what one try left behind is what the next one saw.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.policies.pixelq.state import State

STEP = 2.5e-4
"""Of a stored height [m]: half of what the networks tell apart."""

JPEG_QUALITY = 95


@dataclass(frozen=True, eq=False)
class PixelTry:
    """One finished try.

    Attributes:
        episode: Number of its episode.
        index: Of the try in the episode.
        primitive: As ``types.Primitive``.
        angle: World angle of the action [rad].
        rotation: Orientation, 0..15.
        row: Of the pixel.
        col: Of the pixel.
        opening: Index of the opening.
        success: The label: held, or changed.
        changed: Whether the table changed.
        code: Name of the outcome's code.
        value: That the policy gave the action when it chose it.
        version: Of the weights that chose it: updates done by then.
        objects: On the table at the episode's start.
        held: Whether something was truly held, as the simulator knows it: for
            evaluation alone.
        before: Encoded state.
        after: Encoded state; empty where there is none.
    """

    episode: int
    index: int
    primitive: int
    angle: float
    rotation: int
    row: int
    col: int
    opening: int
    success: bool
    changed: bool
    code: str
    value: float
    version: int
    objects: int
    held: bool
    before: bytes
    after: bytes


_NAMES = [f.name for f in fields(PixelTry)]
_STATES = ("before", "after")
_FLAGS = {"success", "changed", "held"}
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS tries (number INTEGER PRIMARY KEY AUTOINCREMENT, "
    + ", ".join(f'"{name}"' for name in _NAMES)
    + ', UNIQUE (episode, "index"));'
    "CREATE TABLE IF NOT EXISTS states (digest TEXT PRIMARY KEY, data BLOB NOT NULL)"
)


def encode_state(state: State) -> bytes:
    """A state as bytes; heights to the nearest step."""
    step = np.clip(np.rint(state.height / STEP), 0, 32767).astype(np.uint16)
    planes = (step << 1) | state.known
    full = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    parts = [
        _encoded(".png", planes, [cv2.IMWRITE_PNG_COMPRESSION, 4]),
        _encoded(".jpg", state.color, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, *full]),
    ]
    return len(parts[0]).to_bytes(4, "little") + parts[0] + parts[1]


def decode_state(data: bytes) -> State:
    """Inverse of :func:`encode_state`."""
    size = int.from_bytes(data[:4], "little")
    planes, color = _decoded(data[4 : 4 + size]), _decoded(data[4 + size :])
    height = (planes >> 1).astype(np.float32) * np.float32(STEP)
    return State(height, (planes & 1).astype(bool), color)


def _encoded(form: str, image: np.ndarray, options: list[int]) -> bytes:
    ok, data = cv2.imencode(form, image, options)
    assert ok
    return data.tobytes()


def _decoded(data: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return np.asarray(image)


class PixelStore:
    """The file; opened or made."""

    def __init__(self, path: Path, identity: dict[str, Any]):
        """Open it.

        Args:
            path: The file.
            identity: What the training depends on; the file keeps it.

        Raises:
            StorageError: If it is damaged, or of another training.
        """
        self.path = path
        self._shared: dict[tuple[int, str], bytes] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path)
            self._base.execute("PRAGMA journal_mode=WAL")
            # Also when the power fails: the learner's state must not know of tries that are gone.
            self._base.execute("PRAGMA synchronous=FULL")
            self._base.executescript(_SCHEMA)
            kept = self._base.execute("SELECT value FROM about WHERE key='identity'").fetchone()
            if kept is None:
                with self._base:
                    text = json.dumps(identity, sort_keys=True)
                    self._base.execute("INSERT INTO about VALUES ('identity', ?)", (text,))
        except (sqlite3.Error, OSError) as error:
            raise StorageError(
                f"the tries {path} cannot be opened ({error}): free the disk and run the same "
                "command again. Only if the file itself is damaged, move its folder away; the "
                "training then begins anew"
            ) from error
        if kept is not None:
            check_identity(json.loads(kept[0]), identity, path.parent)

    def __enter__(self) -> PixelStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def __len__(self) -> int:
        return int(self._base.execute("SELECT COUNT(*) FROM tries").fetchone()[0])

    def add(self, tried: PixelTry) -> None:
        """Keep a try; on return it is in the file.

        Raises:
            StorageError: If it could not be written; nothing before is lost.
        """
        marks = ", ".join("?" * len(_NAMES))
        states = {name: getattr(tried, name) for name in _STATES}
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in states.items()}
        values = {**vars(tried), **digests}
        row = tuple(values[name] for name in _NAMES)
        names = ", ".join(f'"{name}"' for name in _NAMES)
        try:
            with self._base:
                self._base.executemany(
                    "INSERT OR IGNORE INTO states VALUES (?, ?)",
                    [(digests[name], states[name]) for name in _STATES],
                )
                self._base.execute(f"INSERT OR IGNORE INTO tries ({names}) VALUES ({marks})", row)
        except sqlite3.Error as error:
            raise StorageError(
                f"a try cannot be written to {self.path} ({error}): free the disk and run the "
                "same command again; it goes on with what is there"
            ) from error

    def tries(self) -> Iterator[PixelTry]:
        """All, in the order in which they came."""
        names = ", ".join(f'"{name}"' for name in _NAMES)
        try:
            for row in self._base.execute(f"SELECT {names} FROM tries ORDER BY number"):
                values: dict[str, Any] = dict(zip(_NAMES, row, strict=True))
                values |= {name: self._state(values[name], values["episode"]) for name in _STATES}
                values |= {name: bool(values[name]) for name in _FLAGS}
                yield PixelTry(**values)
        except sqlite3.Error as error:
            raise StorageError(
                f"the tries {self.path} are damaged ({error}): move the folder away and begin "
                "anew, or put a copy of it back; the checkpoint beside it can still be used"
            ) from error

    def _state(self, digest: str, episode: int) -> bytes:
        """A state's bytes, the same object for the tries of an episode that share it."""
        key = (episode, digest)
        if key not in self._shared:
            found = self._base.execute("SELECT data FROM states WHERE digest = ?", (digest,))
            self._shared[key] = found.fetchone()[0]
            while len(self._shared) > 100:
                del self._shared[next(iter(self._shared))]
        return self._shared[key]

    def columns(self, *names: str) -> dict[str, np.ndarray]:
        """Some numbers of all tries, in order."""
        return _columns(self._base, names)

    def next_episode(self) -> int:
        """The smallest number above all that have a try."""
        return (
            int(self._base.execute("SELECT COALESCE(MAX(episode), -1) FROM tries").fetchone()[0])
            + 1
        )


def read_columns(path: Path, *names: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a training depends on, and some numbers of all its tries; the file is only read.

    Args:
        path: Of a :class:`PixelStore`, also of one that still grows.
        names: Of columns, as :class:`PixelTry` names them.

    Raises:
        StorageError: If it is missing or damaged, or holds no training.
    """
    try:
        base = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            kept = base.execute("SELECT value FROM about WHERE key='identity'").fetchone()
            return json.loads(kept[0]), _columns(base, names)
        finally:
            base.close()
    except (sqlite3.Error, TypeError, ValueError) as error:
        raise StorageError(
            f"{path} holds no tries of pixel values ({error}): give tries.sqlite of the --out "
            "folder of 'selfgrasp train pixelq'"
        ) from error


def _columns(base: sqlite3.Connection, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    wanted = ", ".join(f'"{name}"' for name in names)
    rows = base.execute(f"SELECT {wanted} FROM tries ORDER BY number").fetchall()
    return {name: np.array([row[i] for row in rows]) for i, name in enumerate(names)}


def check_identity(kept: dict[str, Any], given: dict[str, Any], folder: Path) -> None:
    """Refuse to go on with another training.

    Raises:
        StorageError: With what differs.
    """
    given = json.loads(json.dumps(given))
    other = sorted(k for k in {*kept, *given} if kept.get(k) != given.get(k))
    if other:
        raise StorageError(
            f"{folder} holds a training with other {', '.join(other)}: give another --out, the "
            "configuration that it was begun with, or delete that folder to begin again"
        )
