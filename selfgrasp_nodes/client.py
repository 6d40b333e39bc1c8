"""Ten lines to use the graph from another program.

    from selfgrasp_nodes.client import SelfGrasp

    with SelfGrasp() as robot:
        for grasp in robot.plan():
            print(grasp.score, grasp.pose.position)
        result = robot.pick()
        print(result.message or result.trials[-1].outcome.reason)

Answers are the messages themselves; what went wrong is raised as a subclass of
``SelfGraspError`` with the node's own words. Needs the interfaces and rclpy,
nothing else of this package's heavy libraries.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.action import ActionClient
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from selfgrasp.action import ClearTable, Collect, Execute, MoveArm, Pick
from selfgrasp.msg import Candidate, Observation
from selfgrasp.srv import Capture, CaptureBackground, LoadCheckpoint, Plan

from selfgrasp_nodes.errors import Unavailable
from selfgrasp_nodes.nodes.status import check
from selfgrasp_nodes.nodes.waiting import call, wait

_ANSWER = 10.0  # for a node to accept a goal [s]


class SelfGrasp:
    """A node of its own that spins in a thread; use it in a ``with`` block, or close it.

    Args:
        name: Of the node.
        namespace: In which the graph runs.
        timeout: Wall-clock limit of a service call [s].
        action_timeout: Wall-clock limit of an action [s].
    """

    def __init__(
        self,
        name: str = "selfgrasp_client",
        namespace: str = "",
        timeout: float = 30.0,
        action_timeout: float = 1800.0,
    ):
        self.timeout, self.action_timeout = timeout, action_timeout
        self._context = Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node(name, namespace=namespace or None, context=self._context)
        services = {
            "capture": Capture,
            "capture_background": CaptureBackground,
            "plan": Plan,
            "load_checkpoint": LoadCheckpoint,
        }
        actions = {
            "pick": Pick,
            "clear_table": ClearTable,
            "collect": Collect,
            "execute": Execute,
            "move_arm": MoveArm,
        }
        # All of them before the node spins: rclpy lets its executor see half-made clients.
        self._services: dict[str, Any] = {
            n: self.node.create_client(kind, n) for n, kind in services.items()
        }
        self._actions: dict[str, Any] = {
            n: ActionClient(self.node, kind, n) for n, kind in actions.items()
        }
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._spin, name=name, daemon=True)
        self._thread.start()

    def observe(self, cameras: Sequence[str] = ()) -> Observation:
        """A fresh observation with the arms out of view.

        Raises:
            SelfGraspError: If there is no picture, or it cannot be used.
        """
        request = Capture.Request(cameras=list(cameras), require_arm_clear=True)
        return check(call(self._services["capture"], request, self.timeout)).observation

    def plan(
        self,
        observation: Observation | None = None,
        *,
        policy: str = "",
        arm: str = "",
        max_candidates: int = 0,
        seed: int = 0,
    ) -> list[Candidate]:
        """Ranked candidates, best first.

        Args:
            observation: To decide on; a fresh one where None.
            policy: Name; empty for the node's default.
            arm: Only for this arm; empty for any.
            max_candidates: At most so many; 0 for the node's default.
            seed: Makes a sampling policy repeatable.

        Raises:
            SelfGraspError: ``EmptyObservation`` where there is nothing to act on.
        """
        request = Plan.Request(policy=policy, arm=arm, max_candidates=max_candidates, seed=seed)
        if observation is not None:
            request.observation = [observation]
        return list(check(call(self._services["plan"], request, self.timeout)).candidates)

    def execute(
        self,
        candidate: Candidate,
        *,
        on_feedback: Callable[[Any], None] | None = None,
        **fields: Any,
    ) -> Execute.Result:
        """Execute one candidate; the result holds the labelled outcome.

        Args:
            candidate: From :meth:`plan`, or one's own.
            on_feedback: Called with each feedback.
            **fields: Of the goal, e.g. ``plan_only=True``.
        """
        goal = Execute.Goal(candidate=candidate, **fields)
        return self._act("execute", goal, on_feedback)

    def pick(
        self, *, on_feedback: Callable[[Any], None] | None = None, **fields: Any
    ) -> Pick.Result:
        """Try until one grasp (or push) succeeds; fields as in ``Pick.action``."""
        return self._act("pick", Pick.Goal(**fields), on_feedback)

    def clear_table(
        self, *, on_feedback: Callable[[Any], None] | None = None, **fields: Any
    ) -> ClearTable.Result:
        """Pick until the table is empty; fields as in ``ClearTable.action``."""
        return self._act("clear_table", ClearTable.Goal(**fields), on_feedback)

    def collect(
        self, tries: int, *, on_feedback: Callable[[Any], None] | None = None, **fields: Any
    ) -> Collect.Result:
        """Record tries; fields as in ``Collect.action``."""
        return self._act("collect", Collect.Goal(tries=tries, **fields), on_feedback)

    def home(self) -> None:
        """Bring every arm out of the cameras' view."""
        self._act("move_arm", MoveArm.Goal(target=MoveArm.Goal.HOME), None)

    def learn_empty_table(self) -> None:
        """Learn the background; call it with nothing in the workspace."""
        check(
            call(self._services["capture_background"], CaptureBackground.Request(), self.timeout)
        )

    def _act(self, name: str, goal: Any, on_feedback: Callable[[Any], None] | None) -> Any:
        """Send a goal and wait for its end; Ctrl-C cancels it.

        Raises:
            SelfGraspError: What the result's code stands for.
        """
        client = self._actions[name]
        if not client.wait_for_server(self.timeout):
            raise Unavailable(
                f"the action {name!r} is not there after {self.timeout:g} s; is the graph up "
                "('selfgrasp up sim'), in the same ROS_DOMAIN_ID?"
            )
        tell = (lambda m: on_feedback(m.feedback)) if on_feedback is not None else None
        sent = client.send_goal_async(goal, feedback_callback=tell)
        handle = wait(sent, _ANSWER, f"the answer of {name}")
        if not handle.accepted:
            raise Unavailable(f"{name} refused the goal")
        try:
            answer = wait(handle.get_result_async(), self.action_timeout, f"the end of {name}")
        except BaseException:
            handle.cancel_goal_async()
            raise
        return check(answer.result)

    def _spin(self) -> None:
        while not self._ending.is_set():
            self._executor.spin_once(timeout_sec=0.5)

    def close(self) -> None:
        """End the node."""
        self._ending.set()
        self._executor.wake()
        self._thread.join(2.0)
        self._executor.shutdown(1.0)
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def __enter__(self) -> SelfGrasp:
        """The client itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close."""
        self.close()
