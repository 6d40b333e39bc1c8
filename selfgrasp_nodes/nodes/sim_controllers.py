"""The simulated robot's controllers, as ros2_control offers them: actions."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from control_msgs.action import FollowJointTrajectory, GripperCommand, ParallelGripperCommand
from rclpy.action import ActionServer, CancelResponse
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectoryPoint

from selfgrasp_nodes.errors import ExecutionFailed, SelfGraspError
from selfgrasp_nodes.nodes import conversions, trial_messages
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.sim_loop import SimLoop
from selfgrasp_nodes.nodes.waiting import settle_cancel
from selfgrasp_nodes.robots import ArmSpec
from selfgrasp_nodes.robots.gripper import (
    from_driver,
    joint_from_width,
    to_driver,
    width_per_joint,
)
from selfgrasp_nodes.simulation.world import World

_FEEDBACK = 0.1  # between two feedbacks [s], wall time
_GRACE = 10.0  # wall time beyond the expected end until a goal is given up [s]


class _Goals:
    """The one goal that a controller follows; a newer one takes its place."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event: threading.Event | None = None
        self._number = 0

    def begin(self) -> int:
        """Become the current goal; the one before is told."""
        with self._lock:
            self._number += 1
            if self._event is not None:
                self._event.set()
            self._event = None
            return self._number

    def current(self, number: int) -> bool:
        """Whether no newer goal has come."""
        return number == self._number

    @property
    def busy(self) -> bool:
        """Whether a goal is followed."""
        return self._event is not None

    def hold(self, number: int, event: threading.Event) -> None:
        """The event that wakes the current goal."""
        with self._lock:
            if self.current(number):
                self._event = event
            else:
                event.set()

    def end(self, number: int) -> None:
        """The goal has ended."""
        with self._lock:
            if self.current(number):
                self._event = None

    def wake(self) -> None:
        """Wake the goal that runs, e.g. because it was cancelled."""
        with self._lock:
            if self._event is not None:
                self._event.set()


