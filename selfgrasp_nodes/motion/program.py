"""Steps to a planned program: everything of one try, before anything moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import PlanningFailed
from selfgrasp_nodes.motion.candidates import check_candidate, executed
from selfgrasp_nodes.motion.options import MotionOptions
from selfgrasp_nodes.motion.planner import Planner
from selfgrasp_nodes.motion.primitives import (
    Grip,
    Move,
    MoveJoints,
    Rest,
    Step,
    candidate_steps,
)
from selfgrasp_nodes.motion.turns import half_turned, quickest_yaw, turns
from selfgrasp_nodes.robots import ArmSpec
from selfgrasp_nodes.robots.gripper import tip_T_tcp
from selfgrasp_nodes.types import Candidate, Heightmap, PhaseCode, Trajectory

_ACT = frozenset((PhaseCode.APPROACH, PhaseCode.DESCEND, PhaseCode.ACT, PhaseCode.LIFT))
_PLACE = frozenset((PhaseCode.CARRY, PhaseCode.RELEASE))


@dataclass(frozen=True)
class MoveSegment:
    """A planned motion.

    Attributes:
        phase: It belongs to.
        trajectory: From rest to rest.
        goal: world_T_tip of a straight line's end; None on a free path.
        width: Opening that the gripper is assumed to have [m].
        speed: Limit of the tool's speed that it was planned with [m/s].
        guarded: Whether a change of the wrist's wrench stops it.
        carries: Whether something may hang from the gripper.
        scale: Share of the configured speed.
        view_clear: From when on the overhead camera sees the workspace, in
            seconds from the start; None where not asked or never.
    """

    phase: PhaseCode
    trajectory: Trajectory
    goal: np.ndarray | None = None
    width: float | None = None
    speed: float = 0.0
    guarded: bool = False
    carries: bool = False
    scale: float = 1.0
    view_clear: float | None = None

    @property
    def end(self) -> np.ndarray:
        """Joint positions in which it ends [rad]."""
        return self.trajectory.positions[-1]


Segment = MoveSegment | Grip | Rest


@dataclass(frozen=True)
class Program:
    """One candidate, planned.

    Attributes:
        candidate: As it will be executed (arm, force and safe height filled in).
        arm: Name of the arm.
        q_start: Where it is planned from [rad].
        act: Approach to the end of the lift or stroke.
        place: Carry and release; empty for a push, or where not asked for.
        retreat: From the end of the lift to home, with nothing held.
        home: From where ``place`` ends to home; empty where ``place`` is.
    """

    candidate: Candidate
    arm: str
    q_start: np.ndarray
    act: tuple[Segment, ...]
    place: tuple[Segment, ...] = ()
    retreat: tuple[Segment, ...] = ()
    home: tuple[Segment, ...] = ()

    def end(self, *segments: Sequence[Segment]) -> np.ndarray:
        """Joint positions after these stages [rad]; those of the start where they move nothing."""
        q = self.q_start
        for segment in (s for stage in segments for s in stage):
            q = segment.end if isinstance(segment, MoveSegment) else q
        return q

    def q_end(self, placed: bool, at_home: bool = False) -> np.ndarray:
        """Where the arm is afterwards, for planning ahead [rad].

        Args:
            placed: Whether ``place`` runs (something was held).
            at_home: Whether the arm goes home after it has placed.
        """
        if placed and self.place:
            return self.end(self.act, self.place, self.home if at_home else ())
        return self.end(self.act, self.retreat)

    @property
    def trajectories(self) -> tuple[Trajectory, ...]:
        """Those of the try itself, in order."""
        return tuple(s.trajectory for s in self.act if isinstance(s, MoveSegment))


def plan_program(
    planner: Planner,
    steps: Sequence[Step],
    q_start: np.ndarray,
    arm: ArmSpec,
    scale: float = 1.0,
    view: bool = False,
) -> tuple[Segment, ...]:
    """Plan steps one after the other.

    Args:
        planner: Back end.
        steps: As :mod:`selfgrasp_nodes.motion.primitives` makes them.
        q_start: Joint positions of the arm when they begin, e.g. the predicted
            end of the program before [rad].
        arm: The arm that moves.
        scale: Share of the configured speed.
        view: Whether to find out when the overhead view becomes clear.

    Raises:
        PlanningFailed: Naming the phase and the reason.
    """
    q = np.asarray(q_start, float)
    segments: list[Segment] = []
    width: float | None = None
    for step in steps:
        if isinstance(step, (Grip, Rest)):
            segments.append(step)
            continue
        try:
            segment, width = _plan(planner, step, q, arm, width, scale)
        except PlanningFailed as error:
            raise PlanningFailed(f"{step.phase.name.lower()}: {error}") from error
        if view and segment.goal is None:
            clear = planner.view_clear_at(arm.name, segment.trajectory)
            segment = replace(segment, view_clear=clear)
        segments.append(segment)
        q = segment.end
    return tuple(segments)


def plan_candidate(
    planner: Planner,
    candidate: Candidate,
    q_start: np.ndarray,
    options: MotionOptions,
    heightmap: Heightmap | None = None,
    *,
    whole: bool = True,
    scale: float = 1.0,
    place: np.ndarray | None = None,
) -> Program:
    """Plan a whole try.

    A grasp may be turned by half a turn about its approach: the turn that needs
    less time is tried first, the other one where that cannot be planned.

    Args:
        planner: Back end; its obstacles are those of ``heightmap`` where the
            caller has set them.
        candidate: As a policy proposed it.
        q_start: Joint positions of its arm when the try begins [rad].
        options: Of motion.
        heightmap: What the approach must be above.
        whole: Also plan how what is held is put away and how the arm goes home.
        scale: Share of the configured speed.
        place: world_T_tcp in which a grasp lets go; over the bin where None.

    Raises:
        InvalidCandidate: If the candidate makes no sense.
        PlanningFailed: If no trajectory leads there; with the reason.
    """
    robot = planner.robot
    arm = robot.arm(candidate.arm)
    check_candidate(candidate, robot, arm)
    candidate = executed(candidate, arm, options)
    q_start = np.asarray(q_start, float)
    width = candidate.width or None
    out = escape_segments(planner, arm, q_start, PhaseCode.APPROACH, options, width, scale)
    q_free = out[-1].end if out else q_start
    failure: PlanningFailed | None = None
    for turned in turns(planner, candidate, arm, q_free):
        target = place
        if place is not None and not np.array_equal(turned.pose, candidate.pose):
            target = half_turned(place)  # or the object would lie the other way round
        steps = candidate_steps(turned, robot, arm, options, heightmap, target)
        try:
            act = plan_program(planner, [s for s in steps if s.phase in _ACT], q_free, arm, scale)
            program = Program(candidate, arm.name, q_start, (*out, *act))
            return _finished(planner, program, steps, arm, scale) if whole else program
        except PlanningFailed as error:
            failure = failure or error
    assert failure is not None
    raise failure


def escape_segments(
    planner: Planner,
    arm: ArmSpec,
    q: np.ndarray,
    phase: PhaseCode,
    options: MotionOptions,
    width: float | None = None,
    scale: float = 1.0,
) -> tuple[MoveSegment, ...]:
    """The way up out of the objects in which an arm was stopped; empty where it stands free.

    Args:
        planner: Back end.
        arm: The arm.
        q: Where it stands [rad].
        phase: Which the motion belongs to.
        options: The lift's height is the longest way.
        width: Opening of the gripper [m].
        scale: Share of the configured speed.

    Raises:
        PlanningFailed: If there is no such way.
    """
    rise = options.grasp.lift_height
    found = planner.plan_escape(arm.name, q, width=width, rise=rise, scale=scale)
    if found is None:
        return ()
    trajectory, goal = found
    return (MoveSegment(phase, trajectory, goal, width, scale=scale),)


def _finished(
    planner: Planner, program: Program, steps: Sequence[Step], arm: ArmSpec, scale: float
) -> Program:
    """The program with its ways to put away and to go home."""
    q_acted = program.end(program.act)
    place = plan_program(
        planner, [s for s in steps if s.phase in _PLACE], q_acted, arm, scale, view=True
    )
    homeward = [s for s in steps if s.phase == PhaseCode.HOME]
    retreat = plan_program(planner, homeward, q_acted, arm, scale, view=True)
    home: tuple[Segment, ...] = ()
    if place:
        home = plan_program(planner, homeward, program.end(program.act, place), arm, scale, True)
    return replace(program, place=place, retreat=retreat, home=home)


def _plan(
    planner: Planner,
    step: Move | MoveJoints,
    q: np.ndarray,
    arm: ArmSpec,
    width: float | None,
    scale: float,
) -> tuple[MoveSegment, float | None]:
    if isinstance(step, MoveJoints):
        goal = np.asarray(step.positions, float)
        trajectory = planner.plan_free(arm.name, q, goal, width=width, scale=scale)
        return MoveSegment(step.phase, trajectory, width=width, scale=scale), width
    tcp_T_tip = geometry.inverse(tip_T_tcp(arm.gripper, step.width))
    goal = step.world_T_tcp @ tcp_T_tip
    if step.linear:
        trajectory = planner.plan_linear(
            arm.name, q, goal, width=step.width, speed=step.speed, scale=scale
        )
    else:
        target = quickest_yaw(planner, arm, goal, q) if step.any_yaw else goal
        trajectory = planner.plan_free(
            arm.name, q, target, width=step.width, carries=step.carries, scale=scale
        )
    segment = MoveSegment(
        step.phase,
        trajectory,
        goal if step.linear else None,
        step.width,
        step.speed,
        step.guarded,
        step.carries,
        scale,
    )
    return segment, step.width
