"""One arm's dealings with the space that several arms share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from selfgrasp_nodes.motion.leases import Lease, Leases, Region
from selfgrasp_nodes.motion.program import MoveSegment, Segment
from selfgrasp_nodes.types import Trajectory


class Sweeper(Protocol):
    """Knows what an arm's links pass through; the embedded planner does."""

    def swept(self, arm: str, trajectory: Trajectory) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper corners of boxes, (N, 3) each [m]."""
        ...


class ArmSpace:
    """Takes and gives back the leases of one arm."""

    def __init__(self, leases: Leases, arm: str, sweeper: Sweeper, timeout: float = 60.0):
        """Nothing is leased until :meth:`rest` or :meth:`enter`.

        Args:
            leases: Shared by all arms.
            arm: Name of this one.
            sweeper: Tells what a trajectory passes through.
            timeout: Wall-clock limit of one wait [s].
        """
        self._leases = leases
        self._arm = arm
        self._sweeper = sweeper
        self._timeout = timeout
        self._held: list[Lease] = []
        self._tail: Region | None = None

    def region(self, segments: Sequence[Segment]) -> Region:
        """What the arm passes through on planned segments."""
        return Region.union(
            [
                Region(*self._sweeper.swept(self._arm, s.trajectory))
                for s in segments
                if isinstance(s, MoveSegment)
            ]
        )

    def enter(self, segments: Sequence[Segment], cancelled: Callable[[], bool]) -> None:
        """Wait for the way of some segments, keeping what is held.

        Raises:
            Unavailable: If it does not become free in time.
            Cancelled: If ``cancelled`` says so.
        """
        self._held.append(
            self._leases.acquire(self._arm, self.region(segments), self._timeout, cancelled)
        )

    def leave_through(self, segments: Sequence[Segment], cancelled: Callable[[], bool]) -> None:
        """As :meth:`enter`, then give back all else: the arm is on its way out."""
        before = list(self._held)
        self.enter(segments, cancelled)
        self._give_back(before)
        tail = after_view(segments)
        self._tail = self.region(tail) if tail else None

    def left(self) -> None:
        """The arm has left the overhead view: keep only the rest of its way out."""
        if self._tail is not None:
            self._keep_only(self._tail)
            self._tail = None

    def rest(self, q: np.ndarray) -> None:
        """Hold only the place where the arm stands."""
        still = Trajectory((), np.array([0.0]), np.atleast_2d(q), np.zeros((1, len(q))))
        region = Region(*self._sweeper.swept(self._arm, still))
        self._tail = None
        self._keep_only(region)

    def _keep_only(self, region: Region) -> None:
        before = list(self._held)
        # The arm is there already, or holds it in a larger lease: it need not wait.
        self._held.append(self._leases.claim(self._arm, region))
        self._give_back(before)

    def _give_back(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            lease.release()
            self._held.remove(lease)


def after_view(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """What of a way out comes after the overhead view has become clear."""
    for number, segment in enumerate(segments):
        if isinstance(segment, MoveSegment) and segment.view_clear is not None:
            trajectory = segment.trajectory
            late = trajectory.time >= segment.view_clear - 1e-9
            rest = replace(
                trajectory,
                time=trajectory.time[late] - trajectory.time[late][0],
                positions=trajectory.positions[late],
                velocities=trajectory.velocities[late],
            )
            return (replace(segment, trajectory=rest), *segments[number + 1 :])
    return ()