class ArmController:
    """FollowJointTrajectory of one arm."""

    def __init__(
        self,
        node: BaseNode,
        loop: SimLoop,
        arm: ArmSpec,
        on_end: Callable[[], None] = lambda: None,
    ):
        """Offer the controller; ``on_end`` is called whenever a motion has ended."""
        self._loop, self._arm, self._node = loop, arm, node
        self._on_end = on_end
        self._goals = _Goals()
        self._cancelled: set[bytes] = set()
        ActionServer(
            node,
            FollowJointTrajectory,
            arm.trajectory_action,
            self._execute_async,
            callback_group=node.group,
            cancel_callback=self._cancel,
        )

    @property
    def busy(self) -> bool:
        """Whether a trajectory runs."""
        return self._goals.busy

    def _cancel(self, goal: Any) -> CancelResponse:
        self._cancelled.add(bytes(goal.goal_id.uuid))
        self._loop.post(lambda world: world.stop(self._arm.name))
        self._goals.wake()
        return CancelResponse.ACCEPT

    async def _execute_async(self, goal: Any) -> Any:
        return await self._node.offload(self._execute, goal)

    def _execute(self, goal: Any) -> FollowJointTrajectory.Result:
        result = FollowJointTrajectory.Result()
        request, name = goal.request, self._arm.name
        trajectory = trial_messages.trajectory(request.trajectory)
        number, identity = self._goals.begin(), bytes(goal.goal_id.uuid)

        def follow(world: World) -> None:
            # In the stepping thread, where the stop of a cancel also runs: the one that
            # comes second sees the other.
            if identity not in self._cancelled:
                world.follow(name, trajectory)

        try:
            self._loop.do(follow)
        except (SelfGraspError, ValueError, IndexError) as error:
            return self._abort(goal, result, result.INVALID_GOAL, str(error))
        if identity in self._cancelled:
            return self._cancel_done(goal, result)
        if not len(trajectory.time):
            goal.succeed()
            return result
        end = trajectory.positions[-1]
        order = [trajectory.joints.index(joint) for joint in self._arm.joints]
        target = end[order]
        tolerance = self._tolerance(request)
        patience = (
            conversions.seconds(request.goal_time_tolerance)
            or self._node.values["goal_time_tolerance"]
        )
        moved_until: list[int] = []

        def over(world: World, now: int) -> bool:
            if world.moving(name):
                return False
            if not moved_until:
                moved_until.append(now)
            error = np.abs(world.joint_state(name)[0] - target)
            return bool((error <= tolerance).all()) or now - moved_until[0] > patience * 1e9

        event = self._loop.watch(over)
        self._goals.hold(number, event)
        if identity in self._cancelled:
            event.set()
        try:
            factor = max(self._loop.measured_factor, 0.05)
            limit = time.monotonic() + trajectory.duration / factor + patience + _GRACE
            while not event.wait(_FEEDBACK) and time.monotonic() < limit:
                self._feedback(goal, target)
        finally:
            self._loop.unwatch(event)
            self._goals.end(number)
            self._on_end()
        if identity in self._cancelled:
            return self._cancel_done(goal, result)
        if not self._goals.current(number):
            return self._abort(goal, result, result.INVALID_GOAL, "replaced by a newer goal")
        q = self._loop.do(lambda world: world.joint_state(name)[0])
        miss = np.abs(q - target)
        if (miss > tolerance).any():
            joint = int(np.argmax(miss - tolerance))
            text = (
                f"{self._arm.joints[joint]} ended {miss[joint]:.4f} rad from its goal "
                f"(allowed: {tolerance[joint]:.4f}); something blocks the arm"
            )
            return self._abort(goal, result, result.GOAL_TOLERANCE_VIOLATED, text)
        goal.succeed()
        result.error_code = result.SUCCESSFUL
        return result

    def _tolerance(self, request: Any) -> np.ndarray:
        """Per joint [rad]: the goal's own where given, else the parameter."""
        tolerance = np.full(len(self._arm.joints), float(self._node.values["goal_tolerance"]))
        for item in request.goal_tolerance:
            if item.name in self._arm.joints and item.position > 0:
                tolerance[self._arm.joints.index(item.name)] = item.position
            elif item.name in self._arm.joints and item.position < 0:
                tolerance[self._arm.joints.index(item.name)] = np.inf
        return tolerance

    def _feedback(self, goal: Any, target: np.ndarray) -> None:
        def read(world: World) -> tuple[np.ndarray, np.ndarray]:
            return world.joint_state(self._arm.name)[0], world.setpoint(self._arm.name)[0]

        actual, desired = self._loop.do(read)
        message = FollowJointTrajectory.Feedback(joint_names=list(self._arm.joints))
        message.header.stamp = conversions.time_message(self._loop.now)
        message.actual = JointTrajectoryPoint(positions=actual.tolist())
        message.desired = JointTrajectoryPoint(positions=desired.tolist())
        message.error = JointTrajectoryPoint(positions=(desired - actual).tolist())
        goal.publish_feedback(message)

    def _cancel_done(self, goal: Any, result: Any) -> Any:
        self._cancelled.discard(bytes(goal.goal_id.uuid))
        settle_cancel(goal)
        goal.canceled()
        result.error_string = "cancelled"
        return result

    def _abort(self, goal: Any, result: Any, code: int, text: str) -> Any:
        self._node.get_logger().warning(f"{self._arm.trajectory_action}: {text}")
        goal.abort()
        result.error_code, result.error_string = code, text
        return result


