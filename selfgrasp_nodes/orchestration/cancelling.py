"""Cancels what runs as soon as a run is cancelled."""

from __future__ import annotations

import threading
from types import TracebackType

from selfgrasp_nodes.orchestration.ports import Running

_POLL = 0.02  # between two looks whether there is anything left to watch [s]


class CancelWatcher:
    """Watches over executions from their start to their end, from a thread of its own."""

    def __init__(self, cancel: threading.Event):
        """Begin to watch.

        Args:
            cancel: Set when everything is to stop.
        """
        self._cancel = cancel
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._running: list[Running] = []
        self._thread = threading.Thread(target=self._watch, name="cancel watcher", daemon=True)
        self._thread.start()

    def add(self, running: Running) -> None:
        """Watch over an execution; cancel it at once where the run is cancelled already."""
        with self._lock:
            self._running.append(running)
        if self._cancel.is_set():
            running.cancel()

    def remove(self, running: Running) -> None:
        """It has ended."""
        with self._lock:
            self._running.remove(running)

    def __enter__(self) -> CancelWatcher:
        """The watcher itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the thread."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.is_set():
            if self._cancel.wait(_POLL):
                with self._lock:
                    for running in self._running:
                        running.cancel()
                return
