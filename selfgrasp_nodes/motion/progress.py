"""Follows motions that run as one trajectory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from selfgrasp_nodes.motion.chains import Chain
from selfgrasp_nodes.motion.guard import WrenchGuard
from selfgrasp_nodes.motion.port import ArmSample

if TYPE_CHECKING:
    from selfgrasp_nodes.motion.segments import SegmentRunner

_MOVES = 0.003  # a joint this far from where it stood has begun to move [rad]
_NEAR = 0.006  # the fingers have arrived [m]
_EARLY = 0.1  # what a command takes until the fingers move [s]
_OPENED = 0.003  # by this much, what was held is free [m]


class FingersLate(Exception):
    """The fingers are not where they must be before a motion; the arm is to wait for them.

    Attributes:
        index: Of the motion in its chain.
    """

    def __init__(self, index: int):
        super().__init__(f"the fingers are late before motion {index}")
        self.index = index


@dataclass(frozen=True)
class ReleaseGate:
    """Holds back a release until it is allowed.

    Attributes:
        is_open: Whether it is allowed.
        wait: Blocks until it is; raises what ends the program instead.
    """

    is_open: Callable[[], bool]
    wait: Callable[[], None]


class Progress:
    """Follows a chain of motions: its phases, the guard, and the view."""

    def __init__(
        self,
        runner: SegmentRunner,
        chain: Chain,
        starts: np.ndarray,
    ):
        """The first motion begins.

        Args:
            runner: Of the arm.
            chain: What is run.
            starts: When each of its motions begins [s].
        """
        self._runner, self._moves, self._starts = runner, chain.moves, starts
        self._arrived, self._opening = chain.arrived, chain.opening
        self._held = np.inf
        self._sent = runner._port.sample()
        self._moved: int | None = None
        self._index = -1
        self._next()

    def watch(self, sample: ArmSample) -> None:
        """Take a sample into account; raises what stops the arm."""
        self._runner._watch(sample)
        last = self._index + 1 >= len(self._moves)
        if not last and self._elapsed(sample) >= self._begins(self._index + 1):
            self._pass(sample)
        if self._guard is not None:
            self._guard.check(sample)
        clear = self._moves[self._index].view_clear
        since = (sample.time - self._sent.time) * 1e-9 - self._starts[self._index]
        if clear is not None and since >= clear:
            self._runner._view_clear()

    def _begins(self, index: int) -> float:
        """When a motion begins [s]; a release while the arm comes to rest above the bin."""
        return float(self._starts[index]) - (_EARLY if index in self._opening else 0.0)

    def complete(self) -> None:
        """The end was reached: phases too short for a sample of their own are recorded, too."""
        while self._index + 1 < len(self._moves):
            self._pass(self._runner._port.sample())

    def close(self) -> None:
        """The chain has ended, one way or the other."""
        self._runner._end(self._moves[self._index].phase, self._begun)

    def _pass(self, sample: ArmSample) -> None:
        """From one motion to the next.

        Raises:
            FingersLate: If the fingers are not yet where they must be by then.
        """
        following = self._index + 1
        gate, opening = self._arrived.get(following), self._opening.get(following)
        if gate is not None and abs(sample.width - gate.width) > _NEAR:
            raise FingersLate(following)
        if self._index in self._opening and sample.width < self._held + _OPENED:
            raise FingersLate(following)
        if opening is not None and not self._runner._may_release():
            raise FingersLate(following + 1)
        self.close()
        self._next()
        if opening is not None:
            self._held = sample.width
            self._runner._grip(opening)

    def _next(self) -> None:
        self._index += 1
        segment = self._moves[self._index]
        self._begun = self._runner._begin(segment.phase)
        safety = self._runner._options.safety
        self._guard = WrenchGuard(safety) if segment.guarded else None

    def _elapsed(self, sample: ArmSample) -> float:
        """Time since the arm began to move [s], which is a little after the goal was sent."""
        if self._moved is None and np.abs(sample.q - self._sent.q).max() > _MOVES:
            self._moved = sample.time
        return 0.0 if self._moved is None else (sample.time - self._moved) * 1e-9
