"""Decoded crops on disks that are full, and in files that are cut short."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest
from patch_synthesis import fill_store

from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.learning import patch_data
from selfgrasp_nodes.learning.patch_data import load_tries


@pytest.fixture
def store(tmp_path) -> Path:
    fill_store(tmp_path / "a.store")
    return tmp_path / "a.store"


def test_their_room_is_taken_before_the_first_is_written(store, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(patch_data, "BLOCK", 8)
    cache, taken = tmp_path / "cache", []

    def look(done: int, total: int) -> None:
        (file,) = cache.glob("crops-*.npy")
        taken.append((file.stat().st_blocks * 512, file.stat().st_size))

    tries = load_tries(store, cache, 96, on_progress=look)
    assert len(taken) > 10 and taken[0][1] >= tries.crops.nbytes
    assert taken[0][0] >= taken[0][1], "a page of a sparse file may find the disk full"


def test_a_full_disk_is_said_and_leaves_no_cache(store, tmp_path) -> None:
    cache = tmp_path / "cache"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
    try:
        with pytest.raises(StorageError, match=r"crops \(1 MB\).*cache.*free the disk"):
            load_tries(store, cache, 48)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(cache.iterdir())
    assert len(load_tries(store, cache, 48)) == 117
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/cache.*Not a directory"):
        load_tries(store, tmp_path / "file" / "cache", 48)


@pytest.mark.parametrize("suffix", [".npy", ".json"])
@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_what_is_cut_short_is_made_again(store, tmp_path, suffix, kept) -> None:
    cache = tmp_path / "cache"
    whole = np.array(load_tries(store, cache, 48).crops)
    (file,) = cache.glob(f"*{suffix}")
    file.write_bytes(file.read_bytes()[: int(kept * file.stat().st_size)])
    decoded: list[int] = []
    again = load_tries(store, cache, 48, on_progress=lambda done, _: decoded.append(done))
    assert decoded and (again.crops == whole).all()


def test_a_cache_of_before_is_still_taken(store, tmp_path) -> None:
    cache = tmp_path / "cache"
    load_tries(store, cache, 48)
    (file,) = cache.glob("*.npy")
    crops = np.load(file)
    # As numpy itself lays a mapped array out.
    old = np.lib.format.open_memmap(file, "w+", np.uint8, crops.shape)
    old[:] = crops
    old.flush()
    decoded: list[int] = []
    load_tries(store, cache, 48, on_progress=lambda done, _: decoded.append(done))
    assert not decoded
