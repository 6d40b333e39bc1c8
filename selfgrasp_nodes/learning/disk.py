"""What a training writes, and what it says where it cannot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selfgrasp_nodes.errors import StorageError


@contextmanager
def written(what: str, path: Path) -> Iterator[None]:
    """Turn an ``OSError`` inside the block into an error that says where and what to do.

    Args:
        what: Is written, for the message.
        path: Where.

    Raises:
        StorageError: In place of the system's error.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{what} cannot be written to {path} ({error.strerror or error}): free the disk, or "
            "give a folder that may be written, and run the same command again; what was done "
            "before is whole"
        ) from error


def make_folder(path: Path) -> None:
    """Make a folder for results where it is missing.

    Raises:
        StorageError: If it cannot be made or written to, or is no folder.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        usable, reason = os.access(path, os.W_OK | os.X_OK), "it may not be written to"
    except FileExistsError:
        usable, reason = False, "a file of that name is there"
    except NotADirectoryError:
        usable, reason = False, "a part of that path is a file"
    except OSError as error:
        usable, reason = False, error.strerror or str(error)
    if not usable:
        raise StorageError(
            f"{path} cannot be the folder for the results: {reason}; give another with --out"
        )
