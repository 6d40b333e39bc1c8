"""The demonstration's own node: lays out a scene, asks for a clear table, films it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from selfgrasp.action import ClearTable
from selfgrasp.msg import Candidates as CandidatesMsg
from selfgrasp.msg import GripperState
from selfgrasp.msg import Observation as ObservationMsg
from selfgrasp.msg import Trial as TrialMsg
from selfgrasp.srv import CaptureBackground, GetTruth, ResetScene
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Empty

from selfgrasp_nodes.errors import SelfGraspError, Unavailable
from selfgrasp_nodes.nodes import conversions, image_messages, qos, trial_messages
from selfgrasp_nodes.nodes.action_caller import ActionCaller
from selfgrasp_nodes.nodes.rest import RestMeter
from selfgrasp_nodes.nodes.status import check
from selfgrasp_nodes.nodes.waiting import call, wait
from selfgrasp_nodes.perception.draw import save_decision
from selfgrasp_nodes.perception.gif import GifWriter
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.types import PhaseCode, Trial

FRAME_RATE = 5.0
"""Pictures a second of the film."""


class DemoNode(Node):
    """Drives the graph as any application would, through its topics and services.

    Attributes:
        rest: Wall time at rest.
        picture: Of the first decision, once it was made.
        film: Of the run; None where nobody films.
    """

    def __init__(
        self,
        robot: RobotSpec,
        folder: Path,
        on_trial: Callable[[Trial, float], None],
        on_feedback: Callable[[Any], None],
        film: bool = True,
    ):
        """Subscribe.

        Args:
            robot: The robot's description.
            folder: Where picture and film go.
            on_trial: Called with each finished trial and the rest before it [s]
                (see :meth:`_rest_before`; NaN for the first).
            on_feedback: Called with the action's feedback.
            film: Whether the spectator films.
        """
        super().__init__("demo")
        self.robot = robot
        self.rest = RestMeter()
        self.picture: Path | None = None
        self._folder = folder
        self._on_trial, self._on_feedback = on_trial, on_feedback
        self._widths = {arm.name: 0.0 for arm in robot.arms}
        self._caption = ""
        self._lifted = float("nan")
        self._observation: ObservationMsg | None = None
        self._overhead: ObservationMsg | None = None
        self._decision: CandidatesMsg | None = None
        self._picture_lock = threading.Lock()
        self._film_lock = threading.Lock()
        self.film: GifWriter | None = None
        self._group = ReentrantCallbackGroup()
        self._subscribe(film)
        group: dict[str, Any] = {"callback_group": self._group}
        self._reset: Any = self.create_client(ResetScene, "sim/reset", **group)
        self._truth: Any = self.create_client(GetTruth, "sim/get_truth", **group)
        self._background: Any = self.create_client(
            CaptureBackground, "capture_background", **group
        )
        self._clear = ActionCaller(self, ClearTable, "clear_table", self._group)
        self._goal: Any = None

    def _subscribe(self, film: bool) -> None:
        def listen(kind: Any, topic: str, callback: Callable[[Any], None], profile: Any) -> None:
            self.create_subscription(kind, topic, callback, profile, callback_group=self._group)

        listen(TrialMsg, "trial", self._take_trial, qos.EVENT)
        listen(CandidatesMsg, "candidates", self._take_candidates, qos.EVENT)
        listen(ObservationMsg, "observation", self._take_observation, qos.EVENT)
        listen(JointState, "joint_states", self._take_joints, qos.SENSOR)
        for arm in self.robot.arms:
            listen(GripperState, f"{arm.name}/gripper/state", self._take_gripper, qos.SENSOR)
        if film and self.robot.spectator is not None:
            space = self.robot.spectator.namespace
            self._trigger = self.create_publisher(Empty, f"{space}/trigger", qos.EVENT)
            listen(Image, f"{space}/color/image_raw", self._take_frame, qos.SENSOR)
            self.film = GifWriter(self._folder / "run.gif", frame_ms=round(1000 / FRAME_RATE))
            self.create_timer(
                1 / FRAME_RATE, lambda: self._trigger.publish(Empty()), callback_group=self._group
            )

    # -- steps of the demonstration

    def prepare(self, objects: int, seed: int, scene: str = "") -> int:
        """Learn the empty table, then drop objects on it, or lay a scene out.

        Args:
            objects: To drop.
            seed: Of the drop.
            scene: As JSON; wins over ``objects``.

        Returns:
            How many lie in the workspace.

        Raises:
            SelfGraspError: If a node refuses or does not answer.
        """
        check(call(self._reset, ResetScene.Request(objects=0), 60.0))
        check(call(self._background, CaptureBackground.Request(), 60.0))
        request = ResetScene.Request(objects=objects, seed=seed, scene_json=scene)
        answer = call(self._reset, request, 60.0)
        check(answer)
        return int(answer.settled)

    def clear_table(
        self, policy: str, seed: int, limit: float, check_alive: Callable[[], None]
    ) -> Any:
        """Run the action to its end and return its result.

        Args:
            policy: Its name.
            seed: Of a policy that samples.
            limit: Wall-clock limit [s].
            check_alive: Called every half second; raises when a node has died.

        Raises:
            Unavailable: If the picker does not answer, a node dies, or the limit passes.
        """
        if not self._clear.wait_for_server(30.0):
            raise Unavailable("the picker does not offer clear_table; see its lines above")
        goal = ClearTable.Goal(policy=policy, seed=seed)
        self._goal = self._clear.send(
            goal, 30.0, lambda message: self._on_feedback(message.feedback)
        )
        if not self._goal.accepted:
            raise Unavailable("the picker refused the goal: another one runs")
        end = time.monotonic() + limit
        future: Any = self._clear.result(self._goal)
        while not future.done():
            check_alive()
            if time.monotonic() > end:
                raise Unavailable(f"clear_table has not ended after {limit:g} s")
            with contextlib.suppress(Unavailable):
                return wait(future, 0.5, "the end of clear_table").result
        return future.result().result

    def cancel(self) -> None:
        """Stop what runs."""
        if self._goal is not None and self._goal.accepted:
            self._goal.cancel_goal_async()

    def where_objects_are(self) -> dict[str, int]:
        """Objects in a bin, in the workspace and elsewhere, by simulator truth.

        For the summary alone.
        """
        answer = call(self._truth, GetTruth.Request(), 20.0)
        check(answer)
        found = {"bin": 0, "workspace": 0, "elsewhere": 0}
        for item in answer.truth.objects:
            found[self._place(item.pose.position.x, item.pose.position.y)] += 1
        return found

    def _place(self, x: float, y: float) -> str:
        for box in self.robot.bins:
            near = (
                abs(x - box.center[0]) < box.size[0] / 2,
                abs(y - box.center[1]) < box.size[1] / 2,
            )
            if all(near):
                return "bin"
        return "workspace" if self.robot.workspace.workspace.contains(x, y) else "elsewhere"

    def close_film(self) -> Path | None:
        """Write the film; None where there is no spectator or no frame."""
        with self._film_lock:
            film, self.film = self.film, None
        return film.close() if film is not None and len(film) else None

    # -- callbacks

    def _take_trial(self, message: TrialMsg) -> None:
        trial = trial_messages.trial(message)
        what = trial.candidate.primitive.name.lower()
        self._caption = f"try {trial.index + 1}: {what} {trial.outcome.code.name.lower()}"
        self._on_trial(trial, self._rest_before(trial))

    def _rest_before(self, trial: Trial) -> float:
        """Rest from the end of the lift before to the closing of this one's fingers [s]."""
        acts = [p for p in trial.execution.phases if p.code == PhaseCode.ACT]
        lifts = [p for p in trial.execution.phases if p.code == PhaseCode.LIFT]
        before, self._lifted = self._lifted, lifts[-1].end * 1e-9 if lifts else float("nan")
        if not acts or np.isnan(before):
            return float("nan")
        return self.rest.between(before, acts[0].start * 1e-9)

    def _take_observation(self, message: ObservationMsg) -> None:
        if self.picture is None:
            self._observation = message
            if message.heightmap:
                self._overhead = message
            self._draw_first()

    def _take_candidates(self, message: CandidatesMsg) -> None:
        if message.candidates and self.picture is None:
            self._decision = message
            self._draw_first()

    def _draw_first(self) -> None:
        """The first decision becomes a picture, drawn in a thread of its own.

        It and what it was made of come on two topics, either of them first.
        """
        with self._picture_lock:
            seen, decision = self._observation, self._decision
            if self.picture is not None or seen is None or decision is None:
                return
            if seen.observation_id != decision.observation_id:
                return
            self.picture = self._folder / "first_decision.png"
        threading.Thread(target=self._draw, args=(seen, decision), daemon=True).start()

    def _draw(self, seen: ObservationMsg, message: CandidatesMsg) -> None:
        assert self.picture is not None
        try:
            candidates = [conversions.candidate(item) for item in message.candidates]
            observation = conversions.observation(seen)
            if observation.heightmap is None and self._overhead is not None:
                # A look from the hand: what is around it was seen before, from above.
                above = conversions.observation(self._overhead)
                views = {**above.views, **observation.views}
                observation = replace(above, id=observation.id, views=views)
            title = f"First decision of policy '{message.policy}'"
            save_decision(self.picture, observation, candidates, title=title)
        except SelfGraspError as error:
            self.get_logger().error(f"the first decision could not be drawn: {error}")

    def _take_gripper(self, message: GripperState) -> None:
        self._widths[message.arm] = message.width

    def _take_joints(self, message: JointState) -> None:
        at = conversions.stamp(message.header.stamp) * 1e-9
        positions = dict(zip(message.name, message.position, strict=True))
        joints = [positions[name] for arm in self.robot.arms for name in arm.joints]
        self.rest.add(at, joints, list(self._widths.values()))

    def _take_frame(self, message: Image) -> None:
        frame = image_messages.rgb(message)
        with self._film_lock:
            if self.film is not None:
                self.film.add(frame, self._caption)


class DemoSession:
    """The demo node, spinning in a thread for as long as the block runs."""

    def __init__(self, *arguments: Any):
        self._arguments = arguments

    def __enter__(self) -> DemoNode:
        """Start to spin."""
        rclpy.init()
        self._node = DemoNode(*self._arguments)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        return self._node

    def __exit__(self, *exception: object) -> None:
        """Stop."""
        self._executor.shutdown(1.0)
        rclpy.try_shutdown()
        self._thread.join(2.0)
        time.sleep(0.05)

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()
