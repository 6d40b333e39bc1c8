"""The one trial sequence: a state machine over ports.

observe -> (look) -> propose -> execute -> label -> put away -> observe -> ...

The fast loop and the ROS picker both run it, with different adapters behind
the ports, so that they cannot drift apart. The next action is observed,
decided and planned while the arm still carries the last object away: that is
why the execution's end is awaited only after the next one was started.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from selfgrasp_nodes.errors import (
    Cancelled,
    ExecutionFailed,
    InvalidCandidate,
    PlanningFailed,
)
from selfgrasp_nodes.orchestration.ports import (
    Clock,
    Executor,
    Labeler,
    Observer,
    Proposer,
    Running,
    Store,
)
from selfgrasp_nodes.types import (
    Candidate,
    Execution,
    Observation,
    Outcome,
    OutcomeCode,
    Primitive,
    Trial,
)

log = logging.getLogger(__name__)


class State(str, Enum):
    """Where the sequence is; passed to ``on_event`` for feedback."""

    OBSERVE = "observe"
    LOOK = "look"
    PROPOSE = "propose"
    EXECUTE = "execute"
    LABEL = "label"
    STORE = "store"
    DONE = "done"


class StopReason(str, Enum):
    """Why a run ended."""

    EMPTY = "nothing left to act on"
    CLEARED = "the wanted number of objects was cleared"
    MAX_ACTIONS = "the largest number of actions was reached"
    NO_CHANGE = "too many actions in a row without a change"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Ports:
    """The adapters around one sequence."""

    clock: Clock
    observer: Observer
    proposer: Proposer
    executor: Executor
    labeler: Labeler
    store: Store


@dataclass(frozen=True)
class Limits:
    """When a run stops.

    Attributes:
        max_actions: Largest number of tries; 0 for no limit.
        max_no_change: Stop after this many tries in a row without a change of
            the table (VPG's rule; Zeng 2018, section V-B); 0 for no limit.
        max_cleared: Stop after this many successful grasps; 0 for no limit.
        plan_attempts: Candidates that are tried when planning fails.
    """

    max_actions: int = 0
    max_no_change: int = 10
    max_cleared: int = 0
    plan_attempts: int = 5


@dataclass(frozen=True)
class RunIdentity:
    """What every record of a run carries."""

    run_id: str
    robot: str
    config_digest: str
    seed: int
    episode_id: str = "0"
    scene_id: str = ""
    first_index: int = 0


@dataclass(frozen=True)
class Event:
    """Feedback: the state that was entered, and what is known by then."""

    state: State
    index: int
    candidate: Candidate | None = None
    outcome: Outcome | None = None
    candidates: Sequence[Candidate] = ()
    observation: Observation | None = None


@dataclass
class _Decision:
    """A ranked choice on one observation."""

    observation: Observation
    candidates: Sequence[Candidate]
    index: int
    trial_id: str
    seed: int


@dataclass
class Progress:
    """Running totals, for stop rules and feedback."""

    actions: int = 0
    cleared: int = 0
    no_change: int = 0
    no_success: int = 0
    longest_no_success: int = 0
    avoid: list[Candidate] = field(default_factory=list)

    def count(self, candidate: Candidate, outcome: Outcome, changed: bool) -> None:
        """Take one finished try into account."""
        self.actions += 1
        grasped = candidate.primitive == Primitive.GRASP and outcome.success
        self.cleared += grasped
        if changed or grasped:
            self.no_change = 0
            self.avoid.clear()
        else:
            self.no_change += 1
        if not (outcome.success or changed):
            self.avoid.append(candidate)
        self.no_success = 0 if grasped else self.no_success + 1
        self.longest_no_success = max(self.longest_no_success, self.no_success)


class TrialSequence:
    """Runs trials until a limit is met; iterate over :meth:`run`.

    Attributes:
        progress: Totals so far.
        stop_reason: Why it ended, once it has.
    """

    def __init__(
        self,
        ports: Ports,
        identity: RunIdentity,
        limits: Limits | None = None,
        primitives: Sequence[Primitive] = (Primitive.GRASP, Primitive.PUSH),
        on_event: Callable[[Event], None] | None = None,
        cancel: threading.Event | None = None,
    ):
        self.ports = ports
        self.identity = identity
        self.limits = limits or Limits()
        self.primitives = tuple(primitives)
        self.progress = Progress()
        self.stop_reason: StopReason | None = None
        self._on_event = on_event or (lambda event: None)
        self._cancel = cancel or threading.Event()

    def run(self) -> Iterator[Trial]:
        """Yield each finished, stored trial.

        Raises:
            SelfGraspError: What a port raises and the sequence cannot mend
                (no picture, disk full). Trials before it are stored.
        """
        index = self.identity.first_index
        self._on_event(Event(State.OBSERVE, index))
        observation = self.ports.observer.observe()
        decision = self._decide(observation, index)
        running: Running | None = None
        started: Candidate | None = None
        while decision is not None and not self._stop():
            if running is None:
                running, started, failure = self._start(decision)
                if running is None or started is None:
                    trial = self._plan_failed(decision, failure)
                    yield trial
                    index += 1
                    decision = None if self._stop() else self._decide(decision.observation, index)
                    continue
            execution, outcome = self._act(running, decision)
            self._on_event(Event(State.OBSERVE, decision.index, execution.candidate, outcome))
            after = self.ports.observer.observe()
            outcome = self._finish_label(execution, outcome, decision, after)
            done, index = decision, decision.index + 1
            decision = None if self._stop() else self._decide(after, index)
            following, started = None, None
            failure = ""
            if decision is not None:
                following, started, failure = self._start(decision)
            execution = running.finish()
            yield self._store(done, execution, outcome, after)
            running = following
            if decision is not None and running is None:
                yield self._plan_failed(decision, failure)
                index += 1
                decision = None if self._stop() else self._decide(after, index)
        if self.stop_reason is None:
            self.stop_reason = StopReason.EMPTY
        self._on_event(Event(State.DONE, index))

    def _stop(self) -> bool:
        if self.stop_reason is not None:
            return True
        limits, progress = self.limits, self.progress
        if self._cancel.is_set():
            self.stop_reason = StopReason.CANCELLED
        elif limits.max_cleared and progress.cleared >= limits.max_cleared:
            self.stop_reason = StopReason.CLEARED
        elif limits.max_actions and progress.actions >= limits.max_actions:
            self.stop_reason = StopReason.MAX_ACTIONS
        elif limits.max_no_change and progress.no_change >= limits.max_no_change:
            self.stop_reason = StopReason.NO_CHANGE
        return self.stop_reason is not None

    def _decide(self, observation: Observation, index: int) -> _Decision | None:
        """Ask the policy; None when it proposes nothing."""
        entropy = [self.identity.seed, _stable_int(self.identity.episode_id), index]
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        look = self.ports.proposer.look_pose(observation, seed)
        if look is not None:
            self._on_event(Event(State.LOOK, index, observation=observation))
            try:
                observation = self.ports.observer.look(observation, *look)
            except PlanningFailed as error:
                log.warning("look pose left out: %s", error)
        self._on_event(Event(State.PROPOSE, index, observation=observation))
        candidates = self.ports.proposer.propose(
            observation, seed, self.primitives, self.progress.avoid
        )
        if not candidates:
            return None
        trial_id = f"{self.identity.run_id}-{self.identity.episode_id}-{index:05d}"
        candidates = [
            replace(c, id=c.id or f"{trial_id}-c{rank}", observation_id=observation.id)
            for rank, c in enumerate(candidates)
        ]
        return _Decision(observation, candidates, index, trial_id, seed)

    def _start(self, decision: _Decision) -> tuple[Running | None, Candidate | None, str]:
        """Start the best candidate that can be planned; the last error where none can."""
        failure = ""
        for candidate in decision.candidates[: self.limits.plan_attempts]:
            self._on_event(
                Event(
                    State.EXECUTE,
                    decision.index,
                    candidate,
                    candidates=decision.candidates,
                    observation=decision.observation,
                )
            )
            try:
                return self.ports.executor.start(candidate, decision.trial_id), candidate, ""
            except (PlanningFailed, InvalidCandidate) as error:
                failure = str(error)
                log.info("candidate %s left out: %s", candidate.id, error)
        return None, None, failure

    def _act(self, running: Running, decision: _Decision) -> tuple[Execution, Outcome]:
        """Wait for the try, label a grasp, and let the arm clear the view."""
        watcher = _CancelWatcher(self._cancel, running)
        try:
            execution = running.wait_acted()
        finally:
            watcher.close()
        self._on_event(Event(State.LABEL, decision.index, execution.candidate))
        if execution.code != OutcomeCode.UNKNOWN:
            outcome = Outcome(execution.code, reason=execution.error)
        elif execution.candidate.primitive == Primitive.GRASP:
            outcome = self.ports.labeler.label(execution, decision.observation, None)
        else:
            outcome = Outcome(OutcomeCode.UNKNOWN, reason="a push is labelled by change")
        try:
            running.put_away(outcome)
        except (ExecutionFailed, Cancelled, PlanningFailed) as error:
            log.warning("putting away failed: %s", error)
        return execution, outcome

    def _finish_label(
        self, execution: Execution, outcome: Outcome, decision: _Decision, after: Observation
    ) -> Outcome:
        changed, area = self.ports.labeler.changed(decision.observation, after)
        candidate = execution.candidate
        if execution.code == OutcomeCode.UNKNOWN and candidate.primitive == Primitive.PUSH:
            outcome = self.ports.labeler.label(execution, decision.observation, after)
        outcome = replace(outcome, changed_area=area)
        self.progress.count(candidate, outcome, changed)
        return outcome

    def _store(
        self, decision: _Decision, execution: Execution, outcome: Outcome, after: Observation
    ) -> Trial:
        identity = self.identity
        trial = Trial(
            trial_id=decision.trial_id,
            run_id=identity.run_id,
            episode_id=identity.episode_id,
            index=decision.index,
            seed=decision.seed,
            robot=identity.robot,
            config_digest=identity.config_digest,
            scene_id=identity.scene_id,
            candidate=execution.candidate,
            outcome=outcome,
            execution=execution,
            observation_before=decision.observation.id,
            observation_after=after.id,
            before=decision.observation,
            after=after,
        )
        self.ports.store.store(trial)
        self._on_event(Event(State.STORE, decision.index, execution.candidate, outcome))
        return trial

    def _plan_failed(self, decision: _Decision, failure: str) -> Trial:
        """Record that none of the best candidates could be planned."""
        candidate = decision.candidates[0]
        outcome = Outcome(OutcomeCode.PLAN_FAILED, reason=failure)
        for tried in decision.candidates[: self.limits.plan_attempts]:
            self.progress.avoid.append(tried)
        self.progress.count(candidate, outcome, changed=False)
        execution = Execution(candidate, (), None, (), failure, OutcomeCode.PLAN_FAILED)
        return self._store(decision, execution, outcome, decision.observation)


class _CancelWatcher:
    """Cancels a running execution as soon as the event is set, from a thread of its own."""

    def __init__(self, cancel: threading.Event, running: Running):
        self._closed = threading.Event()
        self._cancel = cancel
        self._thread = threading.Thread(target=self._watch, args=(running,), daemon=True)
        self._thread.start()

    def _watch(self, running: Running) -> None:
        while not self._closed.is_set():
            if self._cancel.wait(0.02):
                if not self._closed.is_set():
                    running.cancel()
                return

    def close(self) -> None:
        self._closed.set()


def _stable_int(text: str) -> int:
    """A number from a text, the same in every process (``hash`` is salted)."""
    return int.from_bytes(text.encode()[-8:], "little")