class GripperController:
    """GripperCommand and ParallelGripperCommand of one gripper.

    Positions and efforts are those of the actuated joint, as ros2_control has
    them; a force [N] between the pads is the effort over d(width)/d(joint) at
    the commanded position.
    """

    def __init__(
        self,
        node: BaseNode,
        loop: SimLoop,
        arm: ArmSpec,
        on_end: Callable[[], None] = lambda: None,
    ):
        """Offer the controller; ``on_end`` is called whenever a motion has ended."""
        self._loop, self._arm, self._node = loop, arm, node
        self._on_end = on_end
        self._goals = _Goals()
        self._cancelled: set[bytes] = set()
        for kind, name in action_names(arm).items():
            ActionServer(
                node,
                kind,
                name,
                self._execute_async,
                callback_group=node.group,
                cancel_callback=self._cancel,
            )

    def _cancel(self, goal: Any) -> CancelResponse:
        self._cancelled.add(bytes(goal.goal_id.uuid))

        def hold(world: World) -> None:
            world.command_gripper(self._arm.name, world.gripper_state(self._arm.name)[0])

        self._loop.post(hold)
        self._goals.wake()
        return CancelResponse.ACCEPT

    async def _execute_async(self, goal: Any) -> Any:
        return await self._node.offload(self._execute, goal)

    def _execute(self, goal: Any) -> Any:
        parallel = hasattr(goal.request.command, "name")  # a JointState
        result = ParallelGripperCommand.Result() if parallel else GripperCommand.Result()
        number, identity = self._goals.begin(), bytes(goal.goal_id.uuid)
        name = self._arm.name

        def command(world: World) -> None:
            if identity not in self._cancelled:
                world.command_gripper(name, width, force)

        try:
            width, force = self._target(goal.request.command, parallel)
            self._loop.do(command)
        except SelfGraspError as error:
            self._node.get_logger().warning(f"gripper of {name}: {error}")
            goal.abort()
            return result
        values = self._node.values
        still: list[int] = []
        begun = self._loop.now

        def over(world: World, now: int) -> bool:
            opening, speed, _ = world.gripper_motor(name)
            if speed > values["gripper_stall_speed"]:
                still.clear()
                return False
            if not still:
                still.append(now)
            # Near the goal and standing: fingers that still press on look as if they held.
            if abs(opening - width) <= values["gripper_goal_tolerance"]:
                return True
            # The motor needs a moment to set off before standing still means a stall.
            rested = now - max([*still, begun])
            return bool(still) and rested >= values["gripper_stall_time"] * 1e9

        event = self._loop.watch(over)
        self._goals.hold(number, event)
        if identity in self._cancelled:
            event.set()
        try:
            finished = event.wait(_GRACE / max(min(self._loop.measured_factor, 1.0), 0.1))
        finally:
            self._loop.unwatch(event)
            self._goals.end(number)
            self._on_end()
        now_width, now_force, opening = self._loop.do(
            lambda world: (*world.gripper_state(name), world.gripper_motor(name)[0])
        )
        reached = abs(opening - width) <= values["gripper_goal_tolerance"]
        joint, position, effort = to_driver(self._arm.gripper, now_width, now_force)
        if parallel:
            result.state = JointState(name=[joint], position=[position], effort=[effort])
        else:
            result.position, result.effort = position, effort
        result.reached_goal, result.stalled = bool(reached), bool(not reached)
        if identity in self._cancelled:
            self._cancelled.discard(identity)
            settle_cancel(goal)
            goal.canceled()
        elif not finished or not self._goals.current(number):
            goal.abort()
        else:
            goal.succeed()  # a stall is a success: that is how an object is held
        return result

    def _target(self, command: Any, parallel: bool) -> tuple[float, float]:
        """Opening [m] and force [N] of a command.

        Raises:
            ExecutionFailed: If a number is missing or not finite.
        """
        gripper = self._arm.gripper
        joint = gripper.driver_joint or gripper.joint
        position: float | None
        if parallel:
            index = list(command.name).index(joint) if joint in command.name else 0
            position = command.position[index] if len(command.position) > index else None
            effort = command.effort[index] if len(command.effort) > index else 0.0
        else:
            position, effort = command.position, command.max_effort
        if position is None or not math.isfinite(position) or not math.isfinite(effort):
            raise ExecutionFailed(
                f"the command for {joint!r} needs one finite position and effort"
            )
        return from_driver(gripper, position, effort)


def joint_values(arm: ArmSpec, width: float, force: float) -> tuple[float, float]:
    """Joint position and effort of an opening [m] and a force [N]."""
    clipped = min(max(width, arm.gripper.width_min), arm.gripper.width_max)
    return (
        joint_from_width(arm.gripper, clipped),
        abs(force * width_per_joint(arm.gripper, clipped)),
    )


def action_names(arm: ArmSpec) -> dict[Any, str]:
    """The gripper's actions: the described one under its name, the other one beside it."""
    described = arm.gripper.command_topic
    folder = described.rsplit("/", 1)[0]
    if arm.gripper.command == "gripper_command":
        return {
            GripperCommand: described,
            ParallelGripperCommand: f"{folder}/parallel_gripper_cmd",
        }
    return {
        ParallelGripperCommand: described,
        GripperCommand: f"{folder}/single_gripper_cmd",
    }
