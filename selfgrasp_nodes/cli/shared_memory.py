"""Which Fast DDS profile fits the shared memory of this machine.

With Fast DDS's built-in shared-memory segment most camera images are lost, so
the project's profile gives every participant (process) a larger one. A
container's default ``/dev/shm`` of 64 MB has no room for that.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from selfgrasp_nodes import paths
from selfgrasp_nodes.errors import SelfGraspError

SHARED_MEMORY = Path("/dev/shm")
# Nodes of the whole graph in a process each, the recorder, a command and RViz.
PARTICIPANTS = 12
SEGMENT = 32 * 2**20
# Best first: profile, and the segment of each participant in it [bytes].
SEGMENTS = {"fastdds.xml": SEGMENT, "fastdds_small.xml": 4 * 2**20}


@dataclass(frozen=True)
class Profile:
    """A choice.

    Attributes:
        file: Profile for FASTDDS_DEFAULT_PROFILES_FILE; None leaves Fast DDS alone.
        message: Empty, or why it is not the usual one and what to do.
    """

    file: Path | None
    message: str = ""


def choose_profile(folder: Path = SHARED_MEMORY) -> Profile:
    """The profile with the largest segments that fit; without room for any, the one over UDP."""
    try:
        config = paths.share_dir() / "config"
    except SelfGraspError:
        return Profile(None)
    total = size(folder)
    best, *smaller = SEGMENTS
    if total >= needed(best):
        return Profile(config / best)
    remedy = (
        f"{folder} holds {total / 2**20:.0f} MiB of the {needed(best) / 2**20:.0f} that all nodes "
        "need for large camera images. In a container, start it with --shm-size=1g; "
        "otherwise: mount -o remount,size=1G /dev/shm"
    )
    for name in smaller:
        if total >= needed(name):
            return Profile(config / name, f"small shared-memory segments are used: {remedy}")
    return Profile(
        config / "fastdds_udp.xml", f"images go over UDP, and some will be lost: {remedy}"
    )


def needed(profile: str) -> int:
    """Bytes of shared memory that all participants together take with a profile."""
    return SEGMENTS[profile] * PARTICIPANTS


def size(folder: Path = SHARED_MEMORY) -> int:
    """Bytes that the shared-memory file system can hold in all; 0 where there is none."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return 0
    return status.f_frsize * status.f_blocks
