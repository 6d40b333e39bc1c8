"""A disk that fills up while trials are recorded, on a small tmpfs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from store_cases import stored
from trial_synthesis import JOINTS, Synthesizer, feed, record

from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.trials.bag import TrialBagWriter
from selfgrasp_nodes.trials.options import RecorderOptions
from selfgrasp_nodes.trials.reader import RunReader
from selfgrasp_nodes.trials.store import TrialStore
from selfgrasp_nodes.trials.store_record import to_row

SIZE = 4 * 2**20
CLOSING = "/closing"


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, leave: int) -> Path:
    """Occupy the disk but for ``leave`` bytes."""
    ballast = folder / "ballast"
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    ballast.write_bytes(b"\0" * max(0, free - leave))
    return ballast


@pytest.mark.parametrize("leave", [0, 4096, 8192, 16384, 32768, 40960, 45056])
def test_a_full_disk_is_a_clear_error_and_a_retry_loses_nothing(small_disk, leave):
    make = Synthesizer(seed=5)
    with TrialBagWriter(small_disk / "run") as writer:
        for number in range(2):
            feed(writer, make, number, joints=10, size=64)
            writer.finish_trial(record(number))
        ballast = fill(small_disk, leave)
        feed(writer, make, 2, joints=10, size=64)
        closing = (CLOSING, "sensor_msgs/msg/JointState", make.joint_state(1, 7.0), 21 * 10**9)
        for _ in range(2):
            with pytest.raises(StorageError, match="disk is full"):
                writer.finish_trial(record(2), closing)
        # Nothing of before is hurt, nothing half-written is listed.
        run = RunReader(small_disk / "run")
        for trial in run.trials():
            assert trial.topics()[JOINTS][1] == 10
        assert len(run) == 2
        ballast.unlink()
        writer.finish_trial(record(2), closing)
        feed(writer, make, 3, joints=10, size=64)
        writer.finish_trial(record(3))
    run = RunReader(small_disk / "run")
    assert [r.index for r in run.records] == [0, 1, 2, 3]
    for trial in run.trials():
        assert len(list(trial.messages([JOINTS]))) == 10
        assert "messages_lost" not in trial.record.notes
        assert trial.observation().id == f"observation-{trial.record.index}"
        assert len(list(trial.messages([CLOSING]))) == (trial.record.index == 2)


def test_a_trial_beyond_the_memory_says_what_the_full_disk_cost_it(small_disk):
    make = Synthesizer(seed=5)
    options = RecorderOptions(memory_bytes=200_000, compression="none")
    with TrialBagWriter(small_disk / "run", options=options) as writer:
        feed(writer, make, 0, joints=10, size=64)
        writer.finish_trial(record(0))
        ballast = fill(small_disk, 2_000_000)
        writer.begin_trial("trial-1")
        with pytest.raises(StorageError, match="disk is full"):
            feed(writer, make, 1, joints=10_000, size=64)
        ballast.unlink()
        writer.finish_trial(record(1))
        feed(writer, make, 2, joints=10, size=64)
        writer.finish_trial(record(2))
    run = RunReader(small_disk / "run")
    assert [r.notes.get("messages_lost", 0) > 0 for r in run.records] == [False, True, False]


def test_an_index_that_could_not_grow_is_completed_by_the_next_try(tmp_path, monkeypatch):
    from selfgrasp_nodes.trials import index

    make = Synthesizer()
    with TrialBagWriter(tmp_path / "run") as writer:
        feed(writer, make, 0, joints=10, size=8)

        def full(handle, data, offset):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(index.os, "pwrite", full)
            with pytest.raises(StorageError, match="disk is full"):
                writer.finish_trial(record(0))
        path = writer.finish_trial(record(0))
        feed(writer, make, 1, joints=10, size=8)
        writer.finish_trial(record(1))
    assert path.name == "trial_000000.mcap"
    assert [r.index for r in RunReader(tmp_path / "run").records] == [0, 1]
    assert len(list((tmp_path / "run" / "bag").glob("*.mcap"))) == 2


def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot create the run's folder"):
        TrialBagWriter(tmp_path / "file" / "run")


def noise(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A crop of about 30 KB."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 255, (128, 128, 3), np.uint8), rng.uniform(0, 0.1, (128, 128))


def test_a_store_on_a_full_disk_says_so_and_goes_on_when_there_is_room(small_disk, tmp_path):
    path, sizes = small_disk / "a.store", PatchGeometry(0.1, 0.15, 128)
    with TrialStore.create(path, sizes) as store:
        store.append([stored(0, 0, *noise(0))])
        ballast = fill(small_disk, 100_000)
        rows = [to_row(stored(1, k, *noise(k))) for k in range(20)]
        for _ in range(2):
            with pytest.raises(StorageError, match="disk is full: make room"):
                store.add_episode("run-1", 1, rows, 20, "")
        with TrialStore.create(tmp_path / "b.store", sizes) as other:
            other.add_episode("run-2", 0, [("run-2", *row[1:]) for row in rows], 20, "")
            with pytest.raises(StorageError, match="disk is full: make room"):
                store.merge(other)
        assert len(store) == 1
        ballast.unlink()
        store.add_episode("run-1", 1, rows, 20, "")
        store.check()
        assert len(store) == 21


def test_a_store_that_cannot_be_made_on_a_full_disk_leaves_nothing(small_disk):
    ballast = fill(small_disk, 4096)
    with pytest.raises(StorageError, match="disk is full: make room"):
        TrialStore.create(small_disk / "a.store", PatchGeometry(0.1, 0.15, 128))
    assert list(small_disk.iterdir()) == [ballast]


def test_a_store_where_none_can_be_made_says_what_to_do():
    with pytest.raises(StorageError, match="may be written"):
        TrialStore.create("/proc/x.store", PatchGeometry(0.1, 0.15, 128))
