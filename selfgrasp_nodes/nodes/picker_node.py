"""The trial sequence as actions: pick, clear_table, collect."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rclpy.action import ActionServer, CancelResponse
from selfgrasp.action import ClearTable, Collect, Pick
from selfgrasp.srv import ResetScene, StartRun

from selfgrasp_nodes.errors import (
    Busy,
    Cancelled,
    EmptyObservation,
    ExecutionFailed,
    InvalidConfig,
    SelfGraspError,
)
from selfgrasp_nodes.nodes import conversions, trial_messages
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.params import Param
from selfgrasp_nodes.nodes.picker_executor import RosExecutor
from selfgrasp_nodes.nodes.picker_ports import (
    RosClock,
    RosLabeler,
    RosObserver,
    RosProposer,
    RosStore,
)
from selfgrasp_nodes.nodes.status import check, set_error, set_ok
from selfgrasp_nodes.nodes.waiting import call
from selfgrasp_nodes.orchestration.sequence import (
    Event,
    Limits,
    Ports,
    RunIdentity,
    StopReason,
    TrialSequence,
)
from selfgrasp_nodes.robots import config_digest
from selfgrasp_nodes.types import Outcome, OutcomeCode, Primitive, Trial

BOTH = (Primitive.GRASP, Primitive.PUSH)
_BARREN = 3


@dataclass
class Run:
    """A goal that is being worked on."""

    goal: Any
    cancel: threading.Event = field(default_factory=threading.Event)
    trials: list[Trial] = field(default_factory=list)
    last: Outcome = field(default_factory=lambda: Outcome(OutcomeCode.UNKNOWN))
    event: Event | None = None
    phase: Any = None


class PickerNode(BaseNode):
    """Runs trials, one goal at a time."""

    NAME = "picker"
    PARAMETERS = (
        Param("record", False, "Store every trial with the recorder node"),
        Param("simulated", False, "Whether scenes can be laid out anew (sim/reset)"),
        Param("max_attempts", 5, "Of a pick that names no number", low=1, high=1000),
        Param("max_no_change", 10, "Give up after so many tries without change", low=1, high=1000),
        Param("service_timeout", 10.0, "Wall-clock limit of a service call [s]", low=0.5),
        Param("store_timeout", 30.0, "Wall-clock limit to store a trial [s]", low=0.5),
        Param("action_timeout", 120.0, "Wall-clock limit of one step of a try [s]", low=1.0),
        Param("collect_tries", 0, "Start by collecting so many tries; 0: wait for goals", low=0),
        Param("collect_seed", 1, "Of that collection", low=0),
        Param("collect_objects", 10, "Of each new scene of a collection", low=1, high=100),
        Param("collect_uri", "", "Folder of that collection"),
        Param("collect_resume", False, "Go on with the run in that folder"),
    )

    def __init__(self, **options: Any):
        """Offer the actions."""
        super().__init__(**options)
        self._observer = RosObserver(self)
        self._executor_port = RosExecutor(self, self._on_phase)
        self._labeler = RosLabeler(self, self._observer)
        self._store = RosStore(self)
        self._reset: Any = self.create_client(ResetScene, "sim/reset", callback_group=self.group)
        self._start_run: Any = self.create_client(StartRun, "start_run", callback_group=self.group)
        self._run: Run | None = None
        self._lock = threading.Lock()
        self._done = 0
        self._proposers: dict[tuple[str, str], RosProposer] = {}
        self._recording = False
        self._servers = [
            self._offer(Pick, "pick", self._pick),
            self._offer(ClearTable, "clear_table", self._clear_table),
            self._offer(Collect, "collect", self._collect),
        ]
        if self.values["collect_tries"]:
            from selfgrasp_nodes.nodes.self_collect import SelfCollect

            self._self_collect = SelfCollect(self)

    def close(self) -> None:
        """Give up what runs."""
        run = self._run
        if run is not None:
            run.cancel.set()
            self._executor_port.stop()
        super().close()

    def diagnose(self) -> tuple[str, dict[str, object]]:
        """What it does."""
        run = self._run
        state = run.event.state.value if run is not None and run.event is not None else "idle"
        return "", {"state": state, "trials": self._done}

    # -- actions

    def _offer(self, kind: Any, name: str, work: Callable[[Run, Any], None]) -> ActionServer:
        async def execute(goal: Any) -> Any:
            return await self.offload(self._serve_goal, kind, goal, work)

        return ActionServer(
            self,
            kind,
            name,
            execute,
            callback_group=self.group,
            cancel_callback=self._cancel,
        )

    def _cancel(self, goal: Any) -> CancelResponse:
        run = self._run
        if run is not None and bytes(run.goal.goal_id.uuid) == bytes(goal.goal_id.uuid):
            run.cancel.set()
        return CancelResponse.ACCEPT

    def _serve_goal(self, kind: Any, goal: Any, work: Callable[[Run, Any], None]) -> Any:
        result = kind.Result()
        run = Run(goal)
        with self._lock:
            busy = self._run is not None
            if not busy:
                self._run = run
        if busy:
            set_error(result, Busy("another goal runs; wait until it has ended, or cancel it"))
            self.get_logger().warning(result.message)
            goal.abort()
            return result
        try:
            work(run, result)
            if run.cancel.is_set():
                raise Cancelled("cancelled; what was done until then is stored")
        except Cancelled as error:
            set_error(result, error)
            goal.canceled() if goal.is_cancel_requested else goal.abort()
        except Exception as error:
            if not isinstance(error, SelfGraspError):
                self.get_logger().error(traceback.format_exc())
            else:
                self.get_logger().warning(str(error))
            set_error(result, error)
            goal.abort()
        else:
            goal.succeed()
        finally:
            self._executor_port.stop()
            with self._lock:
                self._run = None
        return result

    def _pick(self, run: Run, result: Pick.Result) -> None:
        request = run.goal.request
        limits = Limits(
            max_actions=request.max_attempts or self.values["max_attempts"],
            max_no_change=0,
            max_cleared=1,
        )
        try:
            sequence = self._sequence(run, limits, request.policy, request.arm, request.primitives)
            sequence_stop = self._go(run, sequence)
        finally:
            result.trials = [self._trial_message(trial) for trial in run.trials]
        if run.trials and run.trials[-1].outcome.success:
            set_ok(result)
        elif sequence_stop is StopReason.EMPTY and not run.trials:
            raise EmptyObservation("nothing to pick: the policy proposes nothing on this table")
        elif sequence_stop is not StopReason.CANCELLED:
            last = run.trials[-1].outcome if run.trials else run.last
            raise ExecutionFailed(f"no attempt succeeded; the last one: {last.reason}")

    def _clear_table(self, run: Run, result: ClearTable.Result) -> None:
        request = run.goal.request
        limits = Limits(
            max_actions=request.max_actions,
            max_no_change=request.max_no_change or self.values["max_no_change"],
        )
        sequence = self._sequence(run, limits, request.policy, request.arm, request.primitives)
        try:
            stop = self._go(run, sequence)
        finally:
            grasps = [t for t in run.trials if t.candidate.primitive == Primitive.GRASP]
            result.cleared = sum(t.outcome.success for t in grasps)
            result.actions, result.grasps = len(run.trials), len(grasps)
            result.grasp_success = result.cleared / len(grasps) if grasps else float("nan")
            result.trial_ids = [t.trial_id for t in run.trials]
        if stop is StopReason.EMPTY:
            set_ok(result, f"cleared {result.cleared} in {result.actions} actions")
        elif stop is not StopReason.CANCELLED:
            raise ExecutionFailed(f"gave up: {stop.value if stop else 'unknown'}")

    def _collect(self, run: Run, result: Collect.Result) -> None:
        request = run.goal.request
        if not request.tries:
            raise InvalidConfig("collect needs tries > 0")
        answer = check(
            call(
                self._start_run,
                StartRun.Request(
                    uri=request.store_uri,
                    robot=self.robot.name,
                    config_digest=config_digest(self.robot),
                    resume=request.resume,
                ),
                self.values["service_timeout"],
            )
        )
        done, begun, before = answer.trials, time.monotonic(), answer.trials
        result.bag_uri = answer.uri
        self._recording = True
        barren = 0  # scenes in a row on which the policy proposed nothing
        try:
            while done < request.tries and not run.cancel.is_set():
                episode = str(done)
                scene = self._new_scene(request, done, barren)
                sequence = self._sequence(
                    run,
                    Limits(max_actions=request.tries - done, max_no_change=10),
                    request.policy,
                    "",
                    (),
                    RunIdentity(
                        answer.run_id,
                        self.robot.name,
                        config_digest(self.robot),
                        int(request.seed),
                        episode,
                        scene,
                        first_index=done,
                    ),
                )
                tried = 0
                for trial in sequence.run():
                    run.last = trial.outcome
                    done, tried = done + 1, tried + 1
                    self._done += 1
                    result.done, result.positives = done, result.positives + trial.outcome.success
                    self._collect_feedback(run, result, request.tries, done - before, begun)
                barren = 0 if tried or run.cancel.is_set() else barren + 1
                if barren and not self.values["simulated"]:
                    raise EmptyObservation("the table is empty; put objects on it and collect on")
                if barren >= _BARREN:
                    raise EmptyObservation(
                        f"the policy proposed nothing on {barren} new scenes in a row; does it "
                        "suit the gripper and the objects?"
                    )
        finally:
            self._recording = False
            result.done = done
        set_ok(result, f"{done} tries recorded in {answer.uri}")

    def _new_scene(self, request: Any, done: int, barren: int) -> str:
        """Lay out a new scene in simulation; on a robot take the table as it is."""
        if not self.values["simulated"]:
            return ""
        reset = ResetScene.Request(
            seed=int(request.seed) + done + 100_000 * barren,
            objects=request.objects or self.values["collect_objects"],
        )
        return str(check(call(self._reset, reset, 60.0)).scene_id)

    def _collect_feedback(
        self, run: Run, result: Collect.Result, tries: int, fresh: int, begun: float
    ) -> None:
        spent = time.monotonic() - begun
        rate = fresh / spent if spent > 0 else 0.0
        left = (tries - result.done) / rate if rate else 0.0
        run.goal.publish_feedback(
            Collect.Feedback(
                done=result.done,
                positives=result.positives,
                rate=3600 * rate,
                eta=conversions.duration_message(left),
                last=conversions.outcome_message(run.last),
            )
        )

    # -- the sequence

    def _sequence(
        self,
        run: Run,
        limits: Limits,
        policy: str,
        arm: str,
        primitives: Any,
        identity: RunIdentity | None = None,
    ) -> TrialSequence:
        key = (policy, self.robot.arm(arm).name if arm else "")
        if key not in self._proposers:
            self._proposers[key] = RosProposer(self, self._observer, *key)
        self._store.record = self.values["record"] or self._recording
        ports = Ports(
            RosClock(self),
            self._observer,
            self._proposers[key],
            self._executor_port,
            self._labeler,
            self._store,
        )
        identity = identity or RunIdentity(
            f"run-{time.time_ns() // 1_000_000:x}",
            self.robot.name,
            config_digest(self.robot),
            int(run.goal.request.seed),
        )
        self._observer.cancel = run.cancel
        wanted = tuple(Primitive(value) for value in primitives) or BOTH
        return TrialSequence(
            ports, identity, limits, wanted, lambda event: self._on_event(run, event), run.cancel
        )

    def _go(self, run: Run, sequence: TrialSequence) -> StopReason | None:
        for trial in sequence.run():
            run.trials.append(trial)
            run.last = trial.outcome
            self._done += 1
            candidate, outcome = trial.candidate, trial.outcome
            self.get_logger().info(
                f"{trial.trial_id}: {candidate.primitive.name.lower()}: {outcome.code.name}: "
                f"{outcome.reason}"
            )
            self._publish_feedback(run)
        return sequence.stop_reason

    def _on_event(self, run: Run, event: Event) -> None:
        run.event = event
        self._publish_feedback(run)

    def _on_phase(self, phase: Any) -> None:
        run = self._run
        if run is not None:
            run.phase = phase
            self._publish_feedback(run)

    def _publish_feedback(self, run: Run) -> None:
        goal, event = run.goal, run.event
        if not goal.is_active:
            return
        if isinstance(goal.request, ClearTable.Goal):
            message = ClearTable.Feedback(
                cleared=sum(
                    t.outcome.success and t.candidate.primitive == Primitive.GRASP
                    for t in run.trials
                ),
                actions=len(run.trials),
                last=conversions.outcome_message(run.last),
            )
            if run.trials:
                message.trial_id = run.trials[-1].trial_id
        elif isinstance(goal.request, Pick.Goal):
            message = Pick.Feedback(attempt=len(run.trials) + 1)
        else:
            return
        if run.phase is not None:
            message.phase = run.phase
        if event is not None and event.candidate is not None:
            message.candidate = conversions.candidate_message(event.candidate, self.frame)
        goal.publish_feedback(message)

    def _trial_message(self, trial: Trial) -> Any:
        arm = self.robot.arm(trial.candidate.arm)
        return trial_messages.trial_message(trial, self.frame, self.now(), arm.joints)
