"""A gripper on a UR tool connector: one output closes it, a voltage tells the opening.

The way in which Zeng and others (2018) drove their RG2. It closes fully or opens fully:
widths between and forces are those set at the gripper. ur_msgs comes with the driver.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from selfgrasp.msg import GripperState

from selfgrasp_nodes.errors import ExecutionFailed, MissingDependency, SelfGraspError, Unavailable
from selfgrasp_nodes.nodes import qos
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.waiting import call
from selfgrasp_nodes.robots import ArmSpec

_STILL_TIME, _STILL_WIDTH = 0.25, 0.001  # no more motion than this for so long: it stands
_CLOSED = 0.003  # openings up to this beyond the smallest mean: close [m]
_TICK = 0.02  # between two looks [s]
_START = 0.3  # in which it must have begun to move, or never will [s]


def width_from_volts(arm: ArmSpec, volts: float) -> float:
    """Opening [m] at a voltage of the analog input."""
    gripper = arm.gripper
    assert gripper.tool_io is not None
    ends = gripper.tool_io.volts_closed, gripper.tool_io.volts_open
    share = (volts - ends[0]) / (ends[1] - ends[0])
    width = gripper.width_min + share * (gripper.width_max - gripper.width_min)
    return float(np.clip(width, gripper.width_min, gripper.width_max))


class ToolIoCall:
    """A command on its way; the same questions can be asked of it as of an action's goal."""

    def __init__(self, work: Callable[[ToolIoCall], None], what: str, on_end: Callable[[], None]):
        self.what, self.done = what, threading.Event()
        self.cancelled = threading.Event()
        self._error: SelfGraspError | None = None

        def run() -> None:
            try:
                work(self)
            except SelfGraspError as error:
                self._error = error
            finally:
                self.done.set()
                on_end()

        threading.Thread(target=run, daemon=True).start()

    def cancel(self) -> None:
        """Wait no longer. The fingers go on: the output knows no stop."""
        self.cancelled.set()

    def outcome(self) -> None:
        """Nothing, of a command that went well.

        Raises:
            ExecutionFailed: If the driver refused it, or it was cancelled.
            Unavailable: If driver or voltage are silent.
        """
        if self._error is not None:
            raise self._error


class ToolIoGripper:
    """Sets the output, hears the voltage, and says the opening on ``<arm>/gripper/state``.

    Args:
        node: Whose executor hears the topic.
        arm: The arm; its gripper has ``tool_io``.

    Raises:
        MissingDependency: If ur_msgs is not installed.
    """

    def __init__(self, node: BaseNode, arm: ArmSpec):
        try:
            from ur_msgs.msg import ToolDataMsg
            from ur_msgs.srv import SetIO
        except ImportError as error:
            raise MissingDependency(
                f"the gripper of arm {arm.name!r} on UR tool I/O needs ur_msgs: "
                "apt install ros-$ROS_DISTRO-ur-msgs (it comes with ur_robot_driver)"
            ) from error
        assert arm.gripper.tool_io is not None
        self._node, self._arm, self._wiring = node, arm, arm.gripper.tool_io
        self._request = SetIO.Request
        service = arm.gripper.command_topic
        self._client: Any = node.create_client(SetIO, service, callback_group=node.group)
        self._state = node.create_publisher(GripperState, f"{arm.name}/gripper/state", qos.STATE)
        self._widths: deque[tuple[float, float]] = deque(maxlen=500)
        self._closed = False
        node.create_subscription(
            ToolDataMsg, self._wiring.topic, self._take, qos.state(5), callback_group=node.group
        )

    def grip(self, width: float, timeout: float, on_end: Callable[[], None]) -> ToolIoCall:
        """Close where the fingers shall meet, open where any other opening is wanted.

        Args:
            width: Wanted opening [m].
            timeout: Wall-clock limit of the driver [s].
            on_end: Called when the fingers stand.
        """
        close = width <= self._arm.gripper.width_min + _CLOSED
        return ToolIoCall(
            lambda running: self._drive(running, close, timeout),
            f"{self._arm.name}'s gripper on {self._arm.gripper.command_topic}",
            on_end,
        )

    def _drive(self, running: ToolIoCall, close: bool, timeout: float) -> None:
        request = self._request()
        request.fun, request.pin = self._request.FUN_SET_DIGITAL_OUT, self._wiring.pin
        request.state = float(close)
        if not call(self._client, request, timeout).success:
            raise ExecutionFailed(f"{running.what} did not set output {self._wiring.pin}")
        self._closed = close
        gripper, begun = self._arm.gripper, time.monotonic()
        stroke = (gripper.width_max - gripper.width_min) / gripper.speed
        limit = begun + stroke + timeout
        while not running.cancelled.is_set():
            now = time.monotonic()
            recent = [w for at, w in list(self._widths) if at > now - _STILL_TIME]
            if recent and now > begun + _START + _STILL_TIME and np.ptp(recent) < _STILL_WIDTH:
                return
            if now > limit:
                raise Unavailable(
                    f"{running.what}: its voltage on {self._wiring.topic} is silent or never "
                    "comes to rest; is the driver running, and is the tool powered?"
                )
            time.sleep(_TICK)
        raise ExecutionFailed(f"{running.what} was cancelled; its fingers go on")

    def _take(self, message: Any) -> None:
        width = width_from_volts(self._arm, float(message.analog_input2))
        before = self._widths[-1][1] if self._widths else width
        self._widths.append((time.monotonic(), width))
        state = GripperState(arm=self._arm.name, width=width, force=float("nan"))
        state.header.stamp = self._node.get_clock().now().to_msg()
        state.moving = abs(width - before) > _STILL_WIDTH / 2
        gripper = self._arm.gripper
        state.stalled = self._closed and not state.moving and width > gripper.width_min + _CLOSED
        self._state.publish(state)
