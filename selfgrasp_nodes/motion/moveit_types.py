"""What is said to MoveIt and what it answers, in plain values.

Nothing heavy is imported here: the process that hosts MoveIt takes these types, and two
builds of one C++ library (this package's from wheels, MoveIt's from ROS) in one process
would be trouble.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

ERRORS = {
    1: "success",
    99999: "failure",
    -1: "planning failed",
    -2: "the plan is invalid",
    -6: "timed out",
    -10: "the start is in collision",
    -12: "the goal is in collision",
    -14: "the goal's constraints are violated",
    -15: "unknown planning group",
    -16: "the goal's constraints are invalid",
    -17: "the robot's state is invalid",
    -23: "the robot's state is stale (is use_sim_time right?)",
    -26: "the start is invalid (past a joint limit?)",
    -27: "the goal is invalid",
    -31: "no inverse kinematics",
}
"""Of moveit_msgs/MoveItErrorCodes, those that planning gives."""


@dataclass(frozen=True)
class SceneShape:
    """Something solid in MoveIt's world: a box, or a mesh.

    Attributes:
        name: Its id.
        pose: world_T_shape, 4 x 4.
        size: Extents of a box [m]; None for a mesh.
        vertices: (V, 3) of a mesh, in its own frame [m].
        triangles: (T, 3) of a mesh.
    """

    name: str
    pose: list[list[float]]
    size: list[float] | None = None
    vertices: list[list[float]] | None = None
    triangles: list[list[int]] | None = None


@dataclass(frozen=True)
class PlanRequest:
    """One path to plan.

    Attributes:
        group: Of the arm.
        joints: Its joints.
        start: Where they begin [rad].
        goal: Where they end [rad].
        others: Positions of all other joints that are known, by name: other arms, grippers.
        pipeline: Of MoveIt.
        planner: Id of the planner in it.
        velocity: Share of the largest speed (of the joints; of the tool for LIN), in (0, 1].
        acceleration: The same of acceleration.
        timeout: For planning [s].
        carried: Edge of a cube that hangs from the hand [m]; 0 for none.
        carried_at: Distance of its centre from ``tip`` along +z [m].
        tip: Link that it hangs from.
        touch: Links that it may touch.
        parent: Frame of reference: MoveIt's model frame.
    """

    group: str
    joints: list[str]
    start: list[float]
    goal: list[float]
    others: dict[str, float]
    pipeline: str
    planner: str
    velocity: float
    acceleration: float
    timeout: float
    carried: float
    carried_at: float
    tip: str
    touch: list[str]
    parent: str = "world"


@dataclass(frozen=True)
class PlanReply:
    """What MoveIt answered.

    Attributes:
        code: Of :data:`ERRORS`; 1 is success.
        joints: Names, in the columns' order.
        time: (N,) [s].
        positions: (N, J) [rad].
        velocities: (N, J) [rad/s].
    """

    code: int
    joints: list[str]
    time: list[float]
    positions: list[list[float]]
    velocities: list[list[float]]


class MoveItBackend(Protocol):
    """A way to MoveIt."""

    def show(self, shapes: list[SceneShape], removed: list[str]) -> None:
        """Put shapes into MoveIt's world, or in place of those of the same name.

        Raises:
            PlanningFailed: If MoveIt does not take them.
        """
        ...

    def plan(self, request: PlanRequest) -> PlanReply:
        """Plan one path.

        Raises:
            PlanningFailed: If MoveIt does not answer.
        """
        ...

    def close(self) -> None:
        """End it."""
        ...
