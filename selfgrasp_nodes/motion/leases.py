"""Leases of space, so that several arms share a table without colliding.

An arm leases what its links will sweep before it moves, and gives it back when
it has left; an arm that rests leases where it rests. A lease is granted only
while no other arm's lease overlaps it.

No deadlock, as long as every arm goes home after it has placed: an arm then
waits for the table only from home, where it is in nobody's way, and an arm
over the table waits only for ways that lead off it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from selfgrasp_nodes.errors import Cancelled, Unavailable

_POLL = 0.02  # how often a waiting arm looks whether it was cancelled [s]


@dataclass(frozen=True)
class Region:
    """A union of axis-aligned boxes in the world frame.

    Attributes:
        low: (N, 3) lower corners [m].
        high: (N, 3) upper corners [m].
    """

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def box(cls, low: Sequence[float], high: Sequence[float]) -> Region:
        """One box."""
        return cls(np.atleast_2d(np.asarray(low, float)), np.atleast_2d(np.asarray(high, float)))

    @classmethod
    def union(cls, regions: Sequence[Region]) -> Region:
        """All boxes of several regions."""
        return cls(
            np.concatenate([np.empty((0, 3)), *(r.low for r in regions)]),
            np.concatenate([np.empty((0, 3)), *(r.high for r in regions)]),
        )

    def overlaps(self, other: Region, margin: float = 0.0) -> bool:
        """Whether any two boxes come nearer than ``margin`` [m] along every axis."""
        below = self.low[:, None] - margin < other.high[None]
        above = other.low[None] - margin < self.high[:, None]
        return bool(np.any(np.all(below & above, axis=2)))


class Lease:
    """A granted region; released by :meth:`release` or at the end of a ``with``."""

    def __init__(self, leases: Leases, owner: str, region: Region):
        self.owner = owner
        self.region = region
        self._leases = leases

    def release(self) -> None:
        """Give the region back; again is harmless."""
        self._leases._release(self)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class Leases:
    """Who may be where; safe to share between threads."""

    def __init__(self, margin: float = 0.02):
        """Nothing is leased.

        Args:
            margin: Least distance between the boxes of two owners [m].
        """
        self._margin = margin
        self._held: list[Lease] = []
        self._changed = threading.Condition()

    def acquire(
        self,
        owner: str,
        region: Region,
        timeout: float = 30.0,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Lease:
        """Wait until no other owner's lease overlaps the region, and take it.

        Args:
            owner: Name of the arm; its own leases are never in its way.
            region: What it needs.
            timeout: Wall-clock limit [s].
            cancelled: Asked while waiting.

        Raises:
            Unavailable: If the region is not free in time; names who holds it.
            Cancelled: If ``cancelled`` says so.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                holders = self.holders(owner, region)
                if not holders:
                    lease = Lease(self, owner, region)
                    self._held.append(lease)
                    return lease
                if cancelled():
                    raise Cancelled(f"{owner} was cancelled while it waited for {holders[0]}")
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise Unavailable(
                        f"{owner} waited {timeout:.1f} s for space that {', '.join(holders)} "
                        "holds; see that it can go home, or cancel it"
                    )
                self._changed.wait(min(_POLL, remaining))

    def try_acquire(self, owner: str, region: Region) -> Lease | None:
        """The lease, or None where another owner is in the way."""
        with self._changed:
            if self.holders(owner, region):
                return None
            lease = Lease(self, owner, region)
            self._held.append(lease)
            return lease

    def claim(self, owner: str, region: Region) -> Lease:
        """Lease a region that the owner fills already, whoever else holds it."""
        with self._changed:
            lease = Lease(self, owner, region)
            self._held.append(lease)
            return lease

    def holders(self, owner: str, region: Region) -> list[str]:
        """The other owners whose leases overlap a region."""
        with self._changed:
            return sorted(
                {
                    lease.owner
                    for lease in self._held
                    if lease.owner != owner and lease.region.overlaps(region, self._margin)
                }
            )

    def held(self, owner: str) -> list[Region]:
        """What an owner holds."""
        with self._changed:
            return [lease.region for lease in self._held if lease.owner == owner]

    def _release(self, lease: Lease) -> None:
        with self._changed:
            if lease in self._held:
                self._held.remove(lease)
                self._changed.notify_all()
