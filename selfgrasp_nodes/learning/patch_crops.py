"""Decoded crops on disk: written once, mapped into memory afterwards."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from selfgrasp_nodes.learning.disk import written
from selfgrasp_nodes.policies.checkpoints import write_whole


def crops_of(
    file: Path, label: dict[str, Any], shape: tuple[int, ...], decode: Callable[[np.ndarray], None]
) -> np.ndarray:
    """Crops from a file, which is made where it is missing, cut short or of other tries.

    Args:
        file: The array; beside it, with suffix ``.json``, lies its label.
        label: What the crops follow from; others are made again.
        shape: (N, P, P, 4).
        decode: Fills an array of this shape.

    Returns:
        uint8 of this shape, mapped.

    Raises:
        StorageError: If the disk has no room for it, or it cannot be written; then
            nothing of it is left.
    """
    found = _read(file, label, shape)
    if found is not None:
        return found
    note, what = file.with_suffix(".json"), f"the decoded crops ({np.prod(shape) / 1e6:.0f} MB)"
    try:
        with written(what, file):
            file.parent.mkdir(parents=True, exist_ok=True)
            # Made anew, not written over: who has the old one mapped keeps it.
            note.unlink(missing_ok=True)
            file.unlink(missing_ok=True)
            crops = _allocated(file, shape)
        decode(crops)
        with written(what, file):
            crops.flush()
            write_whole(note, json.dumps(label).encode())
    except BaseException:
        with suppress(OSError):
            file.unlink(missing_ok=True)
        raise
    return np.load(file, mmap_mode="r")


def _read(file: Path, label: dict[str, Any], shape: tuple[int, ...]) -> np.ndarray | None:
    """The crops that are there; None where they are not, not whole, or others."""
    try:
        if json.loads(file.with_suffix(".json").read_text()) != label:
            return None
        found = np.load(file, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape == shape and found.dtype == np.uint8 else None


def _allocated(file: Path, shape: tuple[int, ...]) -> np.memmap:
    """A mapped array in a new file whose room on the disk is taken already.

    A page of a sparse file that finds the disk full when it is written ends the
    process with a signal, where no message can be given.
    """
    header = np.lib.format.header_data_from_array_1_0(np.empty((0, *shape[1:]), np.uint8))
    with file.open("w+b") as handle:
        np.lib.format.write_array_header_1_0(handle, {**header, "shape": shape})
        handle.flush()
        os.posix_fallocate(handle.fileno(), 0, handle.tell() + int(np.prod(shape)))
    return np.load(file, mmap_mode="r+")
