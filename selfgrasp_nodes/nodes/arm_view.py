"""Which arm is in the overhead camera's view, from joint states."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from sensor_msgs.msg import JointState

from selfgrasp_nodes.nodes import conversions, qos
from selfgrasp_nodes.nodes.base import BaseNode

if TYPE_CHECKING:
    from selfgrasp_nodes.motion.visibility import Visibility

_HISTORY = 150


class ArmView:
    """Keeps a short history of joint states and asks the robot's model.

    The model (Pinocchio, coal) is loaded at the first question.
    """

    def __init__(self, node: BaseNode):
        self._node = node
        self._states: deque[tuple[int, dict[str, float]]] = deque(maxlen=_HISTORY)
        self._lock = threading.Lock()
        self._model: object = None
        self._view: Visibility | None = None
        node.create_subscription(
            JointState, "joint_states", self._take, qos.state(20), callback_group=node.group
        )

    def _take(self, message: JointState) -> None:
        positions = dict(zip(message.name, message.position, strict=False))
        self._states.append((conversions.stamp(message.header.stamp), positions))

    def blocking(self, stamp: int) -> str:
        """Name of an arm that is in view at a time [ns]; empty for none or unknown."""
        states = list(self._states)
        if not states:
            return ""
        at = min(range(len(states)), key=lambda i: abs(states[i][0] - stamp))
        positions = states[at][1]
        with self._lock:
            if self._view is None:
                from selfgrasp_nodes.motion.model import RobotModel
                from selfgrasp_nodes.motion.visibility import Visibility

                self._model = RobotModel(self._node.robot)
                self._view = Visibility(self._model)
            model, view = self._model, self._view
            q = model.neutral()  # type: ignore[attr-defined]
            for arm in self._node.robot.arms:
                if all(joint in positions for joint in arm.joints):
                    values = np.array([positions[joint] for joint in arm.joints])
                    q[model.indices(arm.joints)] = values  # type: ignore[attr-defined]
            for arm in self._node.robot.arms:
                if view.blocks(q, arm):
                    return arm.name
        return ""
