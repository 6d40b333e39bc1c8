"""The move_arm action: postures by name, and the hand camera or the flange to a pose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rclpy.action import ActionServer, CancelResponse
from selfgrasp.action import MoveArm

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import Cancelled, SelfGraspError, UnknownName
from selfgrasp_nodes.motion.program import MoveSegment
from selfgrasp_nodes.nodes import conversions, trial_messages
from selfgrasp_nodes.nodes.goal_jobs import GoalJobs, goal_id
from selfgrasp_nodes.nodes.motion_jobs import Lane
from selfgrasp_nodes.nodes.robot_state import RobotState
from selfgrasp_nodes.nodes.status import set_error, set_ok
from selfgrasp_nodes.nodes.tf_tree import TransformTree
from selfgrasp_nodes.nodes.waiting import settle_cancel
from selfgrasp_nodes.types import Phase, PhaseCode

if TYPE_CHECKING:
    from selfgrasp_nodes.nodes.motion_node import MotionNode


class MoveArmServer:
    """Serves ``move_arm`` on the queues of the motion node."""

    def __init__(self, node: MotionNode):
        self._node = node
        self._goals = GoalJobs()
        self._fixed = TransformTree()
        for parent, child, matrix in RobotState(node.robot, node.frame).fixed:
            self._fixed.set_fixed(parent, child, matrix)
        self._server = ActionServer(
            node,
            MoveArm,
            "move_arm",
            self._execute_async,
            callback_group=node.group,
            cancel_callback=self._cancel,
        )

    def _cancel(self, goal: Any) -> CancelResponse:
        self._goals.cancel(goal_id(goal))
        return CancelResponse.ACCEPT

    async def _execute_async(self, goal: Any) -> Any:
        return await self._node.offload(self._execute, goal)

    def _execute(self, goal: Any) -> MoveArm.Result:
        result = MoveArm.Result()
        try:
            for lane in self._lanes(goal.request):
                self._move(goal, lane)
        except Cancelled as error:
            set_error(result, error)
            if self._goals.cancelled(goal_id(goal)):
                settle_cancel(goal)
            goal.canceled() if goal.is_cancel_requested else goal.abort()
            return result
        except SelfGraspError as error:
            set_error(result, error)
            goal.abort()
            return result
        finally:
            self._goals.forget(goal_id(goal))
        goal.succeed()
        return set_ok(result)

    def _lanes(self, request: MoveArm.Goal) -> list[Lane]:
        """The arms that move.

        Raises:
            UnknownName: If there is no such arm or hand camera.
        """
        robot, lanes = self._node.robot, self._node.lanes
        if request.arm:
            return [lanes[robot.arm(request.arm).name]]
        if request.target != MoveArm.Goal.LOOK:
            return list(lanes.values())
        for arm in robot.arms:
            if arm.hand_camera and arm.hand_camera == (request.camera or arm.hand_camera):
                return [lanes[arm.name]]
        raise UnknownName(
            "hand camera", request.camera, [a.hand_camera for a in robot.arms if a.hand_camera]
        )

    def _move(self, goal: Any, lane: Lane) -> None:
        request, node = goal.request, self._node
        job = lane.enter("move_arm")
        self._goals.add(goal_id(goal), lane, job)
        try:
            lane.q_start(job, node.values["queue_timeout"])
            if job.before is not None:
                job.wait(job.before.done, node.values["queue_timeout"], job.before.trial_id)
            looks = request.target == MoveArm.Goal.LOOK
            code = PhaseCode.LOOK if looks else PhaseCode.HOME
            now = node.now()
            goal.publish_feedback(
                MoveArm.Feedback(phase=trial_messages.phase_message(Phase(code, now, now)))
            )
            if request.target == MoveArm.Goal.HOME:
                job.runner.go_home()
                return
            for name, (q, width) in node.arms_now(lane.arm.name).items():
                node.planner.set_arm(name, q, width)
            job.runner.back_off()
            sample = lane.port.sample()
            target = self._tip(request, lane) if looks else np.asarray(lane.arm.ready, float)
            scale = request.speed_scale or 1.0
            trajectory = node.planner.plan_free(
                lane.arm.name, sample.q, target, width=sample.width, scale=scale
            )
            job.runner.move([MoveSegment(code, trajectory)])
        finally:
            self._goals.remove(goal_id(goal), lane, job)
            lane.leave(job)

    def _tip(self, request: MoveArm.Goal, lane: Lane) -> np.ndarray:
        """world_T_tip that brings the hand camera, or the flange itself, to the wanted pose."""
        if request.camera == lane.arm.tip_link:
            return conversions.pose(request.camera_pose.pose)
        camera = self._node.robot.camera(request.camera or lane.arm.hand_camera)
        tip_T_camera = self._fixed.lookup(lane.arm.tip_link, camera.frame)
        world_T_camera = conversions.pose(request.camera_pose.pose)
        return world_T_camera @ geometry.inverse(tip_T_camera)
