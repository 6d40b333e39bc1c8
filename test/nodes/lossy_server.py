"""An action server that loses what it is told to lose, and is as slow as it is told to be."""

from __future__ import annotations

import threading
import time
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.node import Node
from rclpy.task import Future
from selfgrasp.action import MoveArm

_ANSWERS = ("send_goal_response", "send_result_response", "publish_status", "publish_feedback")


class LossyServer(ActionServer):
    """Serves ``move_arm``; one goal at a time, as the picker does: a second one is aborted.

    Args:
        node: Of the server.
        lost: How many are lost: ``goals`` and ``cancels`` on their way here, ``answers`` to goals,
            ``statuses`` that would tell of those goals, messages of ``feedback``, ``results``.
        silent: It hears everything, and nothing that it says is ever heard.
        blocked: How long the first goal finds its executor at something else [s].
        slow: How long it thinks over each goal before it takes it [s].
        refuses: It takes no goal.
        lasts: How long a goal takes [s].
        stopping: How long a goal goes on after it was cancelled [s].
        cancel_takes: How long the answer to a cancel takes [s].

    Attributes:
        asked: Goals' ids as they came, those that were lost, too.
        begun: Arms of the goals that were begun, in order.
        ended: How each ended.
    """

    def __init__(
        self,
        node: Node,
        lost: dict[str, int] | None = None,
        silent: bool = False,
        blocked: float = 0.0,
        slow: float = 0.0,
        refuses: bool = False,
        lasts: float = 0.3,
        stopping: float = 0.0,
        cancel_takes: float = 0.0,
    ):
        self.lost, self.silent, self.blocked, self.slow = lost or {}, silent, blocked, slow
        self.refuses, self.lasts, self.stopping = refuses, lasts, stopping
        self.cancel_takes = cancel_takes
        self.asked: list[bytes] = []
        self.begun: list[str] = []
        self.ended: list[str] = []
        self._running = False
        super().__init__(
            node,
            MoveArm,
            "move_arm",
            self._run,
            goal_callback=self._think,
            cancel_callback=lambda goal: CancelResponse.ACCEPT,
        )
        if silent:
            self._handle = _Without(self._handle, *_ANSWERS)

    def _loses(self, what: str) -> bool:
        left = self.lost.get(what, 0)
        self.lost[what] = max(0, left - 1)
        return left > 0

    async def _pause(self, seconds: float) -> None:
        future: Future = Future()

        def go_on() -> None:
            future.set_result(None)
            if self._node.executor is not None:
                self._node.executor.wake()

        threading.Timer(seconds, go_on).start()
        await future

    async def _think(self, goal: Any) -> GoalResponse:
        if self.slow:
            await self._pause(self.slow)
        return GoalResponse.REJECT if self.refuses else GoalResponse.ACCEPT

    async def _execute_goal_request(self, request: Any) -> None:
        self.asked.append(bytes(request[1].goal_id.uuid))
        blocked, self.blocked = self.blocked, 0.0
        time.sleep(blocked)
        if self._loses("goals"):
            return
        if not self._loses("answers"):
            await super()._execute_goal_request(request)
            return
        kept = self._handle
        missing = ["send_goal_response"]
        missing += ["publish_status"] if self._loses("statuses") else []
        self._handle = _Without(kept, *missing)
        try:
            await super()._execute_goal_request(request)
        finally:
            self._handle = kept

    async def _execute_cancel_request(self, request: Any) -> None:
        if self._loses("cancels"):
            return
        if self.cancel_takes:
            await self._pause(self.cancel_takes)
        await super()._execute_cancel_request(request)

    async def _execute_get_result_request(self, request: Any) -> None:
        if not self._loses("results"):
            await super()._execute_get_result_request(request)

    async def _run(self, goal: Any) -> Any:
        if self._running:
            self.ended.append("aborted")
            goal.abort()
            return MoveArm.Result(message="another goal runs")
        self._running = True
        self.begun.append(goal.request.arm)
        limit = time.monotonic() + self.lasts
        while time.monotonic() < limit and not goal.is_cancel_requested:
            if not self._loses("feedback"):
                goal.publish_feedback(MoveArm.Feedback())
            await self._pause(0.05)
        if goal.is_cancel_requested:
            await self._pause(self.stopping)
            goal.canceled()
            self.ended.append("cancelled")
        else:
            goal.succeed()
            self.ended.append("succeeded")
        self._running = False
        return MoveArm.Result(success=True)


class _Without:
    """A handle some of whose calls do nothing."""

    def __init__(self, handle: Any, *names: str):
        self._handle, self._names = handle, names

    def __getattr__(self, name: str) -> Any:
        if name in self._names:
            return lambda *arguments: None
        return getattr(self._handle, name)
