"""Notices that an arm has stopped to speak, or to move, while a goal runs."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from selfgrasp_nodes.errors import ExecutionFailed, Unavailable
from selfgrasp_nodes.motion.port import ArmSample

_MOVED = 0.002  # joints that moved less stand still [rad]
_SHARE = 0.25  # of the silence, by which simulated time must have gone on


class Liveness:
    """Watches the samples of one running goal.

    A guard that hears nothing guards nothing: an arm whose joint states have
    stopped is stopped. A controller that is paused by a protective stop, an
    emergency stop or a speed slider at zero keeps its goal for as long as it
    likes: an arm that stands still within its trajectory is given up.

    Args:
        now: Time of the graph [ns]. In simulation it stands still while the
            world is paused, and silence then is no fault.
        silence: Wall time without a sample that is a fault [s].
        still: Time of the arm without motion that is a fault [s]; infinite where
            standing still is no fault, as while fingers close.
    """

    def __init__(self, now: Callable[[], int], silence: float, still: float = float("inf")):
        self._now, self._silence, self._still = now, silence, still
        self._heard, self._heard_at = time.monotonic(), now()
        self._moved: ArmSample | None = None

    def check(self, sample: ArmSample | None) -> None:
        """Take a new sample, or that there was none, into account.

        Raises:
            Unavailable: If samples have not come for too long.
            ExecutionFailed: If the joints have not moved for too long.
        """
        if sample is None:
            silence = time.monotonic() - self._heard
            passed = (self._now() - self._heard_at) * 1e-9
            if silence > self._silence and passed > _SHARE * self._silence:
                raise Unavailable(
                    f"the joint states fell silent {silence:.1f} s ago while the arm moved; it "
                    "was told to stop. Is the robot's driver still connected?"
                )
            return
        self._heard, self._heard_at = time.monotonic(), self._now()
        if self._moved is None or np.abs(sample.q - self._moved.q).max() > _MOVED:
            self._moved = sample
        elif (sample.time - self._moved.time) * 1e-9 > self._still:
            raise ExecutionFailed(
                f"the arm has stood still for {self._still:g} s although its controller runs a "
                "trajectory: a protective or emergency stop, or the speed slider at 0? "
                "Release it at the robot; nothing here has to be started again"
            )
