"""Stops a motion in which the wrist feels more than it should."""

from __future__ import annotations

import numpy as np

from selfgrasp_nodes.errors import Blocked
from selfgrasp_nodes.motion.options import SafetyOptions
from selfgrasp_nodes.motion.port import ArmSample

_IN_A_ROW = 2  # samples above the limit; one alone may be noise


class WrenchGuard:
    """Compares the wrench with that at the start of a motion.

    The difference leaves out the hand's weight, as long as it keeps its
    orientation, and what a drifting sensor shows at rest.
    """

    def __init__(self, options: SafetyOptions):
        self._options = options
        self._rest: np.ndarray | None = None
        self._above = 0

    def check(self, sample: ArmSample) -> None:
        """Take a sample into account.

        Raises:
            Blocked: If force or torque changed by more than the limits.
        """
        if not np.all(np.isfinite(sample.wrench)):
            return
        if self._rest is None:
            self._rest = np.array(sample.wrench, float)
        change = sample.wrench - self._rest
        force, torque = np.linalg.norm(change[:3]), np.linalg.norm(change[3:])
        over = force > self._options.max_force or torque > self._options.max_torque
        self._above = self._above + 1 if over else 0
        if self._above >= _IN_A_ROW:
            raise Blocked(
                f"the wrist felt {force:.0f} N and {torque:.1f} N m more than at rest (limits: "
                f"{self._options.max_force:.0f} N, {self._options.max_torque:.1f} N m); "
                "something is in the way"
            )
