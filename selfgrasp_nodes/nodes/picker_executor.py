"""The trial sequence's executor over ROS: the motion node's execute action."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.task import Future
from selfgrasp.action import Execute
from selfgrasp.srv import PutAway

from selfgrasp_nodes.errors import ExecutionFailed, PlanningFailed, Unavailable
from selfgrasp_nodes.nodes import conversions, trial_messages
from selfgrasp_nodes.nodes.action_caller import ActionCaller
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.status import check
from selfgrasp_nodes.nodes.waiting import call
from selfgrasp_nodes.types import Candidate, Execution, Outcome, OutcomeCode, Phase


class RosExecutor:
    """See ``ports.Executor``."""

    def __init__(self, node: BaseNode, on_phase: Callable[[Any], None] = lambda phase: None):
        self._node = node
        self.on_phase = on_phase
        self._caller = ActionCaller(node, Execute, "execute", node.group)
        self._put_away: Any = node.create_client(PutAway, "put_away", callback_group=node.group)
        self._running: list[RosRunning] = []

    def start(self, candidate: Candidate, trial_id: str) -> RosRunning:
        """Send the goal; returns when it is planned (the first feedback says so)."""
        timeout = self._node.values["action_timeout"]
        if not self._caller.wait_for_server(timeout):
            raise Unavailable("the execute action is not there; start the motion node")
        goal = Execute.Goal(
            candidate=conversions.candidate_message(candidate, self._node.frame),
            trial_id=trial_id,
            after_acting=Execute.Goal.WAIT,
        )
        running = RosRunning(self._node, self._put_away, candidate, trial_id, self.on_phase)
        self._running = [item for item in self._running if not item.over]
        self._running.append(running)
        running.send(self._caller, goal)
        running.wait_planned(timeout)
        return running

    def stop(self) -> None:
        """Cancel what still runs, and wait until it stands still."""
        for running in self._running:
            if not running.over:
                running.cancel()
        for running in self._running:
            running.wait_over(5.0)
        self._running = []


class RosRunning:
    """See ``ports.Running``."""

    def __init__(
        self,
        node: BaseNode,
        put_away: Any,
        candidate: Candidate,
        trial_id: str,
        on_phase: Callable[[Any], None],
    ):
        self._node, self._put_away_client = node, put_away
        self._candidate, self._trial_id, self._on_phase = candidate, trial_id, on_phase
        self._changed = threading.Condition()
        self._planned = self._acted = self._view_clear = False
        self._phases: tuple[Phase, ...] = ()
        self._handle: Any = None
        self._refused = self._cancelled = False
        self._result: Execute.Result | None = None

    @property
    def over(self) -> bool:
        """Whether nothing of it moves any more."""
        return self._result is not None or self._refused

    def send(self, caller: ActionCaller, goal: Any) -> None:
        """Send the goal, and wait until motion has accepted or refused it.

        Raises:
            Unavailable: If motion does not answer in time.
        """
        try:
            handle = caller.send(goal, self._node.values["service_timeout"], self._feedback)
        except Unavailable:
            self._refused = True  # what may come of it is cancelled before the next is sent
            raise
        with self._changed:
            self._handle = handle
            self._refused = not handle.accepted
            cancelled = self._cancelled
            self._changed.notify_all()
        if handle.accepted:
            caller.result(handle).add_done_callback(self._finished)
            if cancelled:
                handle.cancel_goal_async()

    def wait_planned(self, timeout: float) -> None:
        """Block until it is planned.

        Raises:
            PlanningFailed: If it cannot be planned.
            InvalidCandidate: If it makes no sense.
            Unavailable: If motion does not answer in time.
        """
        self._wait(lambda: self._planned, timeout, "the plan of motion")
        if self._planned:
            return
        if self._result is None:
            raise PlanningFailed("motion refused the goal")
        check(self._result)

    def wait_acted(self) -> Execution:
        """See ``ports.Running``."""
        self._wait(lambda: self._acted, self._node.values["action_timeout"], "the end of the try")
        if self._result is not None:
            return self._execution()
        return Execution(self._candidate, self._phases, None)

    def put_away(self, outcome: Outcome) -> None:
        """See ``ports.Running``."""
        if not self.over:
            request = PutAway.Request(
                trial_id=self._trial_id, outcome=conversions.outcome_message(outcome)
            )
            timeout = self._node.values["service_timeout"]
            answer = call(self._put_away_client, request, timeout)
            if not answer.success and not self.over:
                raise ExecutionFailed(answer.message)
        limit = self._node.values["action_timeout"]
        self._wait(lambda: self._view_clear, limit, "a clear view")

    def finish(self) -> Execution:
        """See ``ports.Running``."""
        limit = self._node.values["action_timeout"]
        self._wait(lambda: False, limit, "the end of the execution")
        return self._execution()

    def cancel(self) -> None:
        """Stop the arm."""
        with self._changed:
            self._cancelled = True
            handle = self._handle
        if handle is not None and handle.accepted and not self.over:
            handle.cancel_goal_async()

    def wait_over(self, timeout: float) -> None:
        """Wait until nothing moves any more, at most ``timeout`` [s]."""
        with self._changed:
            self._changed.wait_for(lambda: self.over, timeout)

    def _execution(self) -> Execution:
        if self._result is None:
            text = "motion refused the goal"
            return Execution(self._candidate, (), None, (), text, OutcomeCode.EXECUTION_FAILED)
        if not self._result.execution.candidate.id and not self._result.success:
            code = OutcomeCode.CANCELLED if self._cancelled else OutcomeCode.EXECUTION_FAILED
            text = self._result.message
            return Execution(self._candidate, self._phases, None, (), text, code)
        return trial_messages.execution(self._result.execution)

    def _wait(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        """Until the condition holds or the goal has ended.

        Raises:
            Unavailable: After ``timeout`` [s] of wall time without any news.
        """
        limit = time.monotonic() + timeout
        with self._changed:
            while not (condition() or self.over):
                left = limit - time.monotonic()
                if left <= 0:
                    raise Unavailable(
                        f"{what} did not come within {timeout:g} s; does the motion node run?"
                    )
                self._changed.wait(left)

    def _feedback(self, message: Any) -> None:
        feedback = message.feedback
        with self._changed:
            self._planned = True
            self._acted = self._acted or feedback.acted
            self._view_clear = self._view_clear or feedback.view_clear
            self._phases = tuple(trial_messages.phase(item) for item in feedback.phases)
            self._candidate = conversions.candidate(feedback.candidate)
            self._changed.notify_all()
        self._on_phase(feedback.phase)

    def _finished(self, future: Future) -> None:
        with self._changed:
            answer: Any = future.result()
            self._result = answer.result
            self._changed.notify_all()
