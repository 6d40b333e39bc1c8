"""What both kinds of simulated controller share: one goal at a time."""

from __future__ import annotations

import threading

GRACE = 10.0
"""Wall time beyond the expected end until a goal is given up [s]."""


class Goals:
    """The one goal that a controller follows; a newer one takes its place."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event: threading.Event | None = None
        self._number = 0

    def begin(self) -> int:
        """Become the current goal; the one before is told."""
        with self._lock:
            self._number += 1
            if self._event is not None:
                self._event.set()
            self._event = None
            return self._number

    def current(self, number: int) -> bool:
        """Whether no newer goal has come."""
        return number == self._number

    @property
    def busy(self) -> bool:
        """Whether a goal is followed."""
        return self._event is not None

    def hold(self, number: int, event: threading.Event) -> None:
        """The event that wakes the current goal."""
        with self._lock:
            if self.current(number):
                self._event = event
            else:
                event.set()

    def end(self, number: int) -> None:
        """The goal has ended."""
        with self._lock:
            if self.current(number):
                self._event = None

    def wake(self) -> None:
        """Wake the goal that runs, e.g. because it was cancelled."""
        with self._lock:
            if self._event is not None:
                self._event.set()
