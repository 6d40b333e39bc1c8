"""The Fast DDS profile follows from the room in /dev/shm."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from selfgrasp_nodes.cli import shared_memory
from selfgrasp_nodes.paths import share_dir

MIB = 2**20


@pytest.mark.parametrize(
    ("total", "profile", "says"),
    [
        (1024 * MIB, "fastdds.xml", ""),
        (64 * MIB, "fastdds_small.xml", "--shm-size"),
        (8 * MIB, "fastdds_udp.xml", "UDP"),
    ],
)
def test_choice(monkeypatch: pytest.MonkeyPatch, total: int, profile: str, says: str) -> None:
    monkeypatch.setattr(shared_memory, "size", lambda folder: total)
    choice = shared_memory.choose_profile()
    assert choice.file is not None
    assert choice.file.name == profile
    assert choice.file.is_file()
    assert says in choice.message
    assert bool(says) == bool(choice.message)


def test_no_shared_memory_at_all(tmp_path: Path) -> None:
    assert shared_memory.size(tmp_path / "absent") == 0
    choice = shared_memory.choose_profile(tmp_path / "absent")
    assert choice.file is not None
    assert choice.file.name == "fastdds_udp.xml"


@pytest.mark.parametrize(("name", "segment"), shared_memory.SEGMENTS.items())
def test_profiles_say_what_the_choice_counts_with(name: str, segment: int) -> None:
    root = ElementTree.parse(share_dir() / "config" / name).getroot()
    sizes = [int(e.text or 0) for e in root.iter() if e.tag.endswith("segment_size")]
    assert sizes == [segment]
