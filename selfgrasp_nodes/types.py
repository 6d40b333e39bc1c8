"""The data that flows through one trial.

Plain frozen dataclasses over numpy arrays: no ROS, no simulator, no policy.
Units are SI. A homogeneous transform ``a_T_b`` is a 4 x 4 float64 array that
maps points given in frame ``b`` to frame ``a``. The ``world`` frame has its
origin on the table's top plane, z up. Camera frames are optical (z forward, x
right, y down; REP-103).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np


class Primitive(IntEnum):
    """What a candidate does. The values are those of ``Candidate.msg``."""

    GRASP = 0
    PUSH = 1


class OutcomeCode(IntEnum):
    """How a try ended. The values are those of ``Outcome.msg``."""

    UNKNOWN = 0
    SUCCESS = 1
    MISSED = 2
    SLIPPED = 3
    BLOCKED = 4
    PLAN_FAILED = 5
    EXECUTION_FAILED = 6
    CANCELLED = 7
    CHANGED = 8
    NO_CHANGE = 9


class PhaseCode(IntEnum):
    """The phases of a try. The values are those of ``Phase.msg``."""

    LOOK = 0
    APPROACH = 1
    DESCEND = 2
    ACT = 3
    LIFT = 4
    CARRY = 5
    RELEASE = 6
    HOME = 7


@dataclass(frozen=True)
class Workspace:
    """The rectangle of table that is seen and acted on, in the world frame.

    Attributes:
        center: (x, y) of its middle [m].
        size: (x extent, y extent) [m].
        resolution: Edge of a heightmap cell [m].
        height_max: Points higher than this above the table are dropped [m].
    """

    center: tuple[float, float]
    size: tuple[float, float] = (0.448, 0.448)
    resolution: float = 0.002
    height_max: float = 0.4

    @property
    def shape(self) -> tuple[int, int]:
        """Heightmap shape (rows along y, columns along x)."""
        return (
            round(self.size[1] / self.resolution),
            round(self.size[0] / self.resolution),
        )

    @property
    def low(self) -> np.ndarray:
        """(x, y) of the corner of pixel (row 0, column 0) [m]."""
        return np.asarray(self.center) - np.asarray(self.size) / 2

    @property
    def high(self) -> np.ndarray:
        """(x, y) of the opposite corner [m]."""
        return np.asarray(self.center) + np.asarray(self.size) / 2

    def contains(self, x: float, y: float, margin: float = 0.0) -> bool:
        """Whether (x, y) [m] lies inside, at least ``margin`` [m] from the edge."""
        low, high = self.low + margin, self.high - margin
        return bool(low[0] <= x <= high[0] and low[1] <= y <= high[1])


@dataclass(frozen=True)
class View:
    """One camera's picture, depth aligned to colour.

    Attributes:
        camera: Name of the camera in the robot's description.
        color: (H, W, 3) uint8 RGB.
        depth: (H, W) float32 metres along the optical axis; 0 is invalid.
        intrinsics: 3 x 3 pinhole matrix of both images.
        world_T_camera: Pose of the optical frame at the moment of exposure.
        stamp: Time of exposure [ns].
    """

    camera: str
    color: np.ndarray
    depth: np.ndarray
    intrinsics: np.ndarray
    world_T_camera: np.ndarray
    stamp: int = 0


@dataclass(frozen=True)
class Heightmap:
    """Orthographic view of the workspace from above; row = y, column = x.

    Attributes:
        workspace: What it covers.
        color: (rows, cols, 3) uint8 RGB; black where not valid.
        height: (rows, cols) float32 metres above the table, never NaN, >= 0; 0
            where not valid.
        valid: (rows, cols) bool, whether any point was measured there.
    """

    workspace: Workspace
    color: np.ndarray
    height: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class Region:
    """A region of interest in one camera's image.

    Attributes:
        id: Rank in its set, 0 is the best.
        box: (x, y, width, height) [px].
        outline: (N, 2) int32 pixel polygon.
        area: Foreground area [px].
        score: In 0..1, larger is better.
    """

    id: int
    box: tuple[int, int, int, int]
    outline: np.ndarray
    area: float
    score: float


@dataclass(frozen=True)
class Regions:
    """The regions of one image.

    Attributes:
        camera: Camera whose image they lie in.
        regions: Best first.
        mask: (H, W) bool foreground of the whole image.
        background_ready: Whether the empty table has been learnt.
        arm_in_view: Whether the frame was left out because of the arm.
    """

    camera: str
    regions: tuple[Region, ...]
    mask: np.ndarray
    background_ready: bool = True
    arm_in_view: bool = False


@dataclass(frozen=True)
class Observation:
    """What a policy may look at.

    Attributes:
        id: Unique within a run.
        stamp: Time of the newest view [ns].
        views: By camera name.
        heightmap: Where one was built.
        regions: Where background subtraction ran.
    """

    id: str
    stamp: int
    views: dict[str, View]
    heightmap: Heightmap | None = None
    regions: Regions | None = None


@dataclass(frozen=True)
class Candidate:
    """One action that a policy proposes.

    Attributes:
        primitive: Grasp or push.
        pose: world_T_tcp. Grasp: the tool centre point (middle of the finger
            pads at ``width``) when the fingers close; push: at the start of
            the stroke. +z is the approach, the fingers close along +-y.
        angle: About the world's +z [rad]. Grasp: direction in which the
            fingers close, in [0, pi); push: direction of the stroke, in
            [0, 2 pi).
        width: Opening before the fingers close [m].
        max_force: Closing force [N].
        push_length: Length of the stroke [m]; 0 for a grasp.
        score: Larger is better; the policy's own scale.
        probability: Calibrated chance of success; NaN where not calibrated.
        propensity: Probability (density) with which the behaviour policy
            chose it; NaN where unknown.
        pixel: (u, v) = (column, row) in ``view``; (-1, -1) where none.
        rotation_index: Discrete rotation; -1 where none.
        view: Camera name, or ``"heightmap"``.
        policy: Name of the policy.
        checkpoint_digest: Of the learnt policy's weights; empty otherwise.
        arm: Name of the arm; empty lets motion choose.
        id: Unique within a run.
        observation_id: Of the observation it was inferred from.
    """

    primitive: Primitive
    pose: np.ndarray
    angle: float
    width: float = 0.0
    max_force: float = 0.0
    push_length: float = 0.0
    score: float = 0.0
    probability: float = float("nan")
    propensity: float = float("nan")
    pixel: tuple[int, int] = (-1, -1)
    rotation_index: int = -1
    view: str = "heightmap"
    policy: str = ""
    checkpoint_digest: str = ""
    arm: str = ""
    id: str = ""
    observation_id: str = ""


@dataclass(frozen=True)
class Phase:
    """One phase of a try, start and end in [ns] of the graph's clock."""

    code: PhaseCode
    start: int
    end: int


