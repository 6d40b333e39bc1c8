"""How the arm moves: the options of ``config/motion.yaml``, validated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from selfgrasp_nodes.robots import Spec
from selfgrasp_nodes.robots.sections import load_sections

Length = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class GraspOptions(Spec):
    """Heights and times of a grasp.

    Attributes:
        approach_height: Least height above the grasp from which the hand
            descends in a straight line [m]; raised where objects are higher.
        lift_height: How far the hand lifts after it has closed [m].
        settle: Rest at the end of the lift, for the sensors [s].
        bin_spread: Share of the bin over which releases are spread.
    """

    approach_height: Length = 0.05
    lift_height: Length = 0.20
    settle: Annotated[float, Field(ge=0, le=5)] = 0.05
    bin_spread: Annotated[float, Field(ge=0, le=1)] = 0.5


class PushOptions(Spec):
    """Lengths of a push.

    Attributes:
        length: Stroke of a candidate that names none [m].
        approach_height: Height above the stroke from which the hand descends [m].
        lift_height: How far it lifts after the stroke [m].
    """

    length: Length = 0.10
    approach_height: Length = 0.06
    lift_height: Length = 0.10


class SafetyOptions(Spec):
    """What keeps table, objects and arm whole.

    Attributes:
        table_clearance: Least height of the fingertips above the table [m].
        obstacle_clearance: Of the fingertips above what is under the hand,
            before a descent [m].
        max_force: Change of the wrist's force that stops a guarded move [N].
        max_torque: Change of its torque that does [N m].
        start_tolerance: Largest joint distance between where the arm is and
            where a planned segment starts; beyond it the segment is planned
            again [rad].
    """

    table_clearance: Length = 0.003
    obstacle_clearance: Length = 0.015
    max_force: Positive = 40.0
    max_torque: Positive = 8.0
    start_tolerance: Positive = 0.03


class SpeedOptions(Spec):
    """How fast the arm moves.

    Attributes:
        velocity: Share of the joints' velocity limits.
        acceleration: Share of their acceleration limits.
        linear_velocity: Of the tool along straight lines [m/s].
        linear_acceleration: Of the tool along straight lines [m/s^2].
        descend_velocity: Of the tool on its way down [m/s].
        push_velocity: Of the tool during a stroke [m/s].
    """

    velocity: Share = 1.0
    acceleration: Share = 1.0
    linear_velocity: Positive = 0.6
    linear_acceleration: Positive = 4.0
    descend_velocity: Positive = 0.4
    push_velocity: Positive = 0.25


class GripperOptions(Spec):
    """Letting go, and noticing that nothing is held.

    Attributes:
        release_opening: Beyond the held width, to let go [m].
        closed_tolerance: Above the smallest width; less holds nothing [m].
    """

    release_opening: Length = 0.03
    closed_tolerance: Length = 0.003


class PlannerOptions(Spec):
    """Free paths and their collision checks.

    Attributes:
        name: Sampling-based planner of OMPL, used where the direct joint path
            is blocked; see :func:`selfgrasp_nodes.motion.sampling.planner_names`.
        timeout: For one free path [s].
        resolution: Joint step between collision checks [rad].
        obstacle_cell: Cell of the height field that the heightmap becomes [m].
        payload: Edge of the cube that is assumed below the TCP in a carry [m].
    """

    name: str = "RRTConnect"
    timeout: Positive = 1.0
    resolution: Annotated[float, Field(gt=0, le=0.5)] = 0.04
    obstacle_cell: Annotated[float, Field(gt=0, le=0.1)] = 0.01
    payload: Length = 0.05


class MotionOptions(Spec):
    """All options of motion; every one has a default."""

    grasp: GraspOptions = GraspOptions()
    push: PushOptions = PushOptions()
    safety: SafetyOptions = SafetyOptions()
    speed: SpeedOptions = SpeedOptions()
    gripper: GripperOptions = GripperOptions()
    planner: PlannerOptions = PlannerOptions()

    def slowed(self, share: float) -> MotionOptions:
        """With every speed and acceleration at a share, in (0, 1], of what it is."""
        slower = {name: share * value for name, value in self.speed}
        return self.model_copy(update={"speed": SpeedOptions(**slower)})


def load_options(file: str | Path | None = None, robot: str = "", **changes: Any) -> MotionOptions:
    """Read and validate the options of motion.

    Args:
        file: YAML; the shipped ``config/motion.yaml`` where None.
        robot: Name of the robot; its entries below ``robots`` win over the others.
        **changes: Sections, as dicts, that win over the file's entries, e.g.
            ``planner={"name": "EST"}``.

    Raises:
        InvalidConfig: If the file cannot be read, has an unknown key, or holds
            a value out of range.
    """
    return load_sections(MotionOptions, "motion.yaml", file, changes, robot)
