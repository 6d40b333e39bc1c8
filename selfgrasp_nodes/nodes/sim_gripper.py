"""The simulated gripper's controllers, as ros2_control offers them: both gripper actions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from control_msgs.action import GripperCommand, ParallelGripperCommand
from rclpy.action import ActionServer, CancelResponse
from sensor_msgs.msg import JointState

from selfgrasp_nodes.errors import ExecutionFailed, SelfGraspError
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.sim_goals import GRACE, Goals
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
        self._goals = Goals()
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
            finished = event.wait(GRACE / max(min(self._loop.measured_factor, 1.0), 0.1))
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
