"""What SQLite and the file system say about a store's file, as errors of this project."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from selfgrasp_nodes.errors import StorageError

# Part of what SQLite says (its codes can be asked for since Python 3.11 only) -> what to do.
_REMEDIES = {
    "disk is full": "make room and give the same command again; what was stored before stands",
    "disk i/o error": "the disk may be full or failing: see 'df' and 'dmesg', then give the same "
    "command again; what was stored before stands",
    "unable to open": "it cannot be made or opened there; name a file in a folder that may be "
    "written",
    "readonly": "it may not be written; change its permissions, or name another file",
    "locked": "another process writes to it: wait until that one has ended",
}


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system say into a StorageError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        known = remedy(error)
        raise StorageError(f"{path}: {error}" + (f": {known}" if known else "")) from error
    except sqlite3.DatabaseError as error:
        raise StorageError(
            f"{path} is no store, or damaged ({error}): restore it from a copy; what can be read "
            f"of it comes out with: sqlite3 {path} .recover"
        ) from error
    except OSError as error:
        raise StorageError(f"{path} cannot be used: {error}") from error


def remedy(error: sqlite3.Error) -> str:
    """What to do about a fault of the disk or the file; empty for other errors."""
    said = str(error).lower()
    return next((text for part, text in _REMEDIES.items() if part in said), "")


def check_length(path: Path) -> None:
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


def quoted(path: Path) -> str:
    """A path as it stands in an SQLite URI."""
    return quote(str(path.absolute()))


@contextmanager
def made_whole(path: Path) -> Iterator[Path]:
    """A name beside a file that is to be: renamed to it at the end, removed after an error.

    Raises:
        StorageError: If the file cannot be put into its place.
    """
    partial = path.with_name(f".{path.name}.part")
    files = [partial.with_name(partial.name + end) for end in ("", "-wal", "-shm")]
    try:
        with readable(path):
            for file in files:  # of a process that was killed
                file.unlink(missing_ok=True)
        yield partial
        with readable(path):
            partial.replace(path)
    finally:
        with suppress(OSError):
            for file in files:
                file.unlink(missing_ok=True)
