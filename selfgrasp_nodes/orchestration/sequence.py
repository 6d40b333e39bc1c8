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
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from selfgrasp_nodes.errors import (
    InvalidCandidate,
    InvalidImage,
    PlanningFailed,
    SelfGraspError,
    Unavailable,
)
from selfgrasp_nodes.orchestration.cancelling import CancelWatcher
from selfgrasp_nodes.orchestration.events import Event, RunIdentity, State
from selfgrasp_nodes.orchestration.limits import Limits, Progress, StopReason
from selfgrasp_nodes.orchestration.ports import Ports, Running
from selfgrasp_nodes.perception.change import ChangeResult, changed_area, changed_near
from selfgrasp_nodes.types import (
    Candidate,
    Execution,
    Observation,
    Outcome,
    OutcomeCode,
    Primitive,
    Trial,
)

__all__ = [
    "Event",
    "Limits",
    "Ports",
    "Progress",
    "RunIdentity",
    "State",
    "StopReason",
    "TrialSequence",
]

log = logging.getLogger(__name__)


@dataclass
class _Decision:
    """A ranked choice on one observation."""

    observation: Observation
    candidates: Sequence[Candidate]
    index: int
    trial_id: str
    seed: int


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
        with CancelWatcher(self._cancel) as self._watcher:
            yield from self._trials()

    def _trials(self) -> Iterator[Trial]:
        index = self.identity.first_index
        self._on_event(Event(State.OBSERVE, index))
        decision: _Decision | None = self._decide(self.ports.observer.observe(), index)
        running: Running | None = None
        failure = ""
        while decision is not None and not self._stop():
            if running is None:
                running, failure = self._start(decision)
            if running is None:
                yield self._plan_failed(decision, failure)
                index += 1
                decision = None if self._stop() else self._decide(decision.observation, index)
                continue
            execution, outcome = self._act(running, decision)
            done, index = decision, decision.index + 1
            after = self._observe_after(done, execution, outcome)
            outcome = self._finish_label(execution, outcome, done, after)
            # What fails from here on belongs to the next try; this one is stored first.
            decision, following, error = None, None, None
            try:
                if after is not None and not self._stop():
                    decision = self._decide(after, index)
                    if decision is not None:
                        following, failure = self._start(decision)
            except SelfGraspError as raised:
                error = raised
            execution = self._finish(running, execution)
            yield self._store(done, execution, outcome, after)
            running = following
            if self._stop():
                break
            if error is not None:
                raise error
            if after is None:
                # Nothing moves any more: what was in the camera's way may be gone.
                decision = self._decide(self.ports.observer.observe(), index)
            elif decision is not None and running is None:
                yield self._plan_failed(decision, failure)
                index += 1
                decision = None if self._stop() else self._decide(after, index)
        if self.stop_reason is None:
            self.stop_reason = StopReason.EMPTY
        self._on_event(Event(State.DONE, index))

    def _stop(self) -> bool:
        if self.stop_reason is None:
            cancelled = self._cancel.is_set()
            reached = self.limits.reached(self.progress)
            self.stop_reason = StopReason.CANCELLED if cancelled else reached
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

    def _start(self, decision: _Decision) -> tuple[Running | None, str]:
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
                running = self.ports.executor.start(candidate, decision.trial_id)
            except (PlanningFailed, InvalidCandidate) as error:
                failure = str(error)
                log.info("candidate %s left out: %s", candidate.id, error)
                continue
            self._watcher.add(running)
            return running, ""
        return None, failure

    def _act(self, running: Running, decision: _Decision) -> tuple[Execution, Outcome]:
        """Wait for the try, label a grasp, and let the arm clear the view."""
        execution = running.wait_acted()
        self._on_event(Event(State.LABEL, decision.index, execution.candidate))
        if execution.code != OutcomeCode.UNKNOWN:
            outcome = Outcome(execution.code, reason=execution.error)
        elif execution.candidate.primitive == Primitive.GRASP:
            outcome = self._label(execution, decision.observation, None)
        else:
            outcome = Outcome(OutcomeCode.UNKNOWN, reason="a push is labelled by change")
        try:
            running.put_away(outcome)
        except SelfGraspError as error:
            log.warning("putting away failed: %s", error)
        return execution, outcome

    def _observe_after(
        self, decision: _Decision, execution: Execution, outcome: Outcome
    ) -> Observation | None:
        """What the try has left behind; None where no picture can be had.

        After a cancel there is none: the arm stands where it was stopped, maybe in view.
        """
        if self._cancel.is_set():
            return None
        self._on_event(Event(State.OBSERVE, decision.index, execution.candidate, outcome))
        try:
            return self.ports.observer.observe()
        except SelfGraspError as error:
            log.warning("no picture after %s: %s", decision.trial_id, error)
            return None

    def _finish_label(
        self,
        execution: Execution,
        outcome: Outcome,
        decision: _Decision,
        after: Observation | None,
    ) -> Outcome:
        candidate, changed = execution.candidate, False
        pushed = execution.code == OutcomeCode.UNKNOWN and candidate.primitive == Primitive.PUSH
        if after is not None:
            try:
                changed, area = self.ports.labeler.changed(decision.observation, after)
            except SelfGraspError as error:
                log.warning("%s is not compared: %s", decision.trial_id, error)
                area = float("nan")
            if pushed:
                outcome = self._label(execution, decision.observation, after)
            outcome = replace(outcome, changed_area=area)
        elif pushed:
            outcome = replace(outcome, reason="a push is labelled by change, and no picture came")
        self.progress.count(candidate, outcome, changed, _touched(decision.observation, after))
        return outcome

    def _label(
        self, execution: Execution, before: Observation, after: Observation | None
    ) -> Outcome:
        """The label; UNKNOWN with the reason where samples or the rule cannot be had in time."""
        try:
            return self.ports.labeler.label(execution, before, after)
        except Unavailable as error:
            log.warning("%s is not labelled: %s", execution.candidate.id, error)
            return Outcome(OutcomeCode.UNKNOWN, reason=str(error))

    def _finish(self, running: Running, acted: Execution) -> Execution:
        """The whole record; what is known of it where its end is not heard of."""
        try:
            return running.finish()
        except SelfGraspError as error:
            log.warning("the end of the execution is not known: %s", error)
            return acted
        finally:
            self._watcher.remove(running)

    def _store(
        self,
        decision: _Decision,
        execution: Execution,
        outcome: Outcome,
        after: Observation | None,
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
            observation_after="" if after is None else after.id,
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


def _touched(before: Observation, after: Observation | None) -> Callable[[Candidate], bool]:
    """Says of a try whether the table changed about it; everywhere, where that cannot be seen."""
    old, new = before.heightmap, None if after is None else after.heightmap
    if old is None or new is None:
        return lambda _: True

    @cache
    def compared() -> ChangeResult | None:
        # Asked for only where something failed: most tries need no second comparison.
        try:
            return changed_area(old, new)
        except InvalidImage:
            return None

    def touched(candidate: Candidate) -> bool:
        result = compared()
        if result is None:
            return True
        start = candidate.pose[:2, 3]
        along = np.array([np.cos(candidate.angle), np.sin(candidate.angle)])
        return changed_near(result, old.workspace, start, start + candidate.push_length * along)

    return touched


def _stable_int(text: str) -> int:
    """A number from a text, the same in every process (``hash`` is salted)."""
    return int.from_bytes(text.encode()[-8:], "little")
