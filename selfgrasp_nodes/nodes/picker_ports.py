"""The trial sequence's ports over ROS: observer, proposer, labeler, clock."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from selfgrasp.action import MoveArm
from selfgrasp.msg import Observation as ObservationMsg
from selfgrasp.srv import Capture, Label, Plan

from selfgrasp_nodes.errors import (
    Cancelled,
    EmptyObservation,
    PlanningFailed,
    Unavailable,
)
from selfgrasp_nodes.labeling.rules import GraspRule
from selfgrasp_nodes.nodes import conversions, trial_messages
from selfgrasp_nodes.nodes.action_caller import ActionCaller
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.status import check
from selfgrasp_nodes.nodes.waiting import call
from selfgrasp_nodes.orchestration.limits import Limits
from selfgrasp_nodes.types import (
    Candidate,
    Execution,
    Observation,
    Outcome,
    OutcomeCode,
    Primitive,
)

_KEPT = 4
_CANCEL_POLL = 0.01  # between two looks whether a run was cancelled [s]


class RosClock:
    """Time of the graph."""

    def __init__(self, node: BaseNode):
        self._node = node

    def now(self) -> int:
        """Nanoseconds."""
        return self._node.now()


class RosObserver:
    """The heightmap node's capture service."""

    def __init__(self, node: BaseNode):
        self._node = node
        self.cancel = threading.Event()
        self._capture: Any = node.create_client(Capture, "capture", callback_group=node.group)
        self._mover = ActionCaller(node, MoveArm, "move_arm", node.group)
        self._messages: OrderedDict[str, ObservationMsg] = OrderedDict()

    def message(self, observation: Observation) -> ObservationMsg:
        """The message that an observation came in."""
        if observation.id in self._messages:
            return self._messages[observation.id]
        frames = {camera.name: camera.frame for camera in self._node.robot.cameras}
        return conversions.observation_message(observation, self._node.frame, frames)

    def observe(self) -> Observation:
        """See ``ports.Observer``; a run that was cancelled looks no more.

        Its arm stands where it was stopped, maybe in the camera's view.

        Raises:
            Cancelled: If the run was cancelled.
            Unavailable: If no picture arrives in time.
        """
        if self.cancel.is_set():
            raise Cancelled("cancelled; the try that was cut off is not recorded")
        return self._take(Capture.Request(require_arm_clear=True))

    def look(self, before: Observation, arm: str, world_T_camera: np.ndarray) -> Observation:
        """See ``ports.Observer``."""
        camera = self._node.robot.arm(arm).hand_camera
        goal = MoveArm.Goal(arm=arm, target=MoveArm.Goal.LOOK, camera=camera)
        goal.camera_pose = conversions.pose_stamped(world_T_camera, self._node.frame)
        self._move(goal, "the look")
        hand = self._take(Capture.Request(cameras=[camera]), keep=False)
        merged = Observation(
            hand.id,
            max(hand.stamp, before.stamp),
            {**before.views, **hand.views},
            before.heightmap,
            before.regions,
        )
        message = self._messages.get(before.id)
        frames = {item.name: item.frame for item in self._node.robot.cameras}
        self._keep(
            conversions.observation_message(merged, self._node.frame, frames)
            if message is None
            else _with_views(message, merged, self._node.frame, frames)
        )
        return merged

    def clear_view(self) -> None:
        """Send the arms home, out of the cameras' view.

        Raises:
            PlanningFailed: If there is no way home.
            Cancelled: If the run was cancelled; the arms are stopped.
            Unavailable: If motion does not answer in time.
        """
        self._move(MoveArm.Goal(target=MoveArm.Goal.HOME), "the way home")

    def _move(self, goal: MoveArm.Goal, what: str) -> None:
        """Move arms, and stop them as soon as the run is cancelled."""
        limit = time.monotonic() + self._node.values["action_timeout"]
        handle = self._mover.send(goal, self._node.values["service_timeout"])
        if not handle.accepted:
            raise PlanningFailed(f"move_arm refused {what}")
        done, asked = threading.Event(), False
        result: Any = self._mover.result(handle)
        result.add_done_callback(lambda _: done.set())
        while not done.wait(_CANCEL_POLL):
            if self.cancel.is_set() and not asked:
                handle.cancel_goal_async()
                asked = True
            if time.monotonic() > limit:
                raise Unavailable(f"{what} did not end; does the motion node still run?")
        check(result.result().result)

    def _take(self, request: Capture.Request, keep: bool = True) -> Observation:
        answer = check(call(self._capture, request, self._node.values["service_timeout"]))
        if keep:
            self._keep(answer.observation)
        return conversions.observation(answer.observation)

    def _keep(self, message: ObservationMsg) -> None:
        self._messages[message.observation_id] = message
        while len(self._messages) > _KEPT:
            self._messages.popitem(last=False)


