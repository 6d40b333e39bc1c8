"""Heights of the fingers over the table while they close.

The pads of an arc gripper sink while it closes (its tool centre point moves
away from the flange), so a fingertip that is clear of the table when open may
not be when it touches the object. All functions work on arrays.
"""

from __future__ import annotations

import numpy as np

from selfgrasp_nodes.robots import GripperSpec
from selfgrasp_nodes.robots.gripper import tcp_distance


class Fingers:
    """A gripper's reach as a function of its opening, tabulated."""

    def __init__(self, gripper: GripperSpec):
        """Tabulate ``gripper`` over its stroke."""
        self.gripper = gripper
        self._widths = np.linspace(gripper.width_min, gripper.width_max, 65)
        self._reach = np.array([tcp_distance(gripper, float(w)) for w in self._widths])

    def reach(self, width: np.ndarray | float) -> np.ndarray:
        """Distance from the flange to the tool centre point at an opening [m]."""
        return np.interp(width, self._widths, self._reach)

    def drop(self, width: np.ndarray | float, contact: np.ndarray | float) -> np.ndarray:
        """How far the pads sink from opening ``width`` to ``contact`` [m]; 0 if prismatic."""
        return self.reach(contact) - self.reach(width)

    def sink(self, contact: np.ndarray | float) -> np.ndarray:
        """How much deeper than at ``contact`` the pads get if they close further [m].

        They do where the object slips away, and must not hit the table then.
        """
        deepest = np.maximum.accumulate(self._reach)
        return np.interp(contact, self._widths, deepest) - self.reach(contact)

    def tcp_height(
        self,
        tip: np.ndarray | float,
        width: np.ndarray | float,
        contact: np.ndarray | float,
    ) -> np.ndarray:
        """World z of the TCP at ``width`` such that the tips are at ``tip`` at ``contact``.

        Args:
            tip: World z of the fingertips when the pads touch the object [m].
            width: Opening before the fingers close [m].
            contact: Opening when they touch [m].
        """
        return np.asarray(tip) + self.gripper.pad_length / 2 + self.drop(width, contact)

    def table_safe(
        self, z: np.ndarray | float, width: np.ndarray | float, clearance: float
    ) -> np.ndarray:
        """``z`` of a TCP [m], raised where the tips would come below a height as they close.

        Args:
            z: World z of the TCP at ``width`` [m].
            width: Opening before the fingers close, as far as they go [m].
            clearance: Least height of the tips over the table [m].
        """
        return np.maximum(z, self.tcp_height(clearance, width, width) + self.sink(width))
