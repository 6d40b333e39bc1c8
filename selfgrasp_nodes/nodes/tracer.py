"""Leads the hand round the workspace's border, and tells motion what somebody saw."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from selfgrasp.action import MoveArm

from selfgrasp_nodes.errors import NotReady, Unavailable
from selfgrasp_nodes.motion.border import HEIGHT, border_poses
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.nodes import conversions
from selfgrasp_nodes.nodes.action_caller import ActionCaller
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.status import check
from selfgrasp_nodes.nodes.waiting import call, wait

_PATIENCE, _MOTION = 10.0, 120.0  # for an answer, for one motion [s]


class Tracer(BaseNode):
    """Moves arms with ``move_arm``; use it in a ``with`` block."""

    NAME = "trace"

    def __init__(self, robot: str, namespace: str = ""):
        """Connect and spin.

        Args:
            robot: Name or YAML of the robot.
            namespace: In which the graph runs.

        Raises:
            UnknownName: If there is no such robot.
        """
        self._own = Context()
        rclpy.init(context=self._own)
        super().__init__({"robot": robot}, context=self._own, namespace=namespace or None)
        self._mover = ActionCaller(self, MoveArm, "move_arm", self.group)
        self._setter: Any = self.create_client(
            SetParameters, "motion/set_parameters", callback_group=self.group
        )
        self._ending = threading.Event()
        self._spinner = SingleThreadedExecutor(context=self._own)
        self._spinner.add_node(self)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def trace(
        self,
        speed: float,
        height: float = HEIGHT,
        on_pose: Callable[[int, int], None] | None = None,
    ) -> int:
        """Lead the hand round, and home again.

        Args:
            speed: Share of full speed, in (0, 1].
            height: Of the closed fingers' tips above the table [m].
            on_pose: Called with (reached, all).

        Returns:
            Number of poses.

        Raises:
            PlanningFailed: If a part of the border cannot be reached.
            SelfGraspError: If the arm does not get there.
        """
        poses = border_poses(EmbeddedPlanner(self.robot), height)
        last = ""
        for number, (arm, pose) in enumerate(poses, start=1):
            if last and arm != last:
                self._home(last, speed)
            self._move(arm, pose, speed)
            last = arm
            if on_pose is not None:
                on_pose(number, len(poses))
        self._home(last, speed)
        return len(poses)

    def confirm(self) -> None:
        """Let motion execute candidates.

        Raises:
            Unavailable: If the motion node does not answer.
            NotReady: If it refuses.
        """
        value = Parameter("workspace_confirmed", value=True).to_parameter_msg()
        (result,) = call(
            self._setter, SetParameters.Request(parameters=[value]), _PATIENCE
        ).results
        if not result.successful:
            raise NotReady(f"the motion node did not take the confirmation: {result.reason}")

    def close(self) -> None:
        """End the thread and the ROS context."""
        self._ending.set()
        self._spinner.wake()
        self._thread.join(3.0)
        super().close()
        self._spinner.shutdown(0.5)
        self.destroy_node()
        rclpy.try_shutdown(context=self._own)

    def __enter__(self) -> Tracer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _spin(self) -> None:
        while not self._ending.is_set():
            self._spinner.spin_once(timeout_sec=0.2)

    def _home(self, arm: str, speed: float) -> None:
        self._run(MoveArm.Goal(arm=arm, target=MoveArm.Goal.HOME, speed_scale=speed))

    def _move(self, arm: str, world_T_tip: np.ndarray, speed: float) -> None:
        # The flange itself instead of a camera on it.
        goal = MoveArm.Goal(
            arm=arm,
            target=MoveArm.Goal.LOOK,
            camera=self.robot.arm(arm).tip_link,
            speed_scale=speed,
        )
        goal.camera_pose.header.frame_id = self.frame
        goal.camera_pose.pose = conversions.pose_message(world_T_tip)
        self._run(goal)

    def _run(self, goal: MoveArm.Goal) -> None:
        if not self._mover.wait_for_server(_PATIENCE):
            raise Unavailable(
                "nobody serves move_arm; start the graph first: selfgrasp up robot robot:="
                f"{self.robot.name} (or up sim), and give the same --namespace"
            )
        handle = self._mover.send(goal, _PATIENCE)
        if not handle.accepted:
            raise Unavailable("move_arm refused the goal; look at the motion node's messages")
        try:
            answer = wait(self._mover.result(handle), _MOTION, "the end of the motion")
        except BaseException:
            handle.cancel_goal_async()  # Ctrl-C and time-outs must not leave the arm moving
            raise
        check(answer.result)
