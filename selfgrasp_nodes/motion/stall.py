"""When a gripper's fingers have arrived, or something stops them."""

from __future__ import annotations

from collections import deque

import numpy as np

from selfgrasp_nodes.motion.port import ArmSample
from selfgrasp_nodes.robots import GripperSpec

REACHED = 0.0015
"""Nearer to the goal than this, the fingers have arrived [m]."""

STALL_SPEED = 0.015
"""Slower than this, they stand [m/s]."""

WINDOW = 0.12
"""Over which their speed is taken [s]: wide enough for the noise of the width."""


class FingerWatch:
    """Watches the measured opening from a command on.

    The rule is that of a ros2_control gripper controller: the goal is reached,
    or the fingers stand still short of it. Speed is the slope of a line through
    the window, so that the noise of single readings does not look like motion.

    Attributes:
        stalled: Whether the fingers stopped short of their goal.
    """

    def __init__(self, gripper: GripperSpec):
        self._gripper = gripper
        self.start(gripper.width_max)

    def start(self, width: float) -> None:
        """A new goal [m], clipped to the stroke."""
        self._goal = min(max(width, self._gripper.width_min), self._gripper.width_max)
        self._samples: deque[tuple[float, float]] = deque()
        self.stalled = False

    def done(self, sample: ArmSample) -> bool:
        """Take a sample; whether the fingers have arrived or stalled."""
        return self.update(sample.time, sample.width)

    def update(self, time: int, width: float) -> bool:
        """As :meth:`done`, from a time [ns] and an opening [m]."""
        now = time * 1e-9
        if not self._samples or now > self._samples[-1][0]:
            self._samples.append((now, width))
        while now - self._samples[0][0] > WINDOW + 1e-6:
            self._samples.popleft()
        if now - self._samples[0][0] < 0.8 * WINDOW:
            return False
        t, w = np.array(self._samples).T
        slope = float(np.polyfit(t - t[0], w, 1)[0])
        if abs(slope) > STALL_SPEED:
            return False
        self.stalled = abs(float(w.mean()) - self._goal) > REACHED
        return True
