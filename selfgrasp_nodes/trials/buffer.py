"""Messages that wait for their trial to be finished."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple


class RawMessage(NamedTuple):
    """A message as it came: CDR bytes and the time [ns] it is filed under."""

    topic: str
    data: bytes
    stamp: int


class MessageBuffer:
    """A queue with limits, and the last messages of transient-local topics.

    While no trial runs, the oldest messages fall out beyond ``seconds`` or
    ``limit``; while one runs, nothing does. What a late joiner would get (tf_static,
    camera_info, the robot's description) is remembered by topic, so that every
    trial's file can begin with it.
    """

    def __init__(self, seconds: float, limit: int) -> None:
        """Set the limits of the time between trials."""
        self._span = int(seconds * 1e9)
        self._limit = limit
        self._queue: deque[RawMessage] = deque()
        self._latched: dict[str, deque[bytes]] = {}
        self.size = 0
        self.dropped = 0
        self.in_trial = False

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, message: RawMessage, latched_depth: int = 0) -> None:
        """Append a message; ``latched_depth`` > 0 for a transient-local topic."""
        if latched_depth:
            kept = self._latched.setdefault(message.topic, deque(maxlen=max(latched_depth, 32)))
            if message.data in kept:
                kept.remove(message.data)
            kept.append(message.data)
        self._queue.append(message)
        self.size += len(message.data)
        if not self.in_trial:
            self._trim(message.stamp)

    def _trim(self, now: int) -> None:
        queue = self._queue
        while queue and (
            self.size > self._limit
            or now - queue[0].stamp > self._span
            # The clock went back: a simulation was reset, what was before is over.
            or queue[0].stamp - now > self._span
        ):
            self.size -= len(queue.popleft().data)
            self.dropped += 1

    def take(self) -> list[RawMessage]:
        """All waiting messages, oldest first; the queue is empty afterwards."""
        messages = list(self._queue)
        self._queue.clear()
        self.size = 0
        return messages

    def put_back(self, messages: list[RawMessage]) -> None:
        """Undo :meth:`take`: these come before what has arrived since."""
        self._queue.extendleft(reversed(messages))
        self.size += sum(len(m.data) for m in messages)

    def latched(self, but: list[RawMessage], stamp: int) -> list[RawMessage]:
        """What late joiners would get and ``but`` does not hold, filed under ``stamp``."""
        present = {(m.topic, m.data) for m in but if m.topic in self._latched}
        return [
            RawMessage(topic, data, stamp)
            for topic, kept in self._latched.items()
            for data in kept
            if (topic, data) not in present
        ]
