"""The execute action: a candidate is planned, run, labelled and put away."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from rclpy.action import ActionServer, CancelResponse
from selfgrasp.action import Execute
from selfgrasp.srv import Label

from selfgrasp_nodes.errors import (
    Blocked,
    Busy,
    Cancelled,
    ExecutionFailed,
    InvalidCandidate,
    NotReady,
    PlanningFailed,
    SelfGraspError,
)
from selfgrasp_nodes.motion.candidates import LEAST_DOWNWARDS
from selfgrasp_nodes.motion.progress import ReleaseGate
from selfgrasp_nodes.nodes import conversions, trial_messages
from selfgrasp_nodes.nodes.execute_feedback import Reporter
from selfgrasp_nodes.nodes.goal_jobs import GoalJobs, goal_id
from selfgrasp_nodes.nodes.motion_jobs import Job, Lane
from selfgrasp_nodes.nodes.status import check, set_error, set_ok
from selfgrasp_nodes.nodes.waiting import call, settle_cancel
from selfgrasp_nodes.types import Candidate, Execution, Outcome, OutcomeCode, PhaseCode, Primitive

if TYPE_CHECKING:
    from selfgrasp_nodes.nodes.motion_node import MotionNode

_FAILURES: dict[OutcomeCode, type[SelfGraspError]] = {
    OutcomeCode.BLOCKED: Blocked,
    OutcomeCode.PLAN_FAILED: PlanningFailed,
    OutcomeCode.EXECUTION_FAILED: ExecutionFailed,
}


class ExecuteServer:
    """Serves ``execute`` on the queues of the motion node.

    Attributes:
        executions: How many have moved an arm.
        plan_ms: What planning the last one took [ms].
    """

    def __init__(self, node: MotionNode):
        self._node = node
        self._goals = GoalJobs()
        self._planning = threading.Lock()
        self.executions = 0
        self.plan_ms = float("nan")
        self._labels: Any = node.create_client(Label, "label", callback_group=node.group)
        self._server = ActionServer(
            node,
            Execute,
            "execute",
            self._execute_async,
            callback_group=node.group,
            cancel_callback=self._cancel,
        )

    def _cancel(self, goal: Any) -> CancelResponse:
        self._goals.cancel(goal_id(goal))
        return CancelResponse.ACCEPT

    async def _execute_async(self, goal: Any) -> Any:
        return await self._node.offload(self._execute, goal)

    def _execute(self, goal: Any) -> Execute.Result:
        try:
            return self._serve(goal)
        finally:
            self._goals.forget(goal_id(goal))

    def _serve(self, goal: Any) -> Execute.Result:
        result = Execute.Result()
        execution: Execution | None = None
        try:
            candidate = self._candidate(goal.request)
            execution, outcome = self._plan_and_run(goal, candidate)
            result.outcome = conversions.outcome_message(outcome)
            arm = self._node.robot.arm(execution.candidate.arm)
            result.execution = trial_messages.execution_message(
                execution, self._node.frame, arm.joints
            )
            if execution.code == OutcomeCode.CANCELLED:
                raise Cancelled(execution.error)
            if execution.code != OutcomeCode.UNKNOWN:
                raise _FAILURES.get(execution.code, ExecutionFailed)(execution.error)
        except Cancelled as error:
            set_error(result, error)
            if self._goals.cancelled(goal_id(goal)):
                settle_cancel(goal)
            goal.canceled() if goal.is_cancel_requested else goal.abort()
            return result
        except Exception as error:
            if not isinstance(error, SelfGraspError):
                self._node.get_logger().error(repr(error))
            set_error(result, error)
            if execution is None:
                code = OutcomeCode.EXECUTION_FAILED
                if isinstance(error, (PlanningFailed, InvalidCandidate)):
                    code = OutcomeCode.PLAN_FAILED
                failed = Outcome(code, reason=str(error))
                result.outcome = conversions.outcome_message(failed)
            goal.abort()
            self._node.get_logger().info(f"{goal.request.trial_id}: {error}")
            return result
        goal.succeed()
        return set_ok(result)

    def _candidate(self, request: Execute.Goal) -> Candidate:
        candidate = conversions.candidate(request.candidate)
        frame = request.candidate.header.frame_id
        if frame and frame != self._node.frame:
            raise InvalidCandidate(
                f"the candidate's pose is in frame {frame!r}; transform it to {self._node.frame!r}"
            )
        return candidate

    def _place(self, request: Execute.Goal) -> np.ndarray | None:
        """world_T_tcp in which it lets go; None for the bin.

        Raises:
            InvalidCandidate: If the pose is in another frame, not finite, or nothing is grasped.
        """
        if not request.use_place_pose:
            return None
        if request.candidate.primitive != Primitive.GRASP:
            raise InvalidCandidate("place_pose is for grasps; a push holds nothing to place")
        frame = request.place_pose.header.frame_id
        if frame and frame != self._node.frame:
            raise InvalidCandidate(
                f"place_pose is in frame {frame!r}; transform it to {self._node.frame!r}"
            )
        pose = conversions.pose(request.place_pose.pose)
        if not np.all(np.isfinite(pose)) or pose[2, 2] > -LEAST_DOWNWARDS:
            raise InvalidCandidate("place_pose must be finite, and its z axis lead downwards")
        return pose

    def _lanes(self, candidate: Candidate) -> list[Lane]:
        """The named arm's; else all, those with the least to do first, then the nearest."""
        if candidate.arm:
            return [self._node.lanes[self._node.robot.arm(candidate.arm).name]]

        def cost(lane: Lane) -> tuple[int, float]:
            home = self._node.planner.fk(lane.arm.name, np.asarray(lane.arm.home, float))
            return lane.load, float(np.linalg.norm(home[:2, 3] - candidate.pose[:2, 3]))

        return sorted(self._node.lanes.values(), key=cost)

    def _plan_and_run(self, goal: Any, candidate: Candidate) -> tuple[Execution, Outcome]:
        """By the first arm for which it can be planned."""
        if not (goal.request.plan_only or self._node.values["workspace_confirmed"]):
            raise NotReady(
                "nobody has confirmed yet that the workspace is where the robot thinks it is: "
                "run `selfgrasp trace`, watch the hand go round its border, and confirm"
            )
        lanes = self._lanes(candidate)
        failure: PlanningFailed | None = None
        for lane in lanes:
            try:
                return self._run_in(lane, goal, replace(candidate, arm=lane.arm.name))
            except PlanningFailed as error:
                failure = failure or error
            except Busy:
                if failure is None:
                    raise
        assert failure is not None
        raise failure

    def _run_in(self, lane: Lane, goal: Any, candidate: Candidate) -> tuple[Execution, Outcome]:
        """Plan and run with one arm.

        Raises:
            PlanningFailed: If it cannot be planned; nothing has moved then.
            Busy: If this arm has too much to do already.
        """
        request = goal.request
        trial_id = request.trial_id or f"execute-{bytes(goal.goal_id.uuid).hex()[:8]}"
        place = self._place(request)
        job = lane.enter(trial_id, request.max_wrench, goes_home=place is not None)
        self._goals.add(goal_id(goal), lane, job)
        try:
            q_start = lane.q_start(job, self._node.values["queue_timeout"])
            begun = self._node.steady.now().nanoseconds
            with self._planning:
                program = lane.plan(
                    candidate,
                    q_start,
                    self._node.heightmap(candidate.observation_id),
                    request.speed_scale or 1.0,
                    lambda: self._node.arms_now(lane.arm.name),
                    place,
                )
            self.plan_ms = (self._node.steady.now().nanoseconds - begun) / 1e6
            reporter = Reporter(self._node, goal, job, program.candidate)
            reporter.publish(PhaseCode.APPROACH)  # the first feedback says: it is planned
            if request.plan_only:
                return Execution(program.candidate, (), None, program.trajectories), Outcome(
                    OutcomeCode.UNKNOWN, reason="planned only; nothing has moved"
                )
            if job.before is not None:
                before = job.before
                job.wait(before.done, self._node.values["queue_timeout"], before.trial_id)
            self.executions += 1
            job.runner.act(program, reporter.events)
            return self._finish(goal, job, reporter)
        finally:
            self._goals.remove(goal_id(goal), lane, job)
            lane.leave(job)

    def _finish(self, goal: Any, job: Job, reporter: Reporter) -> tuple[Execution, Outcome]:
        """After the lift or stroke: hold, put away, or stay."""
        request, runner = goal.request, job.runner
        execution = runner.execution
        label: Any = None
        gate: ReleaseGate | None = None
        job.stopped = runner.holds_something
        if execution.code != OutcomeCode.UNKNOWN:
            job.decide(False)  # nobody has to label what did not run to its end
        elif request.after_acting == Execute.Goal.WAIT:
            gate = ReleaseGate(job.decided.is_set, lambda: self._await_label(job))
            if not job.stopped:  # the label may know better: a thin object, held with force
                self._await_label(job)
        elif self._labels.service_is_ready():
            label = self._node.offload(self._label, execution, job.trial_id)
        if request.after_acting == Execute.Goal.STAY and execution.code == OutcomeCode.UNKNOWN:
            job.decide(None)
        else:
            if gate is None and not job.decided.is_set():
                job.decide(runner.holds_something)
            try:
                execution = runner.put_away(job.is_carried, gate)
            except SelfGraspError as error:
                self._node.get_logger().warning(f"{job.trial_id}: putting away failed: {error}")
                execution = runner.execution
        outcome = job.outcome
        if label is not None:
            done = threading.Event()
            label.add_done_callback(lambda _: done.set())
            outcome = label.result() if done.wait(self._node.values["label_timeout"]) else None
        if outcome is None:
            code = execution.code
            outcome = Outcome(code, reason=execution.error or "nobody labelled it")
        return execution, outcome

    def _await_label(self, job: Job) -> None:
        """Wait until put_away says how the try ended; nothing is released before."""
        try:
            job.wait(job.decided, self._node.values["label_timeout"], "put_away")
        except Cancelled:
            job.decide(False)
        except SelfGraspError as error:
            self._node.get_logger().warning(f"{error}; the fingers decide")
            job.decide(None)

    def _label(self, execution: Execution, trial_id: str) -> Outcome | None:
        request = Label.Request(
            trial_id=trial_id,
            candidate=conversions.candidate_message(execution.candidate, self._node.frame),
            phases=[trial_messages.phase_message(p) for p in execution.phases],
        )
        try:
            answer = check(call(self._labels, request, self._node.values["controller_timeout"]))
        except SelfGraspError as error:
            return Outcome(OutcomeCode.UNKNOWN, reason=str(error))
        return conversions.outcome(answer.outcome)
