"""The configuration of a whole robot cell: where its arms are taken to be, and what collides."""

from __future__ import annotations

import numpy as np

from selfgrasp_nodes.errors import PlanningFailed
from selfgrasp_nodes.motion.collision import CollisionChecker, Contact
from selfgrasp_nodes.motion.lines import densified
from selfgrasp_nodes.motion.model import RobotModel
from selfgrasp_nodes.motion.options import PlannerOptions
from selfgrasp_nodes.robots import ArmSpec, RobotSpec


class Cell:
    """One configuration of all joints, in which one arm at a time is moved and checked.

    Attributes:
        model: Kinematics of the cell.
        collision: What is looked up for collisions.
        q: The configuration that is checked (nq,).
    """

    def __init__(self, robot: RobotSpec, options: PlannerOptions):
        """Build the model.

        Raises:
            InvalidConfig: If URDF and description do not agree.
        """
        self.model = RobotModel(robot)
        self.collision = CollisionChecker(self.model, options.obstacle_cell, options.payload)
        self._resolution = options.resolution
        self._indices = {arm.name: self.model.indices(arm.joints) for arm in robot.arms}
        self._assumed = self.model.neutral()
        self.q = self._assumed.copy()

    def assume(self, arm: ArmSpec, q: np.ndarray, width: float | None = None) -> None:
        """Take an arm to be at joint positions (J,) [rad], its gripper at a width [m]."""
        self._assumed[self._indices[arm.name]] = q
        if width is not None:
            self.model.set_width(self._assumed, arm, width)

    def begin(self) -> None:
        """Put every arm where it is taken to be."""
        self.q[:] = self._assumed

    def place(self, arm: ArmSpec, q: np.ndarray, width: float | None = None) -> np.ndarray:
        """The whole configuration with one arm (and gripper) put there."""
        self.q[self._indices[arm.name]] = q
        if width is not None:
            self.model.set_width(self.q, arm, width)
        return self.q

    def collides(
        self, arm: ArmSpec, q: np.ndarray, contact: Contact, width: float | None = None
    ) -> bool:
        """Whether the arm collides there; ``contact`` says what it may touch."""
        return self.collision.collides(self.place(arm, q, width), arm, contact)

    def refuse(
        self, arm: ArmSpec, q: np.ndarray, contact: Contact, width: float | None, what: str
    ) -> None:
        """Refuse a configuration that collides.

        Raises:
            PlanningFailed: If it does; names the shapes after ``what``.
        """
        if self.collides(arm, q, contact, width):
            pairs = self.collision.culprits(self.q, arm, contact)
            named = ", ".join(f"{a} with {b}" for a, b in pairs[:3])
            raise PlanningFailed(f"{what}: {named}")

    def clear(self, arm: ArmSpec, corners: np.ndarray, contact: Contact) -> bool:
        """Whether a joint path (N, J), straight between its corners, is free of collisions."""
        return not any(
            self.collides(arm, q, contact) for q in densified(corners, self._resolution)
        )
