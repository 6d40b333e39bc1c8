"""A process of nodes: what it takes, it gives back."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from selfgrasp_nodes.paths import share_dir

SHARED_MEMORY = Path("/dev/shm")


def _segments(pid: int) -> set[str]:
    """Names of the shared-memory segments that a process has mapped."""
    found = re.findall(r"/dev/shm/(fastdds_\w+)", Path(f"/proc/{pid}/maps").read_text())
    return {name for name in found if "_port" not in name}


def _all_segments() -> set[str]:
    return {path.name for path in SHARED_MEMORY.glob("fastdds_*")}


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="no /dev/shm")
def test_shared_memory_is_given_back() -> None:
    """A segment of 32 MiB left behind by each process soon fills a container's /dev/shm."""
    others = _all_segments()  # of this process, e.g.; the one below may map them, too
    process = subprocess.Popen(
        [sys.executable, "-m", "selfgrasp_nodes.nodes.main", "picker", "label"],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    guard = threading.Timer(60.0, process.kill)
    guard.start()
    try:
        assert process.stdout is not None
        ready = {process.stdout.readline().strip() for _ in range(2)}
        assert ready == {"READY picker", "READY label"}
        segments = _segments(process.pid) - others
        if not segments:
            pytest.skip("this middleware makes no segments")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        guard.cancel()
        process.kill()
        process.stdout.close()
    assert not [name for name in segments if (SHARED_MEMORY / name).exists()]


@pytest.mark.parametrize("name", ["fastdds.xml", "fastdds_small.xml", "fastdds_udp.xml"])
def test_services_wait_for_clients_to_be_discovered(name: str) -> None:
    """Discovery repairs a lost packet after 3 s; until then an answer must not be given up."""
    tag = "{http://www.eprosima.com}"
    root = ElementTree.parse(share_dir() / "config" / name).getroot()
    profiles = [item for item in root if item.get("profile_name") == "service"]
    assert [item.tag for item in profiles] == [f"{tag}data_writer"]
    seconds = profiles[0].find(f".//{tag}max_blocking_time/{tag}sec")
    assert seconds is not None
    assert seconds.text is not None
    assert float(seconds.text) > 3.0
