"""The simulated arm's controller, as ros2_control offers it: FollowJointTrajectory."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from control_msgs.action import FollowJointTrajectory
from rclpy.action import ActionServer, CancelResponse
from trajectory_msgs.msg import JointTrajectoryPoint

from selfgrasp_nodes.errors import SelfGraspError
from selfgrasp_nodes.nodes import conversions, trial_messages
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.sim_goals import GRACE, Goals
from selfgrasp_nodes.nodes.sim_loop import SimLoop
from selfgrasp_nodes.nodes.waiting import settle_cancel
from selfgrasp_nodes.robots import ArmSpec
from selfgrasp_nodes.simulation.world import World

_FEEDBACK = 0.1  # between two feedbacks [s], wall time


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
        self._goals = Goals()
        self._cancelled: set[bytes] = set()
        self.server = ActionServer(
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
            limit = time.monotonic() + trajectory.duration / factor + patience + GRACE
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
