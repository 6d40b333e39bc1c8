"""A ROS domain of one's own, for demonstrations and tests.

Everything else obeys ``ROS_DOMAIN_ID``. A domain counts as free when no socket
of this machine is bound to its DDS ports and no other process here has claimed
it.
"""

from __future__ import annotations

import fcntl
import os
import random
import tempfile
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path

from selfgrasp_nodes.errors import Unavailable

# Above 101 the ports of a domain run into those that Linux hands out to anybody.
DOMAINS = range(1, 102)

# RTPS 2.2, 9.6.1.1: port = 7400 + 250 * domain + offset.
_PORT_BASE, _PORTS_PER_DOMAIN = 7400, 250


@contextmanager
def free_domain(environment: MutableMapping[str, str]) -> Iterator[int]:
    """Claim a free domain and put it into an environment, for as long as the block runs.

    Simulation and tests concern this machine alone, so discovery is kept on it too.

    Args:
        environment: Usually ``os.environ``; restored at the end.

    Raises:
        Unavailable: If no domain is free.
    """
    names = ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE")
    before = {name: environment.get(name) for name in names}
    number, claim = claim_domain()
    environment["ROS_DOMAIN_ID"] = str(number)
    stay_local(environment)
    try:
        yield number
    finally:
        os.close(claim)
        for name, value in before.items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = value


def stay_local(environment: MutableMapping[str, str]) -> None:
    """Let nodes be discovered on this machine alone."""
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


def claim_domain() -> tuple[int, int]:
    """A free domain, and the file descriptor that holds the claim until it is closed.

    Raises:
        Unavailable: If no domain is free.
    """
    taken = _domains_in_use()
    choices = [number for number in DOMAINS if number not in taken]
    random.SystemRandom().shuffle(choices)
    for number in choices:
        # One file for all users of the machine; the lock goes with the process.
        path = Path(tempfile.gettempdir()) / f"selfgrasp-domain-{number}.lock"
        try:
            # Reading is enough for a lock: the file may be another user's.
            claim = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError:
            continue
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(claim)
            continue
        return number, claim
    raise Unavailable(
        "every ROS domain from 1 to 101 is in use on this machine; end other ROS programs"
    )


def _domains_in_use() -> set[int]:
    """Domains to whose ports any UDP socket of this machine is bound."""
    used = set()
    for table in (Path("/proc/net/udp"), Path("/proc/net/udp6")):
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            port = int(line.split()[1].rsplit(":", 1)[1], 16)
            used.add((port - _PORT_BASE) // _PORTS_PER_DOMAIN)
    return used
