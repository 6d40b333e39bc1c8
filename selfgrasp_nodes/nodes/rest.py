"""How long an arm and its gripper stand still, from their state topics."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence

import numpy as np

STILL_JOINT = 0.02
"""Joints slower than this rest [rad/s]; the reported positions are noisy."""

STILL_FINGERS = 0.02
"""Fingers slower than this rest [m/s]."""

WINDOW = 0.1
"""Over which speeds are taken [s]."""


EDGE = 0.04
"""What the window takes off a stop at both of its ends together [s]: it still holds motion."""


class RestMeter:
    """Remembers when nothing of the robot moved.

    Speeds are the slope over a window of what the robot reports, in the graph's
    time; the rest that is added up is wall time. Stops shorter than about
    0.06 s are not seen.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: deque[tuple[float, np.ndarray]] = deque()
        self._last_wall: float | None = None
        self._still = False
        self._rests: deque[tuple[float, float]] = deque(maxlen=100_000)

    def add(
        self,
        stamp: float,
        joints: Sequence[float],
        widths: Sequence[float],
        wall: float | None = None,
    ) -> None:
        """Take one reading.

        Args:
            stamp: Time of the reading [s].
            joints: Positions of all arms [rad].
            widths: Openings of all grippers [m].
            wall: Wall time of the reading [s]; now where None.
        """
        now = time.monotonic() if wall is None else wall
        scaled = np.concatenate(
            [np.asarray(joints) / STILL_JOINT, np.asarray(widths) / STILL_FINGERS]
        )
        with self._lock:
            self._samples.append((stamp, scaled))
            while stamp - self._samples[0][0] > WINDOW:
                self._samples.popleft()
            times = np.array([t for t, _ in self._samples])
            if len(times) >= 4 and times[-1] - times[0] > 0.6 * WINDOW:
                values = np.array([v for _, v in self._samples])
                centred = times - times.mean()
                slope = centred @ values / (centred @ centred)
                still = bool(np.abs(slope).max() < 1)
                if still and self._last_wall is not None:
                    # The slope is that of the window's middle.
                    rest = now - self._last_wall + (0.0 if self._still else EDGE)
                    self._rests.append((float(times.mean()), rest))
                self._still = still
            self._last_wall = now

    def between(self, start: float, end: float) -> float:
        """Wall time at rest within a span of the graph's time [s]."""
        with self._lock:
            return sum(wall for at, wall in self._rests if start <= at <= end)
