"""What a planner back end offers to motion."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.types import Heightmap, Trajectory


class Planner(Protocol):
    """Joint trajectories of one robot cell.

    Arms are addressed by name. Joint positions are (J,) [rad] in the order of
    the arm's description; poses are of the tool flange, ``world_T_tip``.
    """

    robot: RobotSpec

    def fk(self, arm: str, q: np.ndarray) -> np.ndarray:
        """world_T_tip, 4 x 4."""
        ...

    def ik(self, arm: str, world_T_tip: np.ndarray, seed: np.ndarray) -> np.ndarray:
        """The joint positions nearest to ``seed`` that bring the flange there.

        Raises:
            PlanningFailed: If it cannot be reached within the joint limits.
        """
        ...

    def set_obstacles(self, heightmap: Heightmap | None) -> None:
        """Take what the heightmap shows as obstacles; None for an empty table."""
        ...

    def set_arm(self, arm: str, q: np.ndarray, width: float | None = None) -> None:
        """Say where an arm is while others are planned for.

        Arms are taken to be at home otherwise: what keeps them apart while they
        move are their leases (:mod:`selfgrasp_nodes.motion.leases`).

        Args:
            arm: Name.
            q: Its joint positions (J,) [rad].
            width: Opening of its gripper [m]; None leaves it as it was.
        """
        ...

    def plan_free(
        self,
        arm: str,
        q_start: np.ndarray,
        goal: np.ndarray,
        *,
        width: float | None = None,
        carries: bool = False,
        scale: float = 1.0,
    ) -> Trajectory:
        """A collision-free trajectory from rest to rest.

        Args:
            arm: Name.
            q_start: (J,) [rad].
            goal: Joint positions (J,) or world_T_tip (4, 4).
            width: Opening of the gripper on the way [m].
            carries: Whether something hangs from the gripper.
            scale: Share of the configured speed.

        Raises:
            PlanningFailed: With the reason.
        """
        ...

    def plan_linear(
        self,
        arm: str,
        q_start: np.ndarray,
        world_T_tip: np.ndarray,
        *,
        width: float | None = None,
        speed: float = 0.0,
        scale: float = 1.0,
    ) -> Trajectory:
        """A straight line of the flange from rest to rest.

        The hand may touch the objects on the table on the way, nothing else.

        Args:
            arm: Name.
            q_start: (J,) [rad].
            world_T_tip: Where the line ends, 4 x 4.
            width: Opening of the gripper on the way [m].
            speed: Largest speed of the tool [m/s]; 0 for the configured one.
            scale: Share of the configured speed.

        Raises:
            PlanningFailed: With the reason.
        """
        ...

    def plan_escape(
        self,
        arm: str,
        q_start: np.ndarray,
        *,
        width: float | None = None,
        rise: float = 0.2,
        scale: float = 1.0,
    ) -> tuple[Trajectory, np.ndarray] | None:
        """The shortest way up out of the objects among which the arm stands.

        A stopped arm may stand where the heightmap shows objects, and no free path
        begins there. The way leads straight up, or back along the tool where that
        is not possible. On it no link may come among the objects that was not, or
        was no longer: what is ignored is where the arm stands, nothing else.

        Args:
            arm: Name.
            q_start: (J,) [rad].
            width: Opening of the gripper [m].
            rise: Longest way [m].
            scale: Share of the configured speed.

        Returns:
            The trajectory and world_T_tip of its end; None where a free path can
            begin already.

        Raises:
            PlanningFailed: If no such way ends in the free.
        """
        ...

    def view_clear_at(self, arm: str, trajectory: Trajectory) -> float | None:
        """Time from which the arm leaves the overhead view free for good [s].

        None where it still blocks the view at the end.
        """
        ...
