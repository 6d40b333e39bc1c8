"""Joint states of an arm as they come, and their mean while it stands still."""

from __future__ import annotations

import time
from collections import deque

import numpy as np
from sensor_msgs.msg import JointState

from selfgrasp_nodes.errors import SelfGraspError, Unavailable
from selfgrasp_nodes.nodes import conversions
from selfgrasp_nodes.robots import ArmSpec

_SETTLE = 0.5  # joint states that are averaged while the arm stands still [s]
_STILL = 0.002  # spread of a joint's readings that counts as standing still [rad]
_MERGED = 20  # newest messages that are put together: publishers may split an arm's joints


class JointReadings:
    """The newest joint states; filled by a subscription, read by another thread."""

    def __init__(self, arm: ArmSpec):
        """Nothing heard yet.

        Args:
            arm: Whose joints are waited for.
        """
        self._arm = arm
        self._heard: deque[tuple[int, dict[str, float]]] = deque(maxlen=2000)

    def take(self, message: JointState) -> None:
        """Callback of the subscription."""
        positions = dict(zip(message.name, message.position, strict=False))
        self._heard.append((conversions.stamp(message.header.stamp), positions))

    def newest(self, patience: float) -> dict[str, float]:
        """Positions of all joints that are heard of, those of the arm among them [rad].

        Args:
            patience: How long it may take until the arm's are there [s].

        Raises:
            Unavailable: If they do not come.
        """
        limit = time.monotonic() + patience
        while True:
            merged: dict[str, float] = {}
            for _, positions in list(self._heard)[-_MERGED:]:
                merged.update(positions)
            if all(name in merged for name in self._arm.joints):
                return merged
            if time.monotonic() > limit:
                raise Unavailable(
                    f"no joint states of arm {self._arm.name!r} within {patience:g} s; is the "
                    "robot's driver (or the simulation) running, in this namespace and domain?"
                )
            time.sleep(0.05)

    def rest(self, patience: float) -> tuple[int, dict[str, float]]:
        """Wait until the arm stands still.

        Args:
            patience: How long that may take [s].

        Returns:
            Stamp from which it stood still [ns], and mean joint positions since [rad].

        Raises:
            SelfGraspError: If it does not come to rest.
        """
        limit = time.monotonic() + patience
        while time.monotonic() < limit:
            time.sleep(0.05)
            heard = list(self._heard)
            if not heard:
                continue
            window = [r for r in heard if r[0] >= heard[-1][0] - _SETTLE * 1e9]
            rows = [
                [positions[name] for name in self._arm.joints]
                for _, positions in window
                if all(name in positions for name in self._arm.joints)
            ]
            covered = window[-1][0] - window[0][0] > 0.8 * _SETTLE * 1e9
            if covered and len(rows) >= 5 and np.ptp(rows, axis=0).max() < _STILL:
                mean = self.newest(patience)
                mean.update(zip(self._arm.joints, np.mean(rows, axis=0), strict=True))
                return window[0][0], mean
        raise SelfGraspError(
            f"arm {self._arm.name!r} did not come to rest within {patience:g} s; its joints "
            f"still move by more than {_STILL} rad"
        )
