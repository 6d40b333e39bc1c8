"""One goal on its way to its server: sent anew under the same id, so that it is done once."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from action_msgs.msg import GoalStatus, GoalStatusArray
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_action_status_default
from rclpy.task import Future
from unique_identifier_msgs.msg import UUID

ENDED = (
    GoalStatus.STATUS_SUCCEEDED,
    GoalStatus.STATUS_CANCELED,
    GoalStatus.STATUS_ABORTED,
)
_UNKNOWN = GoalStatus.STATUS_UNKNOWN
# Servers know a goal's id until 10 s after its end (rclpy's result_timeout), later they would take
# it a second time; less what a request may be under way [s].
_REMEMBERED = 9.0


class GoalWatch:
    """Looks at an action's goals past the action client.

    That tells of those alone that it saw accepted, and with each result that it has asked for it
    forgets who wants the goal's feedback. For the executor's thread alone.

    Args:
        node: Of the action's client.
        kind: Type of the action.
        name: Of the action.
        group: Callback group; the node's default one where None.
    """

    def __init__(self, node: Node, kind: Any, name: str, group: CallbackGroup | None):
        self._request: Any = kind.Impl.GetResultService.Request
        self._statuses: dict[bytes, int] = {}
        self._listeners: dict[bytes, Callable[[int], None]] = {}
        base = f"{node.resolve_topic_name(name)}/_action"
        node.create_subscription(
            GoalStatusArray,
            f"{base}/status",
            self._take,
            qos_profile_action_status_default,
            callback_group=group,
        )
        self._results: Any = node.create_client(
            kind.Impl.GetResultService, f"{base}/get_result", callback_group=group
        )

    def status(self, goal_id: UUID) -> int:
        """The last that the server said of a goal: a constant of ``GoalStatus``."""
        return self._statuses.get(bytes(goal_id.uuid), _UNKNOWN)

    def listen(self, goal_id: UUID, told: Callable[[int], None]) -> None:
        """Call ``told`` with a goal's status, now and with each that comes."""
        self._listeners[bytes(goal_id.uuid)] = told
        told(self.status(goal_id))

    def forget(self, goal_id: UUID) -> None:
        """Listen no more."""
        self._listeners.pop(bytes(goal_id.uuid), None)

    def ask(self, goal_id: UUID, told: Callable[[int], None]) -> None:
        """Ask the server for a goal: it answers at once that it knows none, else at its end."""
        if self._results.service_is_ready():
            answer = self._results.call_async(self._request(goal_id=goal_id))
            answer.add_done_callback(lambda future: told(future.result().status))

    def _take(self, message: GoalStatusArray) -> None:
        statuses = {bytes(s.goal_info.goal_id.uuid): s.status for s in message.status_list}
        self._statuses = statuses
        for key, told in list(self._listeners.items()):
            told(statuses.get(key, _UNKNOWN))


class SentGoal:
    """One goal, and what is known of it.

    However often it is sent, it has one id, and a server takes an id once: what comes after it is
    refused. So a goal is sent anew while its first request may still be under way, and whatever
    says that the server has it is its acceptance: an answer to any of the requests, its status,
    its feedback, its result.

    The methods are for the executor's thread, but for :meth:`give_up`.

    Args:
        kind: Type of the action.
        client: Of the action.
        goal: To send.
        feedback: Called with each feedback message, while somebody waits for the goal.
        watch: Makes the watch when it is needed, or returns it.
        late: Called when the server has accepted what nobody waits for any more.

    Attributes:
        answered: Set when ``handle`` or ``error`` is.
        over: Set when a goal that was taken back has ended, or has never come to its server.
        handle: The goal, accepted or refused.
        error: Why it could not be sent.
    """

    def __init__(
        self,
        kind: Any,
        client: ActionClient,
        goal: Any,
        feedback: Callable[[Any], None] | None,
        watch: Callable[[], GoalWatch],
        late: Callable[[SentGoal], None],
    ):
        self._client, self._goal, self._feedback = client, goal, feedback
        self._watch, self._late = watch, late
        self.id = UUID(uuid=list(uuid.uuid4().bytes))
        response = kind.Impl.SendGoalService.Response(accepted=True)
        self._unheard: ClientGoalHandle = ClientGoalHandle(client, self.id, response)
        self.answered, self.over = threading.Event(), threading.Event()
        self.handle: ClientGoalHandle | None = None
        self.error: Exception | None = None
        self._lock, self._wanted = threading.Lock(), True
        self._sent, self._refusals = 0, 0
        self._refused: ClientGoalHandle | None = None
        self._unknown = 0.0  # until when the server is known not to have had it, monotonic [s]

    def send(self) -> None:
        """Send it; anew, unless the server may have done it already and forgotten that."""
        if self.answered.is_set() or not self._wanted:
            return
        now = time.monotonic()
        if self._sent == 0:
            self._unknown = now
        else:
            self._watch().listen(self.id, self._take_status)
            if self.answered.is_set():
                return
            self._ask()
        if now - self._unknown > _REMEMBERED:
            return
        self._sent += 1
        feedback = None if self._feedback is None else self._take_feedback
        try:
            sent = self._client.send_goal_async(self._goal, feedback, self.id)
        except Exception as error:
            self._settle(None, error)
        else:
            sent.add_done_callback(self._take_answer)

    def give_up(self) -> bool:
        """Wait for it no more; False where it has been answered meanwhile."""
        with self._lock:
            self._wanted = self.answered.is_set()
            return not self._wanted

    def take_back(self) -> None:
        """Cancel it and ask whether it is over; either may get lost, so repeat it until it is."""
        self._wanted = False
        if self._sent == 0:
            self.over.set()
            return
        self._unheard.cancel_goal_async()
        watch = self._watch()
        watch.listen(self.id, self._take_status)
        watch.ask(self.id, self._take_end)

    def _settle(self, handle: ClientGoalHandle | None, error: Exception | None = None) -> None:
        with self._lock:
            if self.answered.is_set():
                return
            self.handle, self.error = handle, error
            self.answered.set()
            late = not self._wanted
        if late and handle is not None and handle.accepted:
            self.over.clear()
            self._late(self)
        elif self._sent > 1:
            self._watch().forget(self.id)

    def _take_answer(self, sent: Future) -> None:
        handle: Any = sent.result()
        if handle.accepted:
            self._settle(handle)
            return
        self._refusals += 1
        self._refused = handle
        if self._refusals == self._sent:
            self._settle(handle)  # it has taken none of them
        else:
            self._ask()  # does it refuse the goal, or one that it has already?

    def _take_feedback(self, message: Any) -> None:
        if self._sent > 1:
            self._settle(self._unheard)
        if self._wanted and self._feedback is not None:
            self._feedback(message)

    def _take_status(self, status: int) -> None:
        if status != _UNKNOWN:
            self._settle(self._unheard)
        if status in ENDED:
            self._take_end(status)

    def _take_end(self, status: int) -> None:
        if status != _UNKNOWN:
            self._settle(self._unheard)
            self._watch().forget(self.id)
        self.over.set()

    def _ask(self) -> None:
        asked, refused = time.monotonic(), self._refused

        def take(status: int) -> None:
            if status != _UNKNOWN:
                self._take_status(status)
                return
            # What it had taken since it last did not know it, it would still know.
            if time.monotonic() - self._unknown < _REMEMBERED:
                self._unknown = max(self._unknown, asked)
            if refused is not None:
                self._settle(refused)

        self._watch().ask(self.id, take)
