"""How much of a long piece of work is done, and how long the rest takes.

The work is known beforehand as amounts of a few kinds (random tries, staged tries,
crops read, tries shown to a network). How long a kind takes is measured while it
runs; until then a stated rate stands in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

RATES = {"random": 8.0, "staged": 3.0, "read": 700.0, "shown": 900.0}
"""Units a second of each kind on two cores, before it is measured."""


@dataclass(frozen=True)
class Work:
    """One step.

    Attributes:
        name: Of the step, once in the whole.
        kind: Key of :data:`RATES`.
        amount: Units: tries collected or read, or times that a try is shown.
    """

    name: str
    kind: str
    amount: float


class Outlook:
    """Where the whole stands."""

    def __init__(self, works: Iterable[Work], clock: Callable[[], float] = time.monotonic):
        """Nothing is done.

        Args:
            works: All steps.
            clock: Seconds.
        """
        self._works = {work.name: work for work in works}
        self._done = dict.fromkeys(self._works, 0.0)
        self._begun: dict[str, tuple[float, float]] = {}
        self._rates = dict(RATES)
        self._clock = clock

    def reached(self, name: str, share: float) -> None:
        """A step has come so far, 0..1.

        What was done before the first call was done by an earlier run, and says
        nothing about how long the rest takes.
        """
        work = self._works.get(name)
        if work is None:
            return
        done, now = work.amount * min(max(share, 0.0), 1.0), self._clock()
        self._done[name] = done
        before, begun = self._begun.setdefault(name, (done, now))
        # A first few seconds are start-up: they would promise far too long.
        if now - begun > 5.0 and done > before:
            self._rates[work.kind] = (done - before) / (now - begun)

    def finished(self, name: str) -> None:
        """A step has ended."""
        if name in self._works:
            self._done[name] = self._works[name].amount

    @property
    def left(self) -> float:
        """Seconds that the rest takes."""
        return sum(
            (work.amount - self._done[name]) / self._rates[work.kind]
            for name, work in self._works.items()
        )

    @property
    def share(self) -> float:
        """Of the whole that is done, 0..1, each step counted by its time."""
        total = sum(work.amount / self._rates[work.kind] for work in self._works.values())
        return 1.0 - self.left / total if total > 0 else 1.0
