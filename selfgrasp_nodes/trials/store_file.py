"""What SQLite and the file system say about a store's file, as errors of this project."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from selfgrasp_nodes.errors import StorageError


@contextmanager
def readable(path: Path) -> Iterator[None]:
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