@dataclass(frozen=True)
class SensorTrace:
    """What the robot's own sensors said during a try, on one time base.

    Attributes:
        time: (N,) int64 [ns].
        width: (N,) measured opening of the gripper [m].
        force: (N,) gripper force as its motor reports it [N]; NaN where the
            gripper does not measure force.
        wrench: (N, 6) force [N] and torque [N m] at the wrist sensor, in the
            sensor's frame; NaN where there is none.
        joints: (N, J) arm joint positions [rad].
        effort: (N, J) arm joint efforts [N m]; NaN where not measured.
    """

    time: np.ndarray
    width: np.ndarray
    force: np.ndarray
    wrench: np.ndarray
    joints: np.ndarray
    effort: np.ndarray

    def between(self, start: int, end: int) -> SensorTrace:
        """The samples with start <= time <= end [ns]."""
        keep = (self.time >= start) & (self.time <= end)
        return SensorTrace(
            self.time[keep],
            self.width[keep],
            self.force[keep],
            self.wrench[keep],
            self.joints[keep],
            self.effort[keep],
        )


@dataclass(frozen=True)
class Trajectory:
    """A timed joint-space path of one arm.

    Attributes:
        joints: Names, in the columns' order.
        time: (N,) seconds from the start, increasing from 0.
        positions: (N, J) [rad].
        velocities: (N, J) [rad/s].
    """

    joints: tuple[str, ...]
    time: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return float(self.time[-1]) if len(self.time) else 0.0


@dataclass(frozen=True)
class Execution:
    """What happened while one candidate was executed.

    Attributes:
        candidate: As executed (arm filled in).
        phases: In order.
        trace: Sensors from the approach to the end of the lift or stroke.
        commanded: Trajectories in the order in which they ran.
        error: Empty, or why it ended early.
        code: UNKNOWN when it ran to its end; PLAN_FAILED, EXECUTION_FAILED or
            CANCELLED when it did not.
    """

    candidate: Candidate
    phases: tuple[Phase, ...]
    trace: SensorTrace | None
    commanded: tuple[Trajectory, ...] = ()
    error: str = ""
    code: OutcomeCode = OutcomeCode.UNKNOWN

    def phase(self, code: PhaseCode) -> Phase | None:
        """The first phase with this code, or None."""
        return next((p for p in self.phases if p.code == code), None)


@dataclass(frozen=True)
class Outcome:
    """A labelled try, from sensors alone.

    Attributes:
        code: How it ended.
        confidence: In 0..1.
        reason: One sentence.
        rule_version: Of the rule that made the label.
        width_closed: Opening when the fingers had closed [m].
        width_lifted: Opening at the end of the lift [m].
        force_peak: Largest gripper force [N].
        force_held: Mean gripper force at the end of the lift [N].
        payload: Weight seen by the wrist between before and after [N].
        changed_area: Area of the workspace that changed [m^2]; NaN unless
            observations were compared.
        force_measured: Whether the gripper measured force.
        stalled: Whether the fingers stopped before they were closed.
    """

    code: OutcomeCode
    confidence: float = 1.0
    reason: str = ""
    rule_version: str = ""
    width_closed: float = float("nan")
    width_lifted: float = float("nan")
    force_peak: float = float("nan")
    force_held: float = float("nan")
    payload: float = float("nan")
    changed_area: float = float("nan")
    force_measured: bool = False
    stalled: bool = False

    @property
    def success(self) -> bool:
        """Whether the try did what it was for."""
        return self.code in (OutcomeCode.SUCCESS, OutcomeCode.CHANGED)


@dataclass(frozen=True)
class Trial:
    """One finished try with everything that led to it.

    ``before`` and ``after`` may be None when the observations live elsewhere
    (the ROS recorder keeps them in the bag, by id).
    """

    trial_id: str
    run_id: str
    episode_id: str
    index: int
    seed: int
    robot: str
    config_digest: str
    scene_id: str
    candidate: Candidate
    outcome: Outcome
    execution: Execution
    observation_before: str
    observation_after: str
    bag_uri: str = ""
    schema: int = 1
    before: Observation | None = None
    after: Observation | None = None
    notes: dict[str, Any] = field(default_factory=dict)
