"""Runs planned programs on an arm, through a port; no ROS, no sleeping."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from selfgrasp_nodes.errors import (
    Blocked,
    Cancelled,
    ExecutionFailed,
    PlanningFailed,
    SelfGraspError,
)
from selfgrasp_nodes.motion.guard import WrenchGuard
from selfgrasp_nodes.motion.options import MotionOptions
from selfgrasp_nodes.motion.planner import Planner
from selfgrasp_nodes.motion.port import ArmPort, ArmSample
from selfgrasp_nodes.motion.primitives import Grip
from selfgrasp_nodes.motion.program import MoveSegment, Program, Segment, escape_segments
from selfgrasp_nodes.motion.space import ArmSpace
from selfgrasp_nodes.motion.trace import Trace
from selfgrasp_nodes.robots import ArmSpec
from selfgrasp_nodes.types import (
    Execution,
    OutcomeCode,
    Phase,
    PhaseCode,
    Primitive,
    Trajectory,
)

log = logging.getLogger(__name__)
_CODES = {
    Cancelled: OutcomeCode.CANCELLED,
    PlanningFailed: OutcomeCode.PLAN_FAILED,
    Blocked: OutcomeCode.BLOCKED,
}
_RETREATS = (1.0, 0.5, 0.2)  # shares of the lift height that a recovery tries


@dataclass(frozen=True)
class RunnerEvents:
    """Called from the thread that runs the program.

    Attributes:
        on_phase: A phase has begun.
        on_acted: The lift or the stroke has ended.
        on_view_clear: The arm has left the overhead camera's view for good.
    """

    on_phase: Callable[[PhaseCode], None] = lambda phase: None
    on_acted: Callable[[], None] = lambda: None
    on_view_clear: Callable[[], None] = lambda: None


class Runner:
    """One arm that runs one program after the other.

    A try is run in two calls: :meth:`act` to the end of the lift or stroke,
    and, when it was labelled, :meth:`put_away`. Both block the calling thread;
    :meth:`cancel` may come from any other.
    """

    def __init__(
        self,
        port: ArmPort,
        arm: ArmSpec,
        options: MotionOptions,
        planner: Planner,
        space: ArmSpace | None = None,
        home_after_place: bool = False,
    ):
        """Attach to an arm.

        Args:
            port: The arm.
            arm: Its description.
            options: Of motion.
            planner: Plans again what does not begin where the arm is, and the
                way back after a failure.
            space: Leases of the space shared with other arms, where there are any.
            home_after_place: Whether the arm goes home after each release, as
                it must where arms share the table.
        """
        self.arm = arm
        self._port = port
        self._options = options
        self._planner = planner
        self._space = space
        self._home_after_place = home_after_place
        self._cancelled = threading.Event()
        self._reset()

    def _reset(self) -> None:
        self._trace = Trace()
        self._phases: list[Phase] = []
        self._commanded: list[Trajectory] = []
        self._last: ArmSample | None = None
        self._record = False
        self._view_pending = False
        self._code, self._error = OutcomeCode.UNKNOWN, ""
        self._events = RunnerEvents()
        self._program: Program | None = None

    @property
    def holds_something(self) -> bool:
        """Whether the fingers stopped before they were closed."""
        if self._last is None:
            return False
        closed = self.arm.gripper.width_min + self._options.gripper.closed_tolerance
        return bool(self._last.width > closed)

    @property
    def execution(self) -> Execution:
        """The record of the last program so far.

        Raises:
            ExecutionFailed: If nothing was run yet.
        """
        if self._program is None:
            raise ExecutionFailed("no program was run yet; call act first")
        return Execution(
            self._program.candidate,
            tuple(self._phases),
            self._trace.build(),
            tuple(self._commanded),
            self._error,
            self._code,
        )

    def act(self, program: Program, events: RunnerEvents | None = None) -> Execution:
        """Run a program from its approach to the end of its lift or stroke.

        Never raises what goes wrong on the arm: the arm is stopped, and the
        record's ``code`` and ``error`` say it.
        """
        self._reset()
        self._program, self._events = program, events or RunnerEvents()
        self._record = True
        try:
            if self._space is not None:
                self._space.enter(program.act, self._is_cancelled)
            self._run(program.act)
        except SelfGraspError as error:
            self._fail(_code_of(error), error)
        self._record = False
        self._events.on_acted()
        return self.execution

    def put_away(self, held: bool | None = None) -> Execution:
        """Carry and release what is held, or retreat with empty fingers.

        After a failure the arm backs off upwards and goes home; after a cancel
        it stays where it is.

        Args:
            held: Whether the label says that something is held; None: whether
                the fingers stopped before they were closed.

        Returns:
            The whole record.

        Raises:
            SelfGraspError: If the arm could not be brought away.
        """
        if self._program is None:
            raise ExecutionFailed("no program was run yet; call act first")
        program = self._program
        if self._code == OutcomeCode.CANCELLED:
            self._rest()
            return self.execution
        self._view_pending = True
        try:
            if self._code != OutcomeCode.UNKNOWN:
                self.recover()
            else:
                self._run_after(program, self.holds_something if held is None else held)
        except SelfGraspError as error:
            if self._code == OutcomeCode.UNKNOWN:
                self._fail(_code_of(error), error)
            else:
                self._port.stop()
            self._rest()
            raise
        self._view_clear()
        self._rest()
        return self.execution

    def q_end(self, held: bool) -> np.ndarray:
        """Where the arm will be after :meth:`put_away`, for planning ahead [rad]."""
        if self._program is None:
            return self._port.sample().q
        if self._code == OutcomeCode.CANCELLED:
            return self._port.sample().q
        if self._code != OutcomeCode.UNKNOWN:
            return np.asarray(self.arm.home, float)
        return self._program.q_end(held, self._home_after_place)

    def recover(self) -> None:
        """Straight up as far as possible, then home, from wherever the arm is.

        Raises:
            SelfGraspError: If the way home is blocked.
        """
        name, sample = self.arm.name, self._port.sample()
        if self._is_home(sample.q):
            return
        tip = self._planner.fk(name, sample.q)
        for share in _RETREATS:
            above = tip.copy()
            above[2, 3] += share * self._options.grasp.lift_height
            try:
                up = self._planner.plan_linear(name, sample.q, above, width=sample.width)
            except PlanningFailed as error:
                log.info("recovery: %s", error)
                continue
            if self._space is not None:
                self._space.enter([MoveSegment(PhaseCode.HOME, up)], self._is_cancelled)
            self._run([MoveSegment(PhaseCode.HOME, up, above, sample.width)])
            break
        self.go_home()

    def go_home(self) -> None:
        """Free path home from wherever the arm is; nothing where it is there.

        Raises:
            SelfGraspError: If the way home is blocked or the motion fails.
        """
        if self._is_home(self._port.sample().q):
            return
        self.back_off()
        sample, home = self._port.sample(), np.asarray(self.arm.home, float)
        way = self._planner.plan_free(self.arm.name, sample.q, home, width=sample.width)
        clear = self._planner.view_clear_at(self.arm.name, way)
        segment = MoveSegment(PhaseCode.HOME, way, view_clear=clear)
        if self._space is not None:
            self._space.enter([segment], self._is_cancelled)
        self._run([segment])
        self._rest()

    def back_off(self) -> None:
        """Up out of the objects among which the arm was stopped; nothing where it stands free.

        Raises:
            SelfGraspError: If there is no way up or the motion fails.
        """
        sample = self._port.sample()
        segments = escape_segments(
            self._planner, self.arm, sample.q, PhaseCode.HOME, self._options, sample.width
        )
        if segments and self._space is not None:
            self._space.enter(segments, self._is_cancelled)
        self._run(segments)

    def move(self, segments: Sequence[Segment]) -> None:
        """Run planned segments that belong to no try, and stay where they end.

        Raises:
            SelfGraspError: If the motion fails or is cancelled.
        """
        if self._space is not None:
            self._space.enter(segments, self._is_cancelled)
        self._run(segments)
        self._rest()

    def cancel(self) -> None:
        """Stop the arm at once; stays in force until :meth:`clear_cancel`."""
        self._cancelled.set()

    def clear_cancel(self) -> None:
        """Allow motion again."""
        self._cancelled.clear()

    def _run_after(self, program: Program, held: bool) -> None:
        if program.candidate.primitive == Primitive.GRASP and held and program.place:
            segments = _carried(program) if self._home_after_place else program.place
        else:
            segments = program.retreat
        if self._space is not None:
            self._space.leave_through(segments, self._is_cancelled)
        self._run(segments)

    def _run(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            begin = self._begin(segment.phase)
            try:
                self._watch(self._port.sample())
                if isinstance(segment, MoveSegment):
                    self._move(segment)
                elif isinstance(segment, Grip):
                    self._grip(segment)
                else:
                    self._port.wait(segment.duration, self._watch)
            finally:
                self._end(segment.phase, begin)

    def _move(self, segment: MoveSegment) -> None:
        segment = self._from_here(segment)
        guard = WrenchGuard(self._options.safety) if segment.guarded else None
        start = self._port.sample().time
        clear = segment.view_clear

        def watch(sample: ArmSample) -> None:
            self._watch(sample)
            if guard is not None:
                guard.check(sample)
            if clear is not None and (sample.time - start) * 1e-9 >= clear:
                self._view_clear()

        self._commanded.append(segment.trajectory)
        self._port.run_trajectory(segment.trajectory, watch)

    def _grip(self, grip: Grip) -> None:
        width = grip.width
        if grip.opens_by > 0:
            width = min(self._port.sample().width + grip.opens_by, self.arm.gripper.width_max)
        self._port.start_gripper(width, grip.force)
        if grip.wait:
            self._port.wait_gripper(self._watch)

    def _from_here(self, segment: MoveSegment) -> MoveSegment:
        """The segment, planned again where the arm is not where it should begin."""
        q = self._port.sample().q
        away = np.abs(q - segment.trajectory.positions[0]).max()
        if away <= self._options.safety.start_tolerance:
            return segment
        log.info("planning again: the arm is %.3f rad from where the segment begins", away)
        if segment.goal is not None:
            trajectory = self._planner.plan_linear(
                self.arm.name,
                q,
                segment.goal,
                width=segment.width,
                speed=segment.speed,
                scale=segment.scale,
            )
        else:
            trajectory = self._planner.plan_free(
                self.arm.name,
                q,
                segment.end,
                width=segment.width,
                carries=segment.carries,
                scale=segment.scale,
            )
        clear = None
        if segment.view_clear is not None:
            clear = self._planner.view_clear_at(self.arm.name, trajectory)
        return replace(segment, trajectory=trajectory, view_clear=clear)

    def _watch(self, sample: ArmSample) -> None:
        self._last = sample
        if self._record:
            self._trace.append(sample)
        if self._cancelled.is_set():
            raise Cancelled(f"arm {self.arm.name!r} was cancelled")

    def _begin(self, code: PhaseCode) -> int:
        if not self._phases or self._phases[-1].code != code:
            self._events.on_phase(code)
        return self._port.sample().time

    def _end(self, code: PhaseCode, begin: int) -> None:
        """Record a phase; segments of the same phase in a row are one."""
        end = self._port.sample().time
        if self._phases and self._phases[-1].code == code:
            self._phases[-1] = replace(self._phases[-1], end=end)
        else:
            self._phases.append(Phase(code, begin, end))

    def _fail(self, code: OutcomeCode, error: Exception) -> None:
        self._port.stop()
        self._code, self._error = code, str(error)

    def _view_clear(self) -> None:
        if self._view_pending:
            self._view_pending = False
            if self._space is not None:
                self._space.left()
            self._events.on_view_clear()

    def _rest(self) -> None:
        """Lease no more than where the arm stands."""
        if self._space is not None:
            self._space.rest(self._port.sample().q)

    def _is_home(self, q: np.ndarray) -> bool:
        away = np.abs(q - np.asarray(self.arm.home, float)).max()
        return bool(away < self._options.safety.start_tolerance)

    def _is_cancelled(self) -> bool:
        return self._cancelled.is_set()


def _code_of(error: SelfGraspError) -> OutcomeCode:
    """How a try ends that an error has ended."""
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return code
    return OutcomeCode.EXECUTION_FAILED


def _carried(program: Program) -> tuple[Segment, ...]:
    """Place, then home; the view counts as clear only when it stays clear on the way home."""
    crosses = any(isinstance(s, MoveSegment) and s.view_clear != 0.0 for s in program.home)
    place = [
        replace(s, view_clear=None) if crosses and isinstance(s, MoveSegment) else s
        for s in program.place
    ]
    return (*place, *program.home)
