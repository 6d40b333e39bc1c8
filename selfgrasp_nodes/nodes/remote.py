"""A node of its own that calls a graph: what the client stands on.

Needs rclpy and the interfaces, nothing else.
"""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

from selfgrasp_nodes.errors import Unavailable
from selfgrasp_nodes.nodes import qos
from selfgrasp_nodes.nodes.action_caller import ActionCaller
from selfgrasp_nodes.nodes.status import check
from selfgrasp_nodes.nodes.waiting import call

T = TypeVar("T")

_ANSWER = 10.0  # for a node to accept a goal [s]
_POLL = 0.5  # how often a wait looks whether the link was closed [s]


class Pending(Future[T]):
    """An answer that is on its way: a ``concurrent.futures.Future``.

    ``result(timeout)`` waits for it, ``add_done_callback`` is told, and
    ``await asyncio.wrap_future(pending)`` serves asyncio. Whatever went wrong is
    raised by ``result``.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._handle: Any = None
        self._unwanted = False

    def cancel(self) -> bool:
        """Ask the graph to stop; ``result`` then raises ``Cancelled`` once nothing moves.

        Services cannot be cancelled: they answer all the same.

        Returns:
            Whether it had not ended yet.
        """
        if self.done():
            return False
        with self._lock:
            self._unwanted, handle = True, self._handle
        if handle is not None:
            handle.cancel_goal_async()
        return True

    def accepted(self, handle: Any) -> None:
        """The goal runs; what :meth:`cancel` asks to stop."""
        with self._lock:
            self._handle, unwanted = handle, self._unwanted
        if unwanted:
            handle.cancel_goal_async()


class Remote:
    """Services and actions of a graph, called from any thread and from any callback.

    Its node has a context and an executor of its own, whose thread runs no code of
    the caller's: feedback is told in another thread. So nothing that waits for an
    answer, wherever it waits, can hold the answer up.

    Args:
        name: Of the node.
        namespace: In which the graph runs.
        services: Types by name.
        actions: Types by name.
    """

    def __init__(
        self, name: str, namespace: str, services: Mapping[str, Any], actions: Mapping[str, Any]
    ):
        self._context = Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node(name, namespace=namespace or None, context=self._context)
        # All of them before the node spins: rclpy lets its executor see half-made clients.
        self._services: dict[str, Any] = {
            n: self.node.create_client(kind, n, qos_profile=qos.SERVICE)
            for n, kind in services.items()
        }
        self._actions = {n: ActionCaller(self.node, kind, n) for n, kind in actions.items()}
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._ending = threading.Event()
        self._told: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=work, name=f"{name}-{what}", daemon=True)
            for what, work in (("spin", self._spin), ("tell", self._tell))
        ]
        for thread in self._threads:
            thread.start()

    def request(self, name: str, request: object, timeout: float) -> Any:
        """Call a service and wait for its answer.

        Raises:
            SelfGraspError: What the answer's code stands for, or ``Unavailable``.
        """
        self._check_open()
        return check(call(self._services[name], request, timeout))

    def act(
        self,
        name: str,
        goal: object,
        on_feedback: Callable[[Any], None] | None,
        timeouts: tuple[float, float],
        pending: Pending[Any],
    ) -> Any:
        """Send a goal and wait for its end; a wait that is given up cancels it.

        Args:
            name: Of the action.
            goal: To send.
            on_feedback: Called with each feedback, in a thread of its own.
            timeouts: Wall-clock limits for the server and for the end [s].
            pending: By which it can be cancelled.

        Raises:
            SelfGraspError: What the result's code stands for, or ``Unavailable``.
        """
        self._check_open()
        client = self._actions[name]
        if not client.wait_for_server(timeouts[0]):
            raise Unavailable(
                f"the action {name!r} is not there after {timeouts[0]:g} s; is the graph up "
                "('selfgrasp up sim'), in the same ROS_DOMAIN_ID?"
            )
        tell = None
        if on_feedback is not None:
            hear = on_feedback

            def tell(message: Any) -> None:
                self._told.put(lambda: hear(message.feedback))

        handle = client.send(goal, _ANSWER, tell)
        if not handle.accepted:
            raise Unavailable(f"{name} refused the goal")
        pending.accepted(handle)
        ended = threading.Event()
        answer: Any = client.result(handle)
        answer.add_done_callback(lambda _: ended.set())
        left = timeouts[1]
        while not ended.wait(min(_POLL, left)):
            left -= _POLL
            if left <= 0:
                handle.cancel_goal_async()
                raise Unavailable(
                    f"{name} did not end within {timeouts[1]:g} s, and was cancelled; raise "
                    "action_timeout where it may take longer"
                )
            self._check_open()
        return check(answer.result().result)

    def later(self, work: Callable[[Pending[T]], T]) -> Pending[T]:
        """Do something that waits in a thread of its own."""
        pending: Pending[T] = Pending()

        def run() -> None:
            try:
                result = work(pending)
            except BaseException as error:
                pending.set_exception(error)
            else:
                pending.set_result(result)

        threading.Thread(target=run, name=f"{self.node.get_name()}-call", daemon=True).start()
        return pending

    def _check_open(self) -> None:
        if self._ending.is_set():
            raise Unavailable("the client was closed; make a new one")

    def _spin(self) -> None:
        while not self._ending.is_set():
            self._executor.spin_once(timeout_sec=0.5)

    def _tell(self) -> None:
        while (item := self._told.get()) is not None:
            try:
                item()
            except Exception:
                self.node.get_logger().error(f"on_feedback failed:\n{traceback.format_exc()}")

    def close(self) -> None:
        """End the node. What still runs in the graph goes on; cancel it before."""
        if self._ending.is_set():
            return
        self._ending.set()
        self._told.put(None)
        self._executor.wake()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(2.0)
        self._executor.shutdown(1.0)
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)
