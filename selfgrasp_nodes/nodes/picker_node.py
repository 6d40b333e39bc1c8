"""The trial sequence as actions: pick, clear_table, collect."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from rclpy.action import ActionServer, CancelResponse
from selfgrasp.action import ClearTable, Collect, Pick

from selfgrasp_nodes.errors import (
    Busy,
    Cancelled,
    EmptyObservation,
    ExecutionFailed,
    SelfGraspError,
)
from selfgrasp_nodes.nodes import trial_messages
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.configuration import Configuration
from selfgrasp_nodes.nodes.params import Param
from selfgrasp_nodes.nodes.picker_collect import Collection
from selfgrasp_nodes.nodes.picker_executor import RosExecutor
from selfgrasp_nodes.nodes.picker_ports import RosClock, RosLabeler, RosObserver, RosProposer
from selfgrasp_nodes.nodes.picker_run import Run, feedback_message
from selfgrasp_nodes.nodes.picker_store import RosStore
from selfgrasp_nodes.nodes.status import set_error, set_ok
from selfgrasp_nodes.nodes.waiting import settle_cancel
from selfgrasp_nodes.orchestration.sequence import (
    Event,
    Limits,
    Ports,
    RunIdentity,
    StopReason,
    TrialSequence,
)
from selfgrasp_nodes.types import Primitive, Trial

BOTH = (Primitive.GRASP, Primitive.PUSH)


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
        self.configuration = Configuration(self)
        self._labeler = RosLabeler(self, self._observer)
        self.store = RosStore(self)
        self._run: Run | None = None
        self._lock = threading.Lock()
        self._cancelled: set[bytes] = set()
        self.done = 0
        self._left_midway = False  # the last goal may have left arms stopped in view
        self._proposers: dict[tuple[str, str], RosProposer] = {}
        self._servers = [
            self._offer(Pick, "pick", self._pick),
            self._offer(ClearTable, "clear_table", self._clear_table),
            self._offer(Collect, "collect", Collection(self).run),
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

    def bring_home(self) -> None:
        """After a failure: stop what still runs, and bring the arms out of view if possible."""
        self._executor_port.stop()
        try:
            self._observer.clear_view()
        except SelfGraspError as error:
            self.get_logger().warning(f"the arms are not home: {error}")

    def diagnose(self) -> tuple[str, dict[str, object]]:
        """What it does."""
        run = self._run
        state = run.event.state.value if run is not None and run.event is not None else "idle"
        return "", {"state": state, "trials": self.done}

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
        identity = bytes(goal.goal_id.uuid)
        with self._lock:
            self._cancelled.add(identity)  # it may come before the goal is worked on
            run = self._run
        if run is not None and bytes(run.goal.goal_id.uuid) == identity:
            run.cancel.set()
        return CancelResponse.ACCEPT

    def _serve_goal(self, kind: Any, goal: Any, work: Callable[[Run, Any], None]) -> Any:
        result = kind.Result()
        run = Run(goal)
        with self._lock:
            busy = self._run is not None
            if not busy:
                self._run = run
            if bytes(goal.goal_id.uuid) in self._cancelled:
                run.cancel.set()
        if busy:
            set_error(result, Busy("another goal runs; wait until it has ended, or cancel it"))
            self.get_logger().warning(result.message)
            goal.abort()
            return result
        try:
            self._observer.cancel = run.cancel
            if self._left_midway:
                self._observer.clear_view()
            self._left_midway = True
            work(run, result)
            if run.cancel.is_set():
                raise Cancelled("cancelled; what was done until then is stored")
        except Cancelled as error:
            set_error(result, error)
            if run.cancel.is_set():
                settle_cancel(goal)
            goal.canceled() if goal.is_cancel_requested else goal.abort()
        except Exception as error:
            if not isinstance(error, SelfGraspError):
                self.get_logger().error(traceback.format_exc())
            else:
                self.get_logger().warning(str(error))
            set_error(result, error)
            goal.abort()
        else:
            self._left_midway = False
            goal.succeed()
        finally:
            self._executor_port.stop()
            with self._lock:
                self._run = None
                self._cancelled.discard(bytes(goal.goal_id.uuid))
        return result

    def _pick(self, run: Run, result: Pick.Result) -> None:
        request = run.goal.request
        limits = Limits(
            max_actions=request.max_attempts or self.values["max_attempts"],
            max_no_change=0,
            max_cleared=1,
        )
        try:
            sequence = self.sequence(run, limits, request.policy, request.arm, request.primitives)
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
        sequence = self.sequence(run, limits, request.policy, request.arm, request.primitives)
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

    # -- the sequence

    def sequence(
        self,
        run: Run,
        limits: Limits,
        policy: str,
        arm: str,
        primitives: Any,
        identity: RunIdentity | None = None,
    ) -> TrialSequence:
        """Trials for a goal; ``identity`` is made up for one that is no collection."""
        key = (policy, self.robot.arm(arm).name if arm else "")
        if key not in self._proposers:
            self._proposers[key] = RosProposer(self, self._observer, *key)
        ports = Ports(
            RosClock(self),
            self._observer,
            self._proposers[key],
            self._executor_port,
            self._labeler,
            self.store,
        )
        identity = identity or self._identity(int(run.goal.request.seed))
        wanted = tuple(Primitive(value) for value in primitives) or BOTH
        return TrialSequence(
            ports, identity, limits, wanted, lambda event: self._on_event(run, event), run.cancel
        )

    def _identity(self, seed: int) -> RunIdentity:
        """Of a goal that is no collection; begins to record it where that is wanted."""
        self.store.record = self.values["record"]
        digest = self.configuration.digest(self.store.record)
        if self.store.record:
            self.store.begin(self.robot.name, digest, seed, resume=True)
        run_id = f"run-{time.time_ns() // 1_000_000:x}"
        return RunIdentity(run_id, self.robot.name, digest, seed)

    def _go(self, run: Run, sequence: TrialSequence) -> StopReason | None:
        for trial in sequence.run():
            run.trials.append(trial)
            run.last = trial.outcome
            self.done += 1
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
        message = feedback_message(run, self.frame)
        if message is not None and run.goal.is_active:
            run.goal.publish_feedback(message)

    def _trial_message(self, trial: Trial) -> Any:
        arm = self.robot.arm(trial.candidate.arm)
        return trial_messages.trial_message(trial, self.frame, self.now(), arm.joints)
