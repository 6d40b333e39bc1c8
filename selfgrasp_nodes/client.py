"""Ten lines to use the graph from another program.

    from selfgrasp_nodes.client import SelfGrasp

    with SelfGrasp() as robot:
        for grasp in robot.plan():
            print(grasp.score, grasp.pose.position)
        result = robot.pick()
        print(result.message or result.trials[-1].outcome.reason)

Answers are the messages themselves; what went wrong is raised as a subclass of
``SelfGraspError`` with the node's own words. Every call has a twin that returns at
once (``pick_async``). All may be called from any thread and inside any callback,
feedback of this client included. Needs the interfaces and rclpy, nothing of what
the nodes need.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import TransformStamped
from selfgrasp.action import ClearTable, Collect, Execute, MoveArm, Pick
from selfgrasp.msg import Candidate, Observation, View
from selfgrasp.srv import Capture, CaptureBackground, LoadCheckpoint, Plan
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest

from selfgrasp_nodes.nodes.remote import Pending, Remote

__all__ = ["Pending", "SelfGrasp", "observation_of"]

T = TypeVar("T")
OnFeedback = Callable[[Any], None]

_STOP = 2.0  # longest wait for what was interrupted to stop [s]

_SERVICES = {
    "capture": Capture,
    "capture_background": CaptureBackground,
    "plan": Plan,
    "load_checkpoint": LoadCheckpoint,
}
_ACTIONS = {
    "pick": Pick,
    "clear_table": ClearTable,
    "collect": Collect,
    "execute": Execute,
    "move_arm": MoveArm,
}


def observation_of(
    color: Image,
    depth: Image,
    info: CameraInfo,
    camera_pose: TransformStamped | None = None,
    camera: str = "camera",
) -> Observation:
    """An observation of one's own camera's messages, for :meth:`SelfGrasp.plan`.

    Args:
        color: rgb8 or bgr8.
        depth: 32FC1 [m] or 16UC1 [mm], aligned to colour.
        info: Of both.
        camera_pose: The optical frame in ``header.frame_id``; where None, TF says where
            the colour image's frame is.
        camera: Name of the view.
    """
    view = View(camera=camera, color=color, depth=depth, info=info)
    if camera_pose is not None:
        view.camera_pose = camera_pose
    observation = Observation(views=[view])
    observation.header.stamp = color.header.stamp
    return observation


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
        self._remote = Remote(name, namespace, _SERVICES, _ACTIONS)
        self.node = self._remote.node

    # -- seeing and choosing

    def observe(self, cameras: Sequence[str] = ()) -> Observation:
        """A fresh observation with the arms out of view.

        Raises:
            SelfGraspError: If there is no picture, or it cannot be used.
        """
        return _finish(self.observe_async(cameras))

    def observe_async(self, cameras: Sequence[str] = ()) -> Pending[Observation]:
        """As :meth:`observe`, without waiting."""
        request = Capture.Request(cameras=list(cameras), require_arm_clear=True)
        return self._ask("capture", request, lambda answer: answer.observation)

    def plan(self, observation: Observation | None = None, **options: Any) -> list[Candidate]:
        """Ranked candidates, best first.

        Args:
            observation: To decide on, e.g. by :func:`observation_of`; where None, the
                heightmap node takes one.
            **options: As :meth:`plan_async`.

        Raises:
            SelfGraspError: ``EmptyObservation`` where there is nothing to act on.
        """
        return _finish(self.plan_async(observation, **options))

    def plan_async(
        self,
        observation: Observation | None = None,
        *,
        primitives: Sequence[int] = (),
        policy: str = "",
        arm: str = "",
        max_candidates: int = 0,
        roi: tuple[int, int, int, int] | None = None,
        max_age: float = 0.0,
        seed: int = 0,
    ) -> Pending[list[Candidate]]:
        """As :meth:`plan`, without waiting.

        Args:
            observation: As there.
            primitives: ``Candidate.GRASP``, ``Candidate.PUSH``; empty for all that the
                policy knows.
            policy: Name; empty for the node's default.
            arm: Only for this arm; empty for any.
            max_candidates: At most so many; 0 for the node's default.
            roi: Only candidates in this box (x, y, width, height) of the heightmap [px].
            max_age: Images may be so old [s]; 0: fresh ones are taken.
            seed: Makes a sampling policy repeatable.
        """
        seconds, nanoseconds = divmod(round(max_age * 1e9), 1_000_000_000)
        request = Plan.Request(
            primitives=list(primitives),
            policy=policy,
            arm=arm,
            max_candidates=max_candidates,
            max_age=Duration(sec=seconds, nanosec=nanoseconds),
            seed=seed,
        )
        if roi is not None:
            x, y, width, height = roi
            request.use_roi = True
            request.roi = RegionOfInterest(x_offset=x, y_offset=y, width=width, height=height)
        if observation is not None:
            request.observation = [observation]
        return self._ask("plan", request, lambda answer: list(answer.candidates))

    # -- acting

    def execute(
        self, candidate: Candidate, *, on_feedback: OnFeedback | None = None, **fields: Any
    ) -> Execute.Result:
        """Execute one candidate; the result holds the labelled outcome.

        Args:
            candidate: From :meth:`plan`, or one's own.
            on_feedback: Called with each feedback.
            **fields: Of the goal, e.g. ``plan_only=True``.
        """
        return _finish(self.execute_async(candidate, on_feedback=on_feedback, **fields))

    def execute_async(
        self, candidate: Candidate, *, on_feedback: OnFeedback | None = None, **fields: Any
    ) -> Pending[Execute.Result]:
        """As :meth:`execute`, without waiting."""
        return self._act("execute", Execute.Goal(candidate=candidate, **fields), on_feedback)

    def pick(self, *, on_feedback: OnFeedback | None = None, **fields: Any) -> Pick.Result:
        """Try until one grasp (or push) succeeds; fields as in ``Pick.action``."""
        return _finish(self.pick_async(on_feedback=on_feedback, **fields))

    def pick_async(
        self, *, on_feedback: OnFeedback | None = None, **fields: Any
    ) -> Pending[Pick.Result]:
        """As :meth:`pick`, without waiting."""
        return self._act("pick", Pick.Goal(**fields), on_feedback)

    def clear_table(
        self, *, on_feedback: OnFeedback | None = None, **fields: Any
    ) -> ClearTable.Result:
        """Pick until the table is empty; fields as in ``ClearTable.action``."""
        return _finish(self.clear_table_async(on_feedback=on_feedback, **fields))

    def clear_table_async(
        self, *, on_feedback: OnFeedback | None = None, **fields: Any
    ) -> Pending[ClearTable.Result]:
        """As :meth:`clear_table`, without waiting."""
        return self._act("clear_table", ClearTable.Goal(**fields), on_feedback)

    def collect(
        self, tries: int, *, on_feedback: OnFeedback | None = None, **fields: Any
    ) -> Collect.Result:
        """Record tries; fields as in ``Collect.action``."""
        return _finish(self.collect_async(tries, on_feedback=on_feedback, **fields))

    def collect_async(
        self, tries: int, *, on_feedback: OnFeedback | None = None, **fields: Any
    ) -> Pending[Collect.Result]:
        """As :meth:`collect`, without waiting."""
        return self._act("collect", Collect.Goal(tries=tries, **fields), on_feedback)

    def home(self) -> None:
        """Bring every arm out of the cameras' view."""
        _finish(self._act("move_arm", MoveArm.Goal(target=MoveArm.Goal.HOME), None))

    def learn_empty_table(self) -> None:
        """Learn the background; call it with nothing in the workspace."""
        _finish(self._ask("capture_background", CaptureBackground.Request(), lambda _: None))

    # -- the link

    def _ask(self, name: str, request: Any, take: Callable[[Any], T]) -> Pending[T]:
        return self._remote.later(
            lambda _: take(self._remote.request(name, request, self.timeout))
        )

    def _act(self, name: str, goal: Any, on_feedback: OnFeedback | None) -> Pending[Any]:
        limits = (self.timeout, self.action_timeout)
        return self._remote.later(lambda p: self._remote.act(name, goal, on_feedback, limits, p))

    def close(self) -> None:
        """End the node; what still runs in the graph goes on."""
        self._remote.close()

    def __enter__(self) -> SelfGrasp:
        """The client itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close."""
        self.close()


def _finish(pending: Pending[T]) -> T:
    """Wait for it; Ctrl-C, or whatever else ends the wait, cancels it."""
    try:
        return pending.result()
    except BaseException:
        if pending.cancel():  # the arm is to stand before this program is gone
            with contextlib.suppress(BaseException):
                pending.result(_STOP)
        raise
