"""The graph's side of the parity test: cases through the execute action."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from selfgrasp.action import Execute
from selfgrasp.srv import Capture, GetTruth, ResetScene

from selfgrasp_nodes.errors import Unavailable
from selfgrasp_nodes.learning.parity import Case, Tried
from selfgrasp_nodes.nodes import conversions
from selfgrasp_nodes.nodes.action_caller import ActionCaller
from selfgrasp_nodes.nodes.status import check
from selfgrasp_nodes.nodes.waiting import call, wait
from selfgrasp_nodes.types import Outcome, OutcomeCode

TIME_LIMIT = 120.0
"""Wall-clock limit of one step [s]."""


class GraphSide:
    """Tries cases through a running graph (sim, heightmap, motion, label); a context manager."""

    def __enter__(self) -> GraphSide:
        """Join the graph."""
        self._context = Context()
        rclpy.init(context=self._context)
        self._node = Node("parity", context=self._context)
        self._reset: Any = self._node.create_client(ResetScene, "sim/reset")
        self._truth: Any = self._node.create_client(GetTruth, "sim/get_truth")
        self._capture: Any = self._node.create_client(Capture, "capture")
        self._execute = ActionCaller(self._node, Execute, "execute")
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave it."""
        self._executor.shutdown(1.0)
        self._thread.join(2.0)
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def run(self, case: Case) -> Tried:
        """Lay the scene out, look, execute, and ask what is held.

        Raises:
            Unavailable: If a node does not answer in time.
        """
        begun = time.monotonic()
        check(call(self._reset, ResetScene.Request(seed=case.seed, objects=case.objects), 60.0))
        observation = check(call(self._capture, Capture.Request(), 30.0)).observation
        message = conversions.candidate_message(case.candidate, "world")
        message.observation_id = observation.observation_id
        goal = Execute.Goal(candidate=message, trial_id=case.id, after_acting=Execute.Goal.STAY)
        if not self._execute.wait_for_server(TIME_LIMIT):
            raise Unavailable("the execute action is not there; start the motion node")
        handle = self._execute.send(goal, TIME_LIMIT)
        if not handle.accepted:
            refused = Outcome(OutcomeCode.EXECUTION_FAILED, reason="the goal was refused")
            return Tried(refused, False, time.monotonic() - begun)
        result = wait(self._execute.result(handle), TIME_LIMIT, "the end of execute").result
        truth = check(call(self._truth, GetTruth.Request(), 20.0)).truth
        held = any(item.held_by for item in truth.objects)
        outcome = conversions.outcome(result.outcome)
        if not result.success and outcome.code == OutcomeCode.UNKNOWN:
            outcome = Outcome(OutcomeCode.EXECUTION_FAILED, reason=result.message)
        return Tried(outcome, held, time.monotonic() - begun)

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()
