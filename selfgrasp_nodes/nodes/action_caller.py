"""Goals for other nodes' actions, sent so that none is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future

from selfgrasp_nodes.errors import Unavailable
from selfgrasp_nodes.nodes.sent_goal import ENDED, GoalWatch, SentGoal

_PATIENCE, _LONGEST = 2.0, 4.0  # before a goal is sent anew: at first, and at last [s]
_POLL = 0.05  # between two looks for the executor and for the server [s]
_AGAIN = 1.0  # between two tries to hear of the end of a goal [s]


def send_goal(
    node: Node,
    client: ActionClient,
    goal: Any,
    feedback: Callable[[Any], None] | None = None,
) -> Future:
    """Send a goal from the thread that spins the node; returns a future of its handle.

    ``ActionClient.send_goal_async`` notes what it waits for after it has sent the goal. Called
    from any other thread, the acceptance may come in between, and the goal then never ends for
    its caller (https://github.com/ros2/rclpy/issues/1123). A node of a single-threaded executor
    takes no answer while it sends.

    Args:
        node: The client's node, which an executor with a single thread spins.
        client: Of an action.
        goal: To send.
        feedback: Called with each feedback message.

    Raises:
        Unavailable: If nothing spins the node.
    """
    executor = node.executor
    if executor is None:
        raise Unavailable(f"node {node.get_name()!r} sends no goal before an executor spins it")
    handle: Future = Future()

    def send() -> None:
        try:
            sent = client.send_goal_async(goal, feedback_callback=feedback)
        except Exception as error:
            handle.set_exception(error)
            return
        sent.add_done_callback(lambda accepted: handle.set_result(accepted.result()))

    executor.create_task(send)
    return handle


class ActionCaller:
    """Sends goals to one action of this project's nodes, from any thread but the executor's.

    Between processes that have just started, a goal or its acceptance can be lost although the
    server is known: each of the two sides discovers the other's five readers and writers in its
    own time. A goal that is not accepted soon is therefore sent anew under the same id. Nothing
    is done twice: a server takes an id once, and a late or lost acceptance of the first request is
    found out (:class:`SentGoal`). (Not for a robot's controllers: a trajectory begins where the
    arm was when it was planned.) A goal that nobody accepted in time is cancelled until it is
    over, and no other is sent before. And where the status says that a goal has ended, but its
    result has not come, that is asked for again.

    Args:
        node: Which an executor with a single thread spins; may be added to it later.
        kind: Type of the action.
        name: Of the action.
        group: Callback group; the node's default one where None.
    """

    def __init__(self, node: Node, kind: Any, name: str, group: CallbackGroup | None = None):
        self._node, self._kind, self.name, self._group = node, kind, name, group
        self._client: Any = ActionClient(node, kind, name, callback_group=group)
        self._watch: GoalWatch | None = None
        self._open: list[tuple[ClientGoalHandle, Future]] = []
        self._taken_back: dict[bytes, SentGoal] = {}  # and not over yet
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(_AGAIN, self._again, callback_group=group, clock=steady)

    def wait_for_server(self, timeout: float) -> bool:
        """Whether the action is offered, at the latest after ``timeout`` [s]."""
        # ActionClient.wait_for_server looks every 0.25 s, and so takes up to that much longer.
        limit = time.monotonic() + timeout
        while not self._client.server_is_ready():
            left = limit - time.monotonic()
            if left <= 0 or not self._node.context.ok():
                return False
            time.sleep(min(_POLL, left))
        return True

    def send(
        self, goal: Any, timeout: float, feedback: Callable[[Any], None] | None = None
    ) -> ClientGoalHandle:
        """Send a goal and wait until the server has accepted or refused it.

        Args:
            goal: To send.
            timeout: Wall-clock limit for server and acceptance together [s].
            feedback: Called with each feedback message, in the executor's thread.

        Raises:
            TypeError: If the goal is none of this action.
            Unavailable: If the server is not there, gave no answer in time, or is still at a
                goal that was taken back before. What may yet come of this one is cancelled.
        """
        limit = time.monotonic() + timeout
        while self._node.executor is None and time.monotonic() < limit:
            time.sleep(_POLL)
        if self._node.executor is None:
            name = self._node.get_name()
            raise Unavailable(f"node {name!r} sends no goal before an executor spins it")
        if not self.wait_for_server(limit - time.monotonic()):
            raise Unavailable(f"the action {self.name!r} is not there after {timeout:g} s")
        for before in list(self._taken_back.values()):
            if not before.over.wait(max(0.0, limit - time.monotonic())):
                raise Unavailable(
                    f"the action {self.name!r} has not ended within {timeout:g} s what was taken "
                    "back before; does its node still run?"
                )
        sent = SentGoal(self._kind, self._client, goal, feedback, self._watched, self._take_back)
        try:
            self._wait_answered(sent, limit, timeout)
        except BaseException:
            self._take_back(sent)
            raise
        if sent.error is not None:
            raise sent.error
        assert sent.handle is not None
        return sent.handle

    def result(self, handle: ClientGoalHandle) -> Future:
        """The answer to an accepted goal, ``GetResult.Response``, when it has ended."""
        answer: Future = Future()
        self._open.append((handle, answer))
        self._ask(handle, answer)
        return answer

    def _wait_answered(self, sent: SentGoal, limit: float, timeout: float) -> None:
        """Send it, again and again, until ``limit`` of the monotonic clock.

        Raises:
            Unavailable: If no answer came.
        """
        patience = _PATIENCE
        self._in_executor(sent.send)
        while not sent.answered.wait(max(0.0, min(patience, limit - time.monotonic()))):
            if time.monotonic() < limit:
                self._node.get_logger().warning(
                    f"{self.name} has not accepted a goal within {patience:g} s; it is sent anew"
                )
                self._in_executor(sent.send)
                patience = min(2 * patience, _LONGEST)
            elif sent.give_up():
                raise Unavailable(
                    f"the action {self.name!r} did not answer within {timeout:g} s; does its "
                    "node still run?"
                )

    def _take_back(self, sent: SentGoal) -> None:
        self._taken_back[bytes(sent.id.uuid)] = sent
        self._in_executor(sent.take_back)

    def _ask(self, handle: ClientGoalHandle, answer: Future) -> None:
        def take(received: Future) -> None:
            if not answer.done():
                answer.set_result(received.result())

        handle.get_result_async().add_done_callback(take)

    def _again(self) -> None:
        # Other threads add to both meanwhile: what is in them is taken out one by one.
        for item in list(self._open):
            handle, answer = item
            if answer.done():
                self._open.remove(item)
            elif handle.status in ENDED or (
                self._watch is not None and self._watch.status(handle.goal_id) in ENDED
            ):
                self._ask(handle, answer)
        for key, sent in list(self._taken_back.items()):
            if sent.over.is_set():
                self._taken_back.pop(key, None)
            elif self._client.server_is_ready():
                sent.take_back()

    def _watched(self) -> GoalWatch:
        """The watch, made when something is overdue: most actions never need it."""
        if self._watch is None:
            self._watch = GoalWatch(self._node, self._kind, self.name, self._group)
        return self._watch

    def _in_executor(self, work: Callable[[], Any]) -> None:
        executor = self._node.executor
        if executor is not None:
            executor.create_task(work)
