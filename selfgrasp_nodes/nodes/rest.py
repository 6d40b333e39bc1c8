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


class RestMeter:
    """Adds up the wall time in which nothing of the robot moves.

    Speeds are the slope over a window of what the robot reports, in simulated or
    robot time; the time that is added up is wall time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: deque[tuple[float, np.ndarray]] = deque()
        self._last_wall: float | None = None
        self._rest = 0.0

    def add(self, stamp: float, joints: Sequence[float], widths: Sequence[float]) -> None:
        """Take one reading.

        Args:
            stamp: Time of the reading [s].
            joints: Positions of all arms [rad].
            widths: Openings of all grippers [m].
        """
        now = time.monotonic()
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
                if np.abs(slope).max() < 1 and self._last_wall is not None:
                    self._rest += now - self._last_wall
            self._last_wall = now

    def take(self) -> float:
        """Seconds of rest since the last call."""
        with self._lock:
            rest, self._rest = self._rest, 0.0
            return rest
