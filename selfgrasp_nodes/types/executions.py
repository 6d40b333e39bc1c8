"""What is done: candidates, and what happened while they were executed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from selfgrasp_nodes.types.codes import OutcomeCode, PhaseCode, Primitive


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

    A sensor that speaks less often than the joints, or has fallen silent, has NaN
    in between: nothing that was read before is repeated as if it were read again.

    Attributes:
        time: (N,) int64 [ns].
        width: (N,) measured opening of the gripper [m]; NaN where none was read.
        force: (N,) gripper force as its motor reports it [N]; NaN where none was
            read, or the gripper does not measure force.
        wrench: (N, 6) force [N] and torque [N m] at the wrist sensor, in the
            sensor's frame; NaN where none was read.
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
        code: UNKNOWN when it ran to its end; PLAN_FAILED, BLOCKED,
            EXECUTION_FAILED or CANCELLED when it did not.
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
