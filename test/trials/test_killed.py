"""A recorder that is killed with -9 keeps every finished trial."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from rosbags.highlevel import AnyReader
from trial_synthesis import JOINTS, OBSERVATION, record

from selfgrasp_nodes.trials import bag_folders, files, index, metadata
from selfgrasp_nodes.trials.bag import TrialBagWriter
from selfgrasp_nodes.trials.reader import RunReader

HERE = Path(__file__).parent
KILLS = 20
JOINT_COUNT, SIZE = 30, 100


def record_until_killed(run: Path, trials: int, share: float) -> list[int]:
    """Start a recorder and kill it at some moment of some trial.

    Args:
        run: Its folder.
        trials: Finished trials to wait for, so that a busy machine gets anywhere.
        share: Of a trial's duration to wait from then on.

    Returns:
        The trials that it claimed to have finished.
    """
    command = [sys.executable, HERE / "killed_writer.py", run, str(JOINT_COUNT), str(SIZE)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=HERE.parent.parent, env=_environment()
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    start = time.monotonic()
    lines = [process.stdout.readline() for _ in range(trials)]
    time.sleep(share * (time.monotonic() - start) / max(trials, 1) if trials else 0.1 * share)
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.read().splitlines(keepends=True)
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    return [int(line) for line in lines if line.endswith("\n")]


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": f"{HERE.parent.parent}:{os.environ.get('PYTHONPATH', '')}"}


def check_readable(run: Path, claimed: int, since: int = 0) -> int:
    """Every indexed trial (from ``since``) is whole, and so is the rosbag2 folder."""
    reader = RunReader(run)
    assert [r.index for r in reader.records] == list(range(len(reader.records)))
    assert len(reader.records) >= claimed
    for trial in list(reader.trials())[since:]:
        assert trial.topics()[JOINTS][1] == JOINT_COUNT
        assert trial.topics()[OBSERVATION][1] >= 1
        values = [m.decode().position[0] for m in trial.messages([JOINTS])]
        assert values == pytest.approx([trial.record.index + i / 1000 for i in range(JOINT_COUNT)])
        assert trial.observation().views["overhead"].color.shape == (SIZE, SIZE, 3)
    if reader.records:
        folder = run / "bag"
        info = yaml.safe_load((folder / "metadata.yaml").read_text())
        info = info["rosbag2_bagfile_information"]
        listed = info["relative_file_paths"]
        assert all((folder / name).is_file() for name in listed)
        assert {r.bag for r in reader.records} <= {f"bag/{name}" for name in listed}
        with AnyReader([folder]) as whole:
            assert len(list(whole.messages())) == whole.message_count == info["message_count"]
    return len(reader.records)


def test_killed_twenty_times_every_finished_trial_is_readable(tmp_path):
    rng = random.Random(7)
    run = tmp_path / "run"
    finished = 0
    for _ in range(KILLS):
        claimed = record_until_killed(run, rng.randrange(4), rng.uniform(0, 1.5))
        assert claimed == list(range(claimed[0], claimed[0] + len(claimed))) if claimed else True
        now = check_readable(run, claimed[-1] + 1 if claimed else finished, since=finished)
        assert now >= finished
        finished = now
    check_readable(run, finished)
    assert finished >= KILLS


class Killed(BaseException):
    """Stands for the moment after which nothing of the process happens."""


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (bag_folders, "sync_folder"),
        (bag_folders.os, "replace"),
        (metadata, "write_atomic"),
        (files, "sync_folder"),
        (index.os, "pwrite"),
    ],
)
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("compression", ["chunk", "message"])
def test_a_death_between_any_two_steps_is_repaired(
    tmp_path, monkeypatch, module, name, before, compression
):
    """The steps of finishing, one by one: dead just before, and just after each."""
    from trial_synthesis import Synthesizer, feed

    from selfgrasp_nodes.trials.options import RecorderOptions

    options = RecorderOptions(compression=compression)
    run = tmp_path / "run"
    make = Synthesizer()
    writer = TrialBagWriter(run, options=options)
    feed(writer, make, 0, JOINT_COUNT, SIZE)
    writer.finish_trial(record(0))
    feed(writer, make, 1, JOINT_COUNT, SIZE)
    original = getattr(module, name)

    def die(*args, **kwargs):
        if not before:
            original(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, name, die)
        with pytest.raises(Killed):
            writer.finish_trial(record(1))
    writer.index.close()
    writer._lock.release()
    assert check_readable(run, 1) in (1, 2)
    with TrialBagWriter(run, options=options) as again:
        number = len(again.index.records)
        feed(again, make, 0, 0, 8)
        again._buffer.take()
        feed(again, make, number, JOINT_COUNT, SIZE)
        again.finish_trial(record(number))
    assert check_readable(run, number + 1) == number + 1
    on_disk = sorted(p.name for p in (run / "bag").glob("*.mcap"))
    info = yaml.safe_load((run / "bag" / "metadata.yaml").read_text())
    assert on_disk == info["rosbag2_bagfile_information"]["relative_file_paths"]
    assert not list(run.glob(".staging/*"))
