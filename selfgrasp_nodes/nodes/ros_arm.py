"""One arm behind its controllers' actions, as motion's runner drives it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from control_msgs.action import FollowJointTrajectory, GripperCommand, ParallelGripperCommand
from rclpy.action import ActionClient
from rclpy.task import Future
from sensor_msgs.msg import JointState

from selfgrasp_nodes.errors import ExecutionFailed, Unavailable
from selfgrasp_nodes.motion.port import ArmSample, Watch
from selfgrasp_nodes.nodes import trial_messages
from selfgrasp_nodes.nodes.action_caller import send_goal
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.liveness import Liveness
from selfgrasp_nodes.nodes.sensors import ArmSensors
from selfgrasp_nodes.nodes.tool_io import ToolIoCall, ToolIoGripper
from selfgrasp_nodes.robots import ArmSpec
from selfgrasp_nodes.robots.gripper import to_driver
from selfgrasp_nodes.types import Trajectory

_TICK = 0.05  # longest wall time between two calls of a watch [s]
_ARRIVAL_LIMIT = 0.5  # longest wait for the samples of a finished trajectory, wall time [s]
_ARRIVED = 0.03  # joint distance at which a sample belongs to the end [rad]
_STILL_LIMIT = 2.0  # longest wait for a stopped arm to stand still, wall time [s]
_STILL_SPAN = 30_000_000  # over which joints that move less than this stand still [ns]
_STILL_JOINTS = 0.002  # [rad]
_CANCELED = 5  # action_msgs/GoalStatus
_SUCCEEDED = 4


class _Call:
    """A goal that was sent, and what became of it."""

    def __init__(
        self,
        node: BaseNode,
        client: ActionClient,
        goal: Any,
        what: str,
        timeout: float,
        on_end: Callable[[], None],
    ):
        if not client.server_is_ready() and not client.wait_for_server(timeout):
            raise Unavailable(
                f"{what} has no controller after {timeout:g} s; start the robot's driver or "
                "the simulation, and look at 'selfgrasp check'"
            )
        self.what = what
        self._on_end = on_end
        self.done = threading.Event()
        self.result: Any = None
        self._cancel = threading.Event()
        self.handle: Any = None
        send_goal(node, client, goal).add_done_callback(self._accepted)

    def _accepted(self, future: Future) -> None:
        self.handle = future.result()
        if not self.handle.accepted:
            self.done.set()
            self._on_end()
            return
        if self._cancel.is_set():
            self.handle.cancel_goal_async()
        self.handle.get_result_async().add_done_callback(self._finished)

    def _finished(self, future: Future) -> None:
        self.result = future.result()
        self.done.set()
        self._on_end()

    def cancel(self) -> None:
        """Ask the controller to stop; at once, or as soon as it has accepted."""
        self._cancel.set()
        if self.handle is not None and self.handle.accepted:
            self.handle.cancel_goal_async()

    def outcome(self) -> Any:
        """The result of a finished goal.

        Raises:
            ExecutionFailed: If it was refused or aborted.
        """
        if self.handle is None or not self.handle.accepted:
            raise ExecutionFailed(f"{self.what} refused the goal")
        status, result = self.result.status, self.result.result
        if status != _SUCCEEDED:
            how = "was cancelled" if status == _CANCELED else "aborted"
            text = getattr(result, "error_string", "")
            raise ExecutionFailed(f"{self.what} {how}{': ' + text if text else ''}")
        return result


class RosArm:
    """See ``motion.port.ArmPort``. Every wait has a wall-clock limit."""

    def __init__(self, node: BaseNode, arm: ArmSpec):
        self._node, self._arm = node, arm
        self.sensors = ArmSensors(node, arm)
        parallel = arm.gripper.command == "parallel_gripper_command"
        self._trajectories: Any = ActionClient(
            node, FollowJointTrajectory, arm.trajectory_action, callback_group=node.group
        )
        self._wired = ToolIoGripper(node, arm) if arm.gripper.tool_io is not None else None
        self._grippers: Any = self._wired or ActionClient(
            node,
            ParallelGripperCommand if parallel else GripperCommand,
            arm.gripper.command_topic,
            callback_group=node.group,
        )
        self._parallel = parallel
        self._running: _Call | None = None
        self._gripping: _Call | ToolIoCall | None = None

    def sample(self) -> ArmSample:
        """The newest sample.

        Raises:
            Unavailable: If the arm's sensors are silent.
        """
        sample = self.sensors.newest or self.sensors.wait_newer(0, self._timeout)
        if sample is None:
            raise Unavailable(
                f"no joint states of arm {self._arm.name!r} within {self._timeout:g} s; is the "
                "robot's driver (or the simulation) running, and joint_states remapped?"
            )
        return sample

    def fresh(self) -> ArmSample:
        """A sample that arrived after this call: where the arm is to be planned from.

        The newest one may be old when this process has just got a processor
        again; the next one is at most a short queue old.

        Raises:
            Unavailable: If the arm's sensors are silent.
        """
        last, before = self.sample(), self._node.now()
        newer = self.sensors.wait_newer(last.time, self._timeout)
        # While a simulation is paused, no time passes and nothing moves.
        if newer is None and self._node.now() != before:
            raise Unavailable(
                f"the joint states of arm {self._arm.name!r} fell silent; is the robot's driver "
                "still connected?"
            )
        return newer or last

    def run_trajectory(self, trajectory: Trajectory, watch: Watch) -> None:
        """Run a trajectory to its end."""
        goal = FollowJointTrajectory.Goal(trajectory=trial_messages.trajectory_message(trajectory))
        action = self._node.resolve_service_name(self._arm.trajectory_action)
        call = _Call(
            self._node, self._trajectories, goal, action, self._timeout, self.sensors.wake
        )
        self._running = call
        try:
            self._follow(call, watch, trajectory.duration, self._node.values["still_timeout"])
        finally:
            self._running = None
        call.outcome()
        order = [trajectory.joints.index(joint) for joint in self._arm.joints]
        self._arrive(trajectory.positions[-1][order], watch)

    def _arrive(self, goal: np.ndarray, watch: Watch) -> None:
        """Hear of the arrival: the result may have overtaken the samples before it."""
        limit = time.monotonic() + _ARRIVAL_LIMIT
        last = self.sample()
        while np.abs(last.q - goal).max() > _ARRIVED and time.monotonic() < limit:
            newer = self.sensors.wait_newer(last.time, _TICK)
            if newer is not None:
                last = newer
                watch(last)

    def start_gripper(self, width: float, force: float) -> None:
        """Begin to move the fingers; the widths are clipped to the stroke."""
        gripper = self._arm.gripper
        if self._wired is not None:
            self._gripping = self._wired.grip(width, self._timeout, self.sensors.wake)
            return
        joint, position, effort = to_driver(gripper, width, force)
        goal: Any
        if self._parallel:
            goal = ParallelGripperCommand.Goal(
                command=JointState(name=[joint], position=[position], effort=[effort])
            )
        else:
            goal = GripperCommand.Goal()
            goal.command.position, goal.command.max_effort = position, effort
        action = self._node.resolve_service_name(gripper.command_topic)
        self._gripping = _Call(
            self._node, self._grippers, goal, action, self._timeout, self.sensors.wake
        )

    def wait_gripper(self, watch: Watch) -> None:
        """Wait until the fingers are where they were sent, or have stalled."""
        if self._gripping is None:
            return
        call = self._gripping
        gripper = self._arm.gripper
        self._follow(call, watch, (gripper.width_max - gripper.width_min) / gripper.speed)
        call.outcome()
        # The samples until now belong to this: those that the result has overtaken, too.
        newest = self.sample()
        watch(self.sensors.wait_newer(newest.time, _TICK) or newest)

    def wait(self, duration: float, watch: Watch) -> None:
        """Hold still [s]."""
        end = self.sample().time + round(duration * 1e9)
        last = self.sample()
        limit = time.monotonic() + self._slack(duration)
        while last.time < end:
            if time.monotonic() > limit:
                raise Unavailable("the arm's sensors fell silent while it held still")
            last = self.sensors.wait_newer(last.time, _TICK) or last
            watch(last)

    def stop(self) -> None:
        """Stop arm and gripper; safe to call from any thread."""
        for call in (self._running, self._gripping):
            if call is not None and not call.done.is_set():
                call.cancel()

    @property
    def _timeout(self) -> float:
        return float(self._node.values["controller_timeout"])

    def _slack(self, duration: float) -> float:
        """Wall-clock limit of something that takes ``duration`` [s] of the arm's time."""
        return duration * float(self._node.values["slowest_factor"]) + self._timeout

    def _follow(
        self,
        call: _Call | ToolIoCall,
        watch: Watch,
        duration: float,
        still: float = float("inf"),
    ) -> None:
        """Call ``watch`` with every new sample until the goal has ended; see :class:`Liveness`."""
        limit = time.monotonic() + self._slack(duration)
        alive = Liveness(self._node.now, self._node.values["sensor_timeout"], still)
        last = self.sample().time
        try:
            while not call.done.is_set():
                if time.monotonic() > limit:
                    raise Unavailable(
                        f"{call.what} did not finish within {self._slack(duration):.1f} s; does "
                        "time go on (/clock), and does the controller still run?"
                    )
                sample = self.sensors.wait_newer(last, _TICK, call.done)
                if sample is not None:
                    last = sample.time
                alive.check(sample)
                watch(sample or self.sample())
        except BaseException:
            self.stop()
            self._wait_still(call)
            raise

    def _wait_still(self, call: _Call | ToolIoCall) -> None:
        """After a stop: until the controller has answered and the joints stand still.

        Whoever plans next plans from where the arm is; a moving arm is nowhere.
        """
        limit = time.monotonic() + _STILL_LIMIT
        call.done.wait(_STILL_LIMIT)
        before = self.sensors.newest
        while before is not None and time.monotonic() < limit:
            sample = self.sensors.wait_newer(before.time + _STILL_SPAN, _TICK)
            if sample is None:
                continue
            if np.abs(sample.q - before.q).max() < _STILL_JOINTS:
                return
            before = sample
