"""Files that survive a crash: atomic replacement, fsync, and a lock a run."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from selfgrasp_nodes.errors import StorageError


def sync_file(path: Path) -> None:
    """Force a file's content to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """Force a folder's entries (creations, renames) to the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomic(path: Path, text: str) -> None:
    """Replace a text file so that at any moment the old or the new one is there whole.

    Raises:
        OSError: If the new one could not be written; the old one is untouched.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def storage_error(action: str, path: Path, error: OSError) -> StorageError:
    """The operating system's error as a ``StorageError`` that says what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = (
            "the disk is full; trials that were finished before are intact: make room "
            "and finish this trial again"
        )
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = "choose a folder that this user may write to"
    else:
        remedy = error.strerror or type(error).__name__
    return StorageError(f"{action} {path}: {remedy}")


@contextlib.contextmanager
def guarded(action: str, path: Path) -> Iterator[None]:
    """Turn an ``OSError`` inside the block into a ``StorageError``."""
    try:
        yield
    except OSError as error:
        raise storage_error(action, path, error) from error


class RunLock:
    """One writer a folder: an advisory lock that the system drops when the process dies."""

    def __init__(self, folder: Path, use: str = "recorded into") -> None:
        """Take the lock.

        Args:
            folder: That one process may write to.
            use: What is done to it, for the error.

        Raises:
            StorageError: If another process holds it, or it cannot be written.
        """
        with guarded("cannot lock", folder):
            self._handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._handle)
            raise StorageError(
                f"{folder} is being {use} by another process; stop that one, or "
                "choose another folder"
            ) from error

    def __enter__(self) -> RunLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._handle)
