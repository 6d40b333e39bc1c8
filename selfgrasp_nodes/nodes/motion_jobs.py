"""One arm's queue of executions, each planned from where the one before will end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from selfgrasp_nodes.errors import Busy, Cancelled, Unavailable
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.motion.options import MotionOptions
from selfgrasp_nodes.motion.program import Program, plan_candidate
from selfgrasp_nodes.motion.runner import Runner
from selfgrasp_nodes.motion.space import ArmSpace
from selfgrasp_nodes.nodes.ros_arm import RosArm
from selfgrasp_nodes.robots import ArmSpec
from selfgrasp_nodes.types import Candidate, Heightmap, Outcome

_POLL = 0.02  # how often a waiting job looks whether it was cancelled [s]


@dataclass
class Job:
    """One execution, from its acceptance to its end.

    Attributes:
        trial_id: Names it.
        runner: Of its own, so that the next one can ask where it will end.
        before: The job that it follows.
        outcome: Given to :meth:`Lane.decide`.
        held: What the label says of it; None where nobody labelled it.
        stopped: Whether the fingers had stopped before they were closed when the lift ended.
        decided: Set when it is known whether something is carried away.
        done: Set when nothing of it moves any more.
        cancelled: Set when the caller gave it up.
    """

    trial_id: str
    runner: Runner
    before: Job | None
    outcome: Outcome | None = None
    held: bool | None = None
    stopped: bool | None = None
    decided: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def decide(self, held: bool | None, outcome: Outcome | None = None) -> None:
        """Say how it ended: ``held`` is None where the fingers decide."""
        self.held, self.outcome = held, outcome
        self.decided.set()

    def cancel(self) -> None:
        """Stop the arm if this job moves it; leave the queue if it does not yet."""
        self.cancelled.set()
        self.runner.cancel()

    def wait(self, event: threading.Event, timeout: float, what: str) -> None:
        """Wait for an event of another job.

        Raises:
            Cancelled: If this job is cancelled meanwhile.
            Unavailable: After ``timeout`` [s] of wall time.
        """
        limit = time.monotonic() + timeout
        while not event.wait(_POLL):
            if self.cancelled.is_set():
                raise Cancelled(f"{self.trial_id} was cancelled while it waited for {what}")
            if time.monotonic() > limit:
                raise Unavailable(f"{self.trial_id} waited {timeout:g} s for {what}")

    def q_end(self) -> np.ndarray:
        """Where the arm will be when this job is done [rad]; once it is decided."""
        return self.runner.q_end(self.is_carried)

    @property
    def is_carried(self) -> bool:
        """Whether the arm goes to the bin: fingers or label say that it holds something."""
        fingers = self.runner.holds_something if self.stopped is None else self.stopped
        return fingers or bool(self.held)


class Lane:
    """One arm: at most one job that moves and one that waits behind it."""

    def __init__(
        self,
        port: RosArm,
        arm: ArmSpec,
        planner: EmbeddedPlanner,
        options: MotionOptions,
        space: ArmSpace | None,
    ):
        self.arm, self.port, self.space = arm, port, space
        self._planner, self._options = planner, options
        self._jobs: list[Job] = []
        self._lock = threading.Lock()
        self._rests = False

    def runner(self, max_force: float = 0.0, goes_home: bool = False) -> Runner:
        """A runner of its own for one job.

        Args:
            max_force: At the wrist [N]; 0 as configured.
            goes_home: Whether the arm goes home after it has let go, although it
                shares the table with nobody.
        """
        options = self._options
        if max_force > 0:
            safety = options.safety.model_copy(update={"max_force": max_force})
            options = options.model_copy(update={"safety": safety})
        alone = self.space is None
        return Runner(
            self.port, self.arm, options, self._planner, self.space, goes_home or not alone
        )

    @property
    def load(self) -> int:
        """Jobs that move or wait."""
        return len(self._jobs)

    def enter(self, trial_id: str, max_force: float = 0.0, goes_home: bool = False) -> Job:
        """Join the queue; arguments as :meth:`runner`.

        Raises:
            Busy: If one moves and one waits already.
        """
        with self._lock:
            if len(self._jobs) >= 2:
                raise Busy(
                    f"arm {self.arm.name!r} executes {self._jobs[0].trial_id!r} and "
                    f"{self._jobs[1].trial_id!r} waits behind it; send the next goal when the "
                    "first has ended"
                )
            before = self._jobs[-1] if self._jobs else None
            job = Job(trial_id, self.runner(max_force, goes_home), before)
            self._jobs.append(job)
        if self.space is not None and not self._rests:
            self._rests = True
            self.space.rest(self.port.sample().q)
        return job

    def leave(self, job: Job) -> None:
        """The job has ended."""
        with self._lock:
            if job in self._jobs:
                self._jobs.remove(job)
        job.decided.set()
        job.done.set()
        job.before = None

    def find(self, trial_id: str) -> Job | None:
        """The job of that id that has not ended."""
        with self._lock:
            return next((job for job in self._jobs if job.trial_id == trial_id), None)

    def all(self) -> list[Job]:
        """The jobs that have not ended."""
        with self._lock:
            return list(self._jobs)

    def q_start(self, job: Job, timeout: float) -> np.ndarray:
        """Where the arm will be when the job begins [rad]; waits until that is known.

        Raises:
            Cancelled: If the job is cancelled meanwhile.
            Unavailable: If it is not known in time.
        """
        before = job.before
        if before is None:
            return self.port.fresh().q
        job.wait(before.decided, timeout, f"the label of {before.trial_id}")
        if before.done.is_set():
            return self.port.fresh().q
        return before.q_end()

    def plan(
        self,
        candidate: Candidate,
        q_start: np.ndarray,
        heightmap: Heightmap | None,
        scale: float,
        others: Callable[[], dict[str, tuple[np.ndarray, float]]],
        place: np.ndarray | None = None,
    ) -> Program:
        """Plan a whole try.

        Args:
            candidate: To execute.
            q_start: Where the arm will be [rad].
            heightmap: What lies on the table.
            scale: Share of the configured speed.
            others: Says where the other arms are.
            place: world_T_tcp in which a grasp lets go; over the bin where None.

        Raises:
            InvalidCandidate: If the candidate makes no sense.
            PlanningFailed: With the reason.
        """
        for name, (q, width) in others().items():
            self._planner.set_arm(name, q, width)
        self._planner.set_obstacles(heightmap)
        return plan_candidate(
            self._planner,
            candidate,
            q_start,
            self._options,
            heightmap,
            scale=scale,
            place=place,
        )
