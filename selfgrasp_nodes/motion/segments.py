"""Runs planned segments on an arm, one after the other, and keeps a record of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from selfgrasp_nodes.errors import Cancelled
from selfgrasp_nodes.motion.guard import WrenchGuard
from selfgrasp_nodes.motion.options import MotionOptions
from selfgrasp_nodes.motion.planner import Planner
from selfgrasp_nodes.motion.port import ArmPort, ArmSample
from selfgrasp_nodes.motion.primitives import Grip
from selfgrasp_nodes.motion.program import MoveSegment, Segment
from selfgrasp_nodes.motion.space import ArmSpace
from selfgrasp_nodes.motion.trace import Trace
from selfgrasp_nodes.robots import ArmSpec
from selfgrasp_nodes.types import Phase, PhaseCode, Trajectory

log = logging.getLogger(__name__)


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


class SegmentRunner:
    """Brings an arm along planned segments; what a try consists of is the subclass's business.

    Attributes:
        arm: Its description.
    """

    def __init__(
        self,
        port: ArmPort,
        arm: ArmSpec,
        options: MotionOptions,
        planner: Planner,
        space: ArmSpace | None = None,
    ):
        """Attach to an arm; arguments as for the subclass."""
        self.arm = arm
        self._port = port
        self._options = options
        self._planner = planner
        self._space = space
        self._cancelled = threading.Event()
        self._begin_record()

    def _begin_record(self) -> None:
        self._trace = Trace()
        self._phases: list[Phase] = []
        self._commanded: list[Trajectory] = []
        self._last: ArmSample | None = None
        self._record = False
        self._view_pending = False
        self._events = RunnerEvents()

    def cancel(self) -> None:
        """Stop the arm at once; stays in force until :meth:`clear_cancel`."""
        self._cancelled.set()

    def clear_cancel(self) -> None:
        """Allow motion again."""
        self._cancelled.clear()

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

    def _view_clear(self) -> None:
        if self._view_pending:
            self._view_pending = False
            if self._space is not None:
                self._space.left()
            self._events.on_view_clear()

    def _is_cancelled(self) -> bool:
        return self._cancelled.is_set()
