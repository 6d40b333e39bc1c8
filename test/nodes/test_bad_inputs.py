"""Bad input through the whole graph: a full disk, and too little shared memory.

Each is answered by a clear error, and nothing that was stored before is lost.
The other cases stand where their parts are tested: pictures (sizes, encodings,
camera_info, NaN, transforms) in ``test_bad_pictures.py``; empty table, policy
names, scenes, candidates, poses and goals that come twice in ``test_graph.py``;
parameter names in ``test_params.py`` and ``test_supervisor.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("selfgrasp.msg", reason="the interfaces are not built")

from selfgrasp.action import ClearTable
from selfgrasp.msg import Status

from selfgrasp_nodes.trials.reader import RunReader

ROOT = Path(__file__).resolve().parents[2]
MIB = 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    command = ["mount", "-t", "tmpfs", "-o", f"size={96 * MIB}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_fills_up_while_recording(new_graph, small_disk: Path) -> None:
    """The goal ends with the reason; earlier trials are whole; with room it goes on."""
    graph = new_graph(small_disk / "bag", processes="grouped")
    graph.drop(3, 3)
    goal = ClearTable.Goal(seed=3, max_actions=1)
    first = graph.send(ClearTable, "clear_table", goal).result(120.0)
    assert first.actions == 1, first.message

    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    ballast.write_bytes(b"\0" * (free - 16384))
    second = graph.send(ClearTable, "clear_table", goal).result(120.0)
    assert second.code == Status.STORAGE_ERROR, second.message
    assert "disk is full" in second.message
    run = RunReader(small_disk / "bag")
    assert [record.trial_id for record in run.records] == list(first.trial_ids)
    (kept,) = run.trials()
    assert kept.observation("before").heightmap is not None

    ballast.unlink()
    third = graph.send(ClearTable, "clear_table", goal).result(120.0)
    assert third.code != Status.STORAGE_ERROR, third.message
    run = RunReader(small_disk / "bag")
    ids = [record.trial_id for record in run.records]
    assert first.trial_ids[0] in ids and set(third.trial_ids) <= set(ids)
    for trial in run.trials():
        assert trial.topics()


@pytest.mark.parametrize(
    ("size", "profile", "words"),
    [(64, "fastdds_small.xml", "small shared-memory segments"), (4, "fastdds_udp.xml", "UDP")],
)
def test_too_little_shared_memory(tmp_path: Path, size: int, profile: str, words: str) -> None:
    """It is said what to do about it, and pictures arrive all the same."""
    if os.geteuid() != 0:
        pytest.skip("a /dev/shm of its own needs root")
    script = f"""
set -e
mount -t tmpfs -o size={size}m tmpfs /dev/shm
python="{sys.executable}"
"$python" -m selfgrasp_nodes.cli.main exec sh -c '
    echo "$FASTDDS_DEFAULT_PROFILES_FILE"
    {sys.executable} -m selfgrasp_nodes.nodes.main sim heightmap > {tmp_path}/nodes &
    nodes=$!
    until grep -q "READY heightmap" {tmp_path}/nodes; do kill -0 $nodes; sleep 0.1; done
    {sys.executable} -m selfgrasp_nodes.cli.main check --seconds 3 --json {tmp_path}/found.json
    kill $nodes
    wait $nodes
' || true
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FASTDDS")}
    command = ["unshare", "--mount", "sh", "-c", script]
    ran = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=180
    )
    if "unshare:" in ran.stderr or "mount:" in ran.stderr:
        pytest.skip(f"no /dev/shm of its own here: {ran.stderr.strip()}")
    assert profile in ran.stdout
    found = {f["name"]: f for f in json.loads((tmp_path / "found.json").read_text())}
    told = found["/dev/shm"]
    assert told["level"] == "warn" and words in told["found"] and "--shm-size" in told["remedy"]
    assert found["overhead"]["level"] == "ok", found["overhead"]
    assert "5 of 5 pictures" in found["overhead"]["found"]
