"""Runs planned programs on an arm, through a port; no ROS, no sleeping."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from selfgrasp_nodes.errors import (
    Blocked,
    Cancelled,
    ExecutionFailed,
    PlanningFailed,
    SelfGraspError,
)
from selfgrasp_nodes.motion.options import MotionOptions
from selfgrasp_nodes.motion.planner import Planner
from selfgrasp_nodes.motion.port import ArmPort
from selfgrasp_nodes.motion.program import MoveSegment, Program, Segment, escape_segments
from selfgrasp_nodes.motion.progress import ReleaseGate
from selfgrasp_nodes.motion.segments import RunnerEvents, SegmentRunner
from selfgrasp_nodes.motion.space import ArmSpace
from selfgrasp_nodes.robots import ArmSpec
from selfgrasp_nodes.types import (
    Execution,
    OutcomeCode,
    PhaseCode,
    Primitive,
)

__all__ = ["Runner", "RunnerEvents"]

log = logging.getLogger(__name__)
_CODES = {
    Cancelled: OutcomeCode.CANCELLED,
    PlanningFailed: OutcomeCode.PLAN_FAILED,
    Blocked: OutcomeCode.BLOCKED,
}
_RETREATS = (1.0, 0.5, 0.2)  # shares of the lift height that a recovery tries


class Runner(SegmentRunner):
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
        super().__init__(port, arm, options, planner, space)
        self._home_after_place = home_after_place
        self._forget()

    def _forget(self) -> None:
        self._begin_record()
        self._code, self._error = OutcomeCode.UNKNOWN, ""
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
        self._forget()
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

    def put_away(self, held: bool | None = None, gate: ReleaseGate | None = None) -> Execution:
        """Carry and release what is held, or retreat with empty fingers.

        After a failure the arm backs off upwards and goes home; after a cancel
        it stays where it is.

        Args:
            held: Whether the label says that something is held; None: whether
                the fingers stopped before they were closed.
            gate: Nothing is released before it is open; none where None.

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
        self._gate = gate
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

    def _run_after(self, program: Program, held: bool) -> None:
        if program.candidate.primitive == Primitive.GRASP and held and program.place:
            segments = _carried(program) if self._home_after_place else program.place
        else:
            segments = program.retreat
        if self._space is not None:
            self._space.leave_through(segments, self._is_cancelled)
        self._run(segments)

    def _fail(self, code: OutcomeCode, error: Exception) -> None:
        self._port.stop()
        self._code, self._error = code, str(error)

    def _rest(self) -> None:
        """Lease no more than where the arm stands."""
        if self._space is not None:
            self._space.rest(self._port.sample().q)

    def _is_home(self, q: np.ndarray) -> bool:
        away = np.abs(q - np.asarray(self.arm.home, float)).max()
        return bool(away < self._options.safety.start_tolerance)


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
