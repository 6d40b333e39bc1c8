"""Goals for other nodes' actions, sent so that none is lost."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future
from unique_identifier_msgs.msg import UUID

from selfgrasp_nodes.errors import Unavailable

_PATIENCE = 3.0  # for an acceptance, before the goal is taken back and sent anew [s]
_POLL = 0.02  # between two looks whether the node spins [s]
_AGAIN = 1.0  # between two looks whether a goal has ended whose result did not come [s]
_ENDED = (
    GoalStatus.STATUS_SUCCEEDED,
    GoalStatus.STATUS_CANCELED,
    GoalStatus.STATUS_ABORTED,
)


def send_goal(
    node: Node,
    client: ActionClient,
    goal: Any,
    feedback: Callable[[Any], None] | None = None,
    goal_id: UUID | None = None,
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
        goal_id: A random one where None.

    Raises:
        Unavailable: If nothing spins the node.
    """
    executor = node.executor
    if executor is None:
        raise Unavailable(f"node {node.get_name()!r} sends no goal before an executor spins it")
    handle: Future = Future()

    def send() -> None:
        try:
            sent = client.send_goal_async(goal, feedback_callback=feedback, goal_uuid=goal_id)
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
    own time. A goal that is not accepted soon is therefore cancelled and sent anew, through a
    client of its own: nothing is done twice, since of the first one nothing goes on. (Not for
    a robot's controllers: a trajectory begins where the arm was when it was planned.) And where
    the status says that a goal has ended, but its result has not come, that is asked for again.

    Args:
        node: Which an executor with a single thread spins; may be added to it later.
        kind: Type of the action.
        name: Of the action.
        group: Callback group; the node's default one where None.
    """

    def __init__(self, node: Node, kind: Any, name: str, group: CallbackGroup | None = None):
        self._node, self._kind, self.name, self._group = node, kind, name, group
        self._client = self._new_client()
        self._older: list[ActionClient] = []  # goals of theirs may still run
        self._open: list[tuple[ClientGoalHandle, Future]] = []
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(_AGAIN, self._ask_again, callback_group=group, clock=steady)

    def wait_for_server(self, timeout: float) -> bool:
        """Whether the action is offered, at the latest after ``timeout`` [s]."""
        ready: bool = self._client.server_is_ready() or self._client.wait_for_server(timeout)
        return ready

    def send(
        self, goal: Any, timeout: float, feedback: Callable[[Any], None] | None = None
    ) -> ClientGoalHandle:
        """Send a goal and wait until the server has accepted or refused it.

        Args:
            goal: To send.
            timeout: Wall-clock limit for server and acceptance together [s].
            feedback: Called with each feedback message, in the executor's thread.

        Raises:
            Unavailable: If the server is not there, or gave no answer in time.
        """
        limit = time.monotonic() + timeout
        while self._node.executor is None and time.monotonic() < limit:
            time.sleep(_POLL)
        if not self.wait_for_server(timeout):
            raise Unavailable(f"the action {self.name!r} is not there after {timeout:g} s")
        while True:
            left = limit - time.monotonic()
            handle = self._attempt(goal, min(_PATIENCE, left), feedback)
            if handle is not None:
                return handle
            if limit - time.monotonic() <= 0:
                raise Unavailable(
                    f"the action {self.name!r} did not answer within {timeout:g} s; does its "
                    "node still run?"
                )
            self._node.get_logger().warning(
                f"{self.name} has not accepted a goal within {_PATIENCE:g} s; it is sent anew"
            )
            self._renew(limit)

    def result(self, handle: ClientGoalHandle) -> Future:
        """The answer to an accepted goal, ``GetResult.Response``, when it has ended."""
        answer: Future = Future()
        self._open.append((handle, answer))
        self._ask(handle, answer)
        return answer

    def _ask(self, handle: ClientGoalHandle, answer: Future) -> None:
        def take(received: Future) -> None:
            if not answer.done():
                answer.set_result(received.result())

        handle.get_result_async().add_done_callback(take)

    def _ask_again(self) -> None:
        self._open = [item for item in self._open if not item[1].done()]
        for handle, answer in self._open:
            if handle.status in _ENDED:
                self._ask(handle, answer)

    def _attempt(
        self, goal: Any, patience: float, feedback: Callable[[Any], None] | None
    ) -> ClientGoalHandle | None:
        """Send once; None where no answer came, and whatever came of it is cancelled."""
        client, goal_id = self._client, UUID(uuid=list(uuid.uuid4().bytes))
        answered, lock, given_up = threading.Event(), threading.Lock(), False

        def done(sent: Future) -> None:
            with lock:
                answered.set()
                late = given_up
            if late and sent.exception() is None:
                accepted: Any = sent.result()
                if accepted.accepted:
                    accepted.cancel_goal_async()

        sent = send_goal(self._node, client, goal, feedback, goal_id)
        sent.add_done_callback(done)
        answered.wait(patience)
        with lock:
            given_up = not answered.is_set()
        if not given_up:
            handle: Any = sent.result()
            return handle
        response = self._kind.Impl.SendGoalService.Response(accepted=True)
        unheard: ClientGoalHandle = ClientGoalHandle(client, goal_id, response)
        self._in_executor(unheard.cancel_goal_async)
        return None

    def _renew(self, limit: float) -> None:
        """Take a new client, made in the executor's thread: others would see it half made."""
        made = threading.Event()

        def make() -> None:
            self._older.append(self._client)
            self._client = self._new_client()
            made.set()

        self._in_executor(make)
        made.wait(max(0.0, limit - time.monotonic()))
        self._client.wait_for_server(max(0.0, limit - time.monotonic()))

    def _in_executor(self, work: Callable[[], Any]) -> None:
        executor = self._node.executor
        if executor is not None:
            executor.create_task(work)

    def _new_client(self) -> ActionClient:
        return ActionClient(self._node, self._kind, self.name, callback_group=self._group)
