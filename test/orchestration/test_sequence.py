"""Stop rules, ordering and failures of the trial sequence, on scripted ports.

The ports themselves are tested for real in ``test_fast.py``; here each answer
is scripted so that every branch is reached.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import ExecutionFailed, PlanningFailed, Unavailable
from selfgrasp_nodes.orchestration.sequence import (
    Event,
    Limits,
    Ports,
    RunIdentity,
    State,
    StopReason,
    TrialSequence,
)
from selfgrasp_nodes.types import (
    Candidate,
    Execution,
    Heightmap,
    Observation,
    Outcome,
    OutcomeCode,
    Primitive,
    Trial,
    Workspace,
)

GRASP = Candidate(Primitive.GRASP, geometry.grasp_pose(-0.5, 0, 0.02, 0), 0.0, width=0.08)


@dataclass
class Scripted:
    """All six ports: a table of ``objects`` and a script of outcomes."""

    objects: int = 3
    outcomes: list[OutcomeCode] = field(default_factory=list)
    unplannable: set[str] = field(default_factory=set)
    proposals: int = 2
    calls: list[str] = field(default_factory=list)
    avoided: list[int] = field(default_factory=list)
    stored: list[Trial] = field(default_factory=list)
    observed: int = 0
    on_act: object = None
    on_put_away: object = None
    blind: set[int] = field(default_factory=set)  # observations that fail, from 1
    cleared_last: bool = False
    running: list[ScriptedRunning] = field(default_factory=list)

    def now(self) -> int:
        return 0

    def observe(self) -> Observation:
        self.observed += 1
        self.calls.append("observe")
        if self.observed in self.blind:
            raise Unavailable("the camera is silent")
        return Observation(f"o{self.observed}", 0, {})

    def look(self, before, arm, world_T_camera):
        raise AssertionError("no policy here looks")

    def look_pose(self, observation, seed):
        return None

    def propose(self, observation, seed, primitives, avoid=()):
        self.avoided.append(len(avoid))
        if self.objects <= 0:
            return []
        return [replace(GRASP, score=-i) for i in range(self.proposals)]

    def start(self, candidate, trial_id):
        if candidate.id.rsplit("-", 1)[1] in self.unplannable:
            raise PlanningFailed("out of reach")
        self.calls.append(f"start {trial_id[-5:]}")
        self.running.append(ScriptedRunning(self, candidate, trial_id))
        return self.running[-1]

    def label(self, execution, before, after):
        code = self.outcomes.pop(0) if self.outcomes else OutcomeCode.SUCCESS
        self.cleared_last = code == OutcomeCode.SUCCESS
        self.objects -= self.cleared_last
        return Outcome(code)

    def changed(self, before, after):
        return self.cleared_last, 0.0

    def store(self, trial: Trial) -> None:
        self.calls.append(f"store {trial.trial_id[-5:]}")
        self.stored.append(trial)

    def sequence(self, limits: Limits, **kwargs: object) -> TrialSequence:
        ports = Ports(self, self, self, self, self, self)
        return TrialSequence(ports, RunIdentity("run", "ur5_rg2", "d", 7), limits, **kwargs)


@dataclass
class ScriptedRunning:
    script: Scripted
    candidate: Candidate
    trial_id: str
    code: OutcomeCode = OutcomeCode.UNKNOWN
    cancelled: threading.Event = field(default_factory=threading.Event)

    def wait_acted(self) -> Execution:
        if self.script.on_act is not None:
            self.script.on_act()
            if self.cancelled.wait(2.0):
                self.code = OutcomeCode.CANCELLED
        return Execution(self.candidate, (), None, code=self.code)

    def put_away(self, outcome: Outcome) -> None:
        self.script.calls.append(f"put_away {self.trial_id[-5:]}")
        if self.script.on_put_away is not None:
            self.script.on_put_away()
            if self.cancelled.wait(2.0):
                self.script.calls.append(f"stopped {self.trial_id[-5:]}")
                raise ExecutionFailed("cancelled while it carried")

    def finish(self) -> Execution:
        self.script.calls.append(f"finish {self.trial_id[-5:]}")
        return Execution(self.candidate, (), None, code=self.code)

    def cancel(self) -> None:
        self.cancelled.set()


def test_runs_until_the_table_is_empty() -> None:
    script = Scripted(objects=3)
    sequence = script.sequence(Limits())
    trials = list(sequence.run())
    assert [t.index for t in trials] == [0, 1, 2]
    assert sequence.stop_reason == StopReason.EMPTY
    assert sequence.progress.cleared == 3


def test_next_try_starts_while_the_last_one_still_carries() -> None:
    script = Scripted(objects=2)
    list(script.sequence(Limits()).run())
    calls = script.calls
    assert calls.index("put_away 00000") < calls.index("start 00001")
    assert calls.index("start 00001") < calls.index("finish 00000")
    assert calls.index("finish 00000") < calls.index("store 00000")


def test_vpg_rule_stops_after_tries_without_change() -> None:
    script = Scripted(objects=3, outcomes=[OutcomeCode.SUCCESS] + [OutcomeCode.MISSED] * 99)
    sequence = script.sequence(Limits(max_no_change=10))
    assert len(list(sequence.run())) == 11
    assert sequence.stop_reason == StopReason.NO_CHANGE
    assert sequence.progress.longest_no_success == 10


def test_failed_places_are_avoided_until_the_table_changes() -> None:
    miss, hit = OutcomeCode.MISSED, OutcomeCode.SUCCESS
    script = Scripted(objects=2, outcomes=[miss, miss, hit, hit])
    list(script.sequence(Limits()).run())
    assert script.avoided == [0, 1, 2, 0, 0]


def test_failed_places_are_avoided_until_the_table_changes_there() -> None:
    def seen(*blocks: tuple[float, float]) -> Observation:
        workspace = Workspace((-0.5, 0.0))
        height = np.zeros(workspace.shape, np.float32)
        for x, y in blocks:
            row, col = geometry.point_to_pixel(workspace, x, y)
            height[row - 12 : row + 13, col - 12 : col + 13] = 0.04
        known = np.ones(workspace.shape, bool)
        color = np.zeros((*workspace.shape, 3), np.uint8)
        return Observation("", 0, {}, Heightmap(workspace, color, height, known))

    here, there, far = (-0.5, 0.0), (-0.5, 0.05), (-0.5, 0.15)
    pictures = [
        seen(here, there, far),
        seen(here, there, far),  # the grasp at ``here`` missed
        seen(here, there),  # what stood far away is gone
        seen(here),  # what stood beside it, too
        seen(),
    ]

    class Seen(Scripted):
        def observe(self) -> Observation:
            self.observed += 1
            return replace(pictures[self.observed - 1], id=f"o{self.observed}")

    miss, hit = OutcomeCode.MISSED, OutcomeCode.SUCCESS
    script = Seen(objects=3, outcomes=[miss, hit, hit, hit])
    list(script.sequence(Limits(max_actions=4)).run())
    assert script.avoided == [0, 1, 1, 0]


def test_second_candidate_is_tried_when_the_first_cannot_be_planned() -> None:
    script = Scripted(objects=1, unplannable={"c0"})
    trials = list(script.sequence(Limits()).run())
    assert len(trials) == 1 and trials[0].candidate.id.endswith("c1")


def test_plan_failure_is_a_recorded_try() -> None:
    script = Scripted(objects=1, unplannable={"c0", "c1"})
    sequence = script.sequence(Limits(max_no_change=3))
    trials = list(sequence.run())
    assert [t.outcome.code for t in trials] == [OutcomeCode.PLAN_FAILED] * 3
    assert trials[0].outcome.reason == "out of reach"
    assert script.stored == trials


@pytest.mark.parametrize("limit", [Limits(max_actions=2), Limits(max_cleared=2)])
def test_limits_end_the_run(limit: Limits) -> None:
    assert len(list(Scripted(objects=9).sequence(limit).run())) == 2


def test_cancel_reaches_the_running_execution_and_is_recorded() -> None:
    cancel = threading.Event()
    script = Scripted(objects=3, on_act=cancel.set)
    sequence = script.sequence(Limits(), cancel=cancel)
    trials = list(sequence.run())
    assert [t.outcome.code for t in trials] == [OutcomeCode.CANCELLED]
    assert sequence.stop_reason == StopReason.CANCELLED


def test_a_cancel_after_the_label_stops_the_carry_and_keeps_the_label() -> None:
    cancel = threading.Event()
    script = Scripted(objects=3, on_put_away=cancel.set)
    sequence = script.sequence(Limits(), cancel=cancel)
    trials = list(sequence.run())
    assert [t.outcome.code for t in trials] == [OutcomeCode.SUCCESS]
    assert "stopped 00000" in script.calls and script.stored == trials
    # The arm was stopped, maybe in the camera's view: no picture is waited for.
    assert script.observed == 1 and trials[0].observation_after == ""
    assert sequence.stop_reason == StopReason.CANCELLED


def test_a_cancel_stops_the_carry_while_the_next_try_is_decided() -> None:
    cancel, seen = threading.Event(), []
    script = Scripted(objects=3)

    def on_event(event: Event) -> None:
        if event.state == State.PROPOSE and event.index == 1:
            cancel.set()
            seen.append(script.running[0].cancelled.wait(1.0))

    sequence = script.sequence(Limits(), cancel=cancel, on_event=on_event)
    trials = list(sequence.run())
    assert seen == [True] and len(trials) == 1 and script.stored == trials


def test_a_try_without_an_after_picture_is_stored_and_the_run_goes_on() -> None:
    script = Scripted(objects=3, blind={2})
    trials = list(script.sequence(Limits()).run())
    assert [t.outcome.code for t in trials] == [OutcomeCode.SUCCESS] * 3
    assert [bool(t.observation_after) for t in trials] == [False, True, True]
    assert script.stored == trials


def test_what_fails_for_the_next_try_does_not_lose_this_one() -> None:
    script = Scripted(objects=3)
    propose = script.propose

    def failing(observation, *rest, **named):
        if observation.id == "o2":
            raise Unavailable("the policy is silent")
        return propose(observation, *rest, **named)

    script.propose = failing
    with pytest.raises(Unavailable, match="policy"):
        list(script.sequence(Limits()).run())
    assert [t.outcome.code for t in script.stored] == [OutcomeCode.SUCCESS]


def test_seeds_differ_between_tries_and_repeat_between_runs() -> None:
    first = [t.seed for t in Scripted(objects=4).sequence(Limits()).run()]
    second = [t.seed for t in Scripted(objects=4).sequence(Limits()).run()]
    assert first == second and len(set(first)) == 4
    assert np.all(np.asarray(first) >= 0)
