"""Which arm is in the overhead camera's view, from joint states."""

from __future__ import annotations

import struct
import threading
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState

from selfgrasp_nodes.nodes import qos
from selfgrasp_nodes.nodes.base import BaseNode

if TYPE_CHECKING:
    from selfgrasp_nodes.motion.model import RobotModel
    from selfgrasp_nodes.motion.visibility import Visibility

_HISTORY = 150


def header_stamp(raw: bytes) -> int:
    """The stamp [ns] of a serialised message that begins with a header.

    CDR: four bytes that name the byte order, then seconds and nanoseconds.
    """
    order = "<" if raw[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", raw, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


class ArmView:
    """Keeps a short history of joint states and asks the robot's model.

    The model (Pinocchio, coal) is loaded beside the node's start: on a busy machine
    that takes seconds, which the first question would have to wait for. Joint states
    are kept as the bytes in which they come: only the one that is asked for is read.
    """

    def __init__(self, node: BaseNode):
        self._node = node
        self._states: deque[bytes] = deque(maxlen=_HISTORY)
        self._lock = threading.Lock()
        self._model: RobotModel | None = None
        self._view: Visibility | None = None
        threading.Thread(target=self._load, name="arm-view", daemon=True).start()
        node.create_subscription(
            JointState,
            "joint_states",
            lambda raw: self._states.append(raw),  # rclpy asks a callback for its signature
            qos.state(20),
            callback_group=node.group,
            raw=True,
        )

    def blocking(self, stamp: int) -> str:
        """Name of an arm that is in view at a time [ns]; empty for none or unknown."""
        states = list(self._states)
        if not states:
            return ""
        nearest = min(states, key=lambda raw: abs(header_stamp(raw) - stamp))
        message = deserialize_message(nearest, JointState)
        positions = dict(zip(message.name, message.position, strict=False))
        model, view = self._load()
        with self._lock:
            q = model.neutral()
            for arm in self._node.robot.arms:
                if all(joint in positions for joint in arm.joints):
                    values = np.array([positions[joint] for joint in arm.joints])
                    q[model.indices(arm.joints)] = values
            for arm in self._node.robot.arms:
                if view.blocks(q, arm):
                    return arm.name
        return ""

    def _load(self) -> tuple[RobotModel, Visibility]:
        """The robot's model, made once."""
        from selfgrasp_nodes.motion.model import RobotModel
        from selfgrasp_nodes.motion.visibility import Visibility

        with self._lock:
            if self._model is None or self._view is None:
                self._model = RobotModel(self._node.robot)
                self._view = Visibility(self._model)
            return self._model, self._view
