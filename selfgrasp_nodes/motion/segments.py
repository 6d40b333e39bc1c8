"""Runs planned segments on an arm, one after the other, and keeps a record of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from selfgrasp_nodes.errors import Cancelled, ExecutionFailed
from selfgrasp_nodes.motion.guard import WrenchGuard
from selfgrasp_nodes.motion.options import MotionOptions
from selfgrasp_nodes.motion.planner import Planner
from selfgrasp_nodes.motion.port import ArmPort, ArmSample
from selfgrasp_nodes.motion.primitives import Grip
from selfgrasp_nodes.motion.program import MoveSegment, Segment
from selfgrasp_nodes.motion.space import ArmSpace
from selfgrasp_nodes.motion.timing import join
from selfgrasp_nodes.motion.trace import Trace
from selfgrasp_nodes.robots import ArmSpec
from selfgrasp_nodes.types import Phase, PhaseCode, Trajectory

log = logging.getLogger(__name__)
_MOVES = 0.003  # a joint this far from where it stood has begun to move [rad]
_FINGERS_SLACK = 0.3  # beyond the time that the fingers need at their speed [s]
_FINGERS_NEAR = 0.006  # they have arrived [m]
_SAME = 1e-6  # joint positions at which one motion goes on from another [rad]


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


class _Progress:
    """Follows a chain of motions: its phases, the guard, and the view."""

    def __init__(
        self,
        runner: SegmentRunner,
        chain: Sequence[MoveSegment],
        starts: np.ndarray,
        gates: dict[int, Grip],
    ):
        self._runner, self._chain, self._starts, self._gates = runner, chain, starts, gates
        self._sent = runner._port.sample()
        self._moved: int | None = None
        self._index = -1
        self._next()

    def watch(self, sample: ArmSample) -> None:
        """Take a sample into account; raises what stops the arm."""
        self._runner._watch(sample)
        last = self._index + 1 >= len(self._chain)
        if not last and self._elapsed(sample) >= self._starts[self._index + 1]:
            self._pass(sample)
        if self._guard is not None:
            self._guard.check(sample)
        clear = self._chain[self._index].view_clear
        since = (sample.time - self._sent.time) * 1e-9 - self._starts[self._index]
        if clear is not None and since >= clear:
            self._runner._view_clear()

    def complete(self) -> None:
        """The end was reached: phases too short for a sample of their own are recorded, too."""
        while self._index + 1 < len(self._chain):
            self._pass(self._runner._port.sample())

    def close(self) -> None:
        """The chain has ended, one way or the other."""
        self._runner._end(self._chain[self._index].phase, self._begun)

    def _pass(self, sample: ArmSample) -> None:
        """From one motion to the next.

        Raises:
            ExecutionFailed: If the fingers are not yet where they must be by then.
        """
        self.close()
        gate = self._gates.get(self._index + 1)
        self._next()
        if gate is not None and abs(sample.width - gate.width) > _FINGERS_NEAR:
            raise ExecutionFailed(
                f"the fingers stand at {sample.width * 1e3:.0f} mm instead of "
                f"{gate.width * 1e3:.0f} mm before the descent; look at the gripper's driver"
            )

    def _next(self) -> None:
        self._index += 1
        segment = self._chain[self._index]
        self._begun = self._runner._begin(segment.phase)
        safety = self._runner._options.safety
        self._guard = WrenchGuard(safety) if segment.guarded else None

    def _elapsed(self, sample: ArmSample) -> float:
        """Time since the arm began to move [s], which is a little after the goal was sent."""
        if self._moved is None and np.abs(sample.q - self._sent.q).max() > _MOVES:
            self._moved = sample.time
        return 0.0 if self._moved is None else (sample.time - self._moved) * 1e-9


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
        self._gripping: Grip | None = None

    def cancel(self) -> None:
        """Stop the arm at once; stays in force until :meth:`clear_cancel`."""
        self._cancelled.set()

    def clear_cancel(self) -> None:
        """Allow motion again."""
        self._cancelled.clear()

    def _run(self, segments: Sequence[Segment]) -> None:
        left = list(segments)
        while left:
            segment = left[0]
            if isinstance(segment, MoveSegment):
                chain, gates, used = self._chain(left)
                self._move(chain, gates)
                left = left[used:]
                continue
            begin = self._begin(segment.phase)
            try:
                self._watch(self._port.sample())
                if isinstance(segment, Grip):
                    self._grip(segment)
                else:
                    self._port.wait(segment.duration, self._watch)
            finally:
                self._end(segment.phase, begin)
            left = left[1:]

    def _chain(
        self, segments: Sequence[Segment]
    ) -> tuple[list[MoveSegment], dict[int, Grip], int]:
        """Motions that can run as one, from the first segment on.

        A wait for fingers that are on their way already does not part two motions where
        they have time enough to arrive; whether they have is looked at there.

        Returns:
            The motions, the waits by number of the motion that follows, and how many of
            the segments these are.
        """
        chain: list[MoveSegment] = []
        gates: dict[int, Grip] = {}
        gate: Grip | None = None
        used, time_left = 0, 0.0
        for number, segment in enumerate(segments, 1):
            if isinstance(segment, MoveSegment):
                if chain and not _continues(chain[-1], segment):
                    break
                if gate is not None:
                    gates[len(chain)], gate = gate, None
                chain.append(segment)
                time_left += segment.trajectory.duration
                used = number
            elif isinstance(segment, Grip) and self._is_awaited(segment):
                way = abs(segment.width - self._port.sample().width)
                if way / self.arm.gripper.speed + _FINGERS_SLACK > time_left:
                    break
                gate = segment
            else:
                break
        return chain, gates, used

    def _is_awaited(self, grip: Grip) -> bool:
        """Whether it only waits for what the fingers were told already."""
        begun = self._gripping
        return begun is not None and not begun.opens_by and grip == replace(begun, wait=True)

    def _move(self, chain: Sequence[MoveSegment], gates: dict[int, Grip]) -> None:
        """Motions in a row as one trajectory: a controller's goals cost a stop each."""
        first = self._from_here(chain[0])
        chain = [first, *chain[1:]]
        if len(chain) > 1 and not _continues(first, chain[1]):  # it was planned again
            self._move([first], {})
            self._move(chain[1:], {number - 1: gate for number, gate in gates.items()})
            return
        trajectory, starts = join([segment.trajectory for segment in chain])
        progress = _Progress(self, chain, starts, gates)
        self._commanded.append(trajectory)
        try:
            progress.watch(self._port.sample())
            self._port.run_trajectory(trajectory, progress.watch)
            progress.complete()
        finally:
            progress.close()

    def _grip(self, grip: Grip) -> None:
        width = grip.width
        if grip.opens_by > 0:
            width = min(self._port.sample().width + grip.opens_by, self.arm.gripper.width_max)
        self._gripping = grip
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


def _continues(first: MoveSegment, second: MoveSegment) -> bool:
    """Whether the second motion begins where the first one ends."""
    return bool(np.abs(first.end - second.trajectory.positions[0]).max() <= _SAME)