def _with_views(
    before: ObservationMsg, merged: Observation, fixed: str, frames: dict[str, str]
) -> ObservationMsg:
    """The message of an observation, with the views that were added to it."""
    known = {view.camera for view in before.views}
    more = [
        conversions.view_message(view, fixed, frames[name])
        for name, view in merged.views.items()
        if name not in known
    ]
    return ObservationMsg(
        header=conversions.header(fixed, merged.stamp),
        observation_id=merged.id,
        views=[*before.views, *more],
        heightmap=before.heightmap,
        regions=before.regions,
    )


class RosProposer:
    """The policy node's plan service."""

    def __init__(self, node: BaseNode, observer: RosObserver, policy: str = "", arm: str = ""):
        self._node, self._observer = node, observer
        self._policy, self._arm = policy, arm
        self._plan: Any = node.create_client(Plan, "plan", callback_group=node.group)
        self._sees_from_hand = any(item.hand_camera for item in node.robot.arms)

    def propose(
        self,
        observation: Observation,
        seed: int,
        primitives: Sequence[Primitive],
        avoid: Sequence[Candidate] = (),
    ) -> Sequence[Candidate]:
        """See ``ports.Proposer``."""
        request = self._request(observation, seed)
        # As many as are tried: a policy spreads its primitives over what it is asked for.
        request.max_candidates = Limits.plan_attempts
        request.primitives = [int(p) for p in primitives]
        request.avoid = [conversions.candidate_message(c, self._node.frame) for c in avoid]
        try:
            answer = check(call(self._plan, request, self._node.values["service_timeout"]))
        except EmptyObservation:
            return ()
        return [conversions.candidate(item) for item in answer.candidates]

    def look_pose(self, observation: Observation, seed: int) -> tuple[str, np.ndarray] | None:
        """See ``ports.Proposer``."""
        if not self._sees_from_hand:
            return None
        request = self._request(observation, seed)
        answer = call(self._plan, request, self._node.values["service_timeout"])
        if not (answer.success and answer.look_required):
            return None
        return answer.look_arm, conversions.pose(answer.look_pose.pose)

    def _request(self, observation: Observation, seed: int) -> Plan.Request:
        return Plan.Request(
            policy=self._policy,
            arm=self._arm,
            observation=[self._observer.message(observation)],
            seed=seed,
        )


class RosLabeler:
    """The label node's service; changes of the table are compared here."""

    def __init__(self, node: BaseNode, observer: RosObserver):
        self._node, self._observer = node, observer
        self._label: Any = node.create_client(Label, "label", callback_group=node.group)
        self._rule = GraspRule()

    def label(
        self, execution: Execution, before: Observation, after: Observation | None
    ) -> Outcome:
        """See ``ports.Labeler``."""
        request = Label.Request(
            trial_id=execution.candidate.id,
            candidate=conversions.candidate_message(execution.candidate, self._node.frame),
            phases=[trial_messages.phase_message(item) for item in execution.phases],
        )
        if execution.candidate.primitive == Primitive.PUSH and after is not None:
            request.before = self._observer.message(before).heightmap
            request.after = self._observer.message(after).heightmap
        answer = call(self._label, request, self._node.values["service_timeout"])
        try:
            return conversions.outcome(check(answer).outcome)
        except Unavailable as error:
            # Samples were lost, on a machine that cannot keep up: this try has no label,
            # the next one may have.
            self._node.get_logger().warning(f"not labelled: {error}")
            return Outcome(OutcomeCode.UNKNOWN, reason=str(error))

    def changed(self, before: Observation, after: Observation) -> tuple[bool, float]:
        """See ``ports.Labeler``."""
        return self._rule.changed(before, after)
