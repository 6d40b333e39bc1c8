"""Executes candidates: plans, moves, closes, lifts, puts away; one queue an arm."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from typing import Any

import numpy as np
from rclpy.action import ActionServer, CancelResponse
from selfgrasp.action import Execute
from selfgrasp.msg import Heightmap as HeightmapMsg
from selfgrasp.srv import Label, PutAway

from selfgrasp_nodes.errors import (
    Busy,
    Cancelled,
    ExecutionFailed,
    InvalidCandidate,
    PlanningFailed,
    SelfGraspError,
    UnknownName,
)
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.motion.leases import Leases
from selfgrasp_nodes.motion.options import load_options
from selfgrasp_nodes.motion.runner import RunnerEvents
from selfgrasp_nodes.motion.space import ArmSpace
from selfgrasp_nodes.nodes import conversions, qos, trial_messages
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.motion_jobs import Job, Lane
from selfgrasp_nodes.nodes.move_arm import MoveArmServer
from selfgrasp_nodes.nodes.params import Param
from selfgrasp_nodes.nodes.ros_arm import RosArm
from selfgrasp_nodes.nodes.status import check, set_error, set_ok
from selfgrasp_nodes.nodes.waiting import call
from selfgrasp_nodes.types import (
    Candidate,
    Execution,
    Heightmap,
    Outcome,
    OutcomeCode,
    Phase,
    PhaseCode,
)

_KEPT_MAPS = 4
_PROGRESS = {phase: (phase.value + 1) / 9 for phase in PhaseCode}


class MotionNode(BaseNode):
    """Candidates in; joint trajectories and gripper commands out."""

    NAME = "motion"
    PARAMETERS = (
        Param("motion_file", "", "YAML with the options of motion; empty: config/motion.yaml"),
        Param("planner", "", "Sampling-based planner of OMPL; empty: that of the file"),
        Param("controller_timeout", 5.0, "Wall-clock limit for a controller [s]", low=0.5),
        Param("slowest_factor", 20.0, "Real over simulated time at which it is given up", low=1.0),
        Param("label_timeout", 20.0, "Longest hold at the end of the lift [s]", low=0.5),
        Param("queue_timeout", 120.0, "Longest wait behind another goal [s]", low=1.0),
        Param("feedback_period", 0.2, "Between two feedbacks without news [s]", low=0.02),
    )

    def __init__(self, **options: Any):
        """Load the planner and offer the actions."""
        super().__init__(**options)
        values = self.values
        changes = {"planner": {"name": values["planner"]}} if values["planner"] else {}
        self.options = load_options(values["motion_file"] or None, **changes)
        self.planner = EmbeddedPlanner(self.robot, self.options)
        leases = Leases() if len(self.robot.arms) > 1 else None
        self.lanes = {
            arm.name: Lane(
                RosArm(self, arm),
                arm,
                self.planner,
                self.options,
                ArmSpace(leases, arm.name, self.planner) if leases else None,
            )
            for arm in self.robot.arms
        }
        self._maps: OrderedDict[str, Heightmap] = OrderedDict()
        self._planning = threading.Lock()
        self._executions = 0
        self._last_plan_ms = float("nan")
        self._labels: Any = self.create_client(Label, "label", callback_group=self.group)
        self.create_subscription(
            HeightmapMsg, "heightmap", self._take_map, qos.LATCHED, callback_group=self.group
        )
        self.serve(PutAway, "put_away", self._put_away)
        self._goals: dict[bytes, Job] = {}
        self._server = ActionServer(
            self,
            Execute,
            "execute",
            self._execute_async,
            callback_group=self.group,
            cancel_callback=self._cancel,
        )
        self._mover = MoveArmServer(self)

    def close(self) -> None:
        """Stop the arms."""
        for lane in self.lanes.values():
            for job in lane.all():
                job.cancel()
            lane.port.stop()
        super().close()

    def diagnose(self) -> tuple[str, dict[str, object]]:
        """Which arms are heard."""
        silent = [n for n, lane in self.lanes.items() if lane.port.sensors.newest is None]
        problem = f"no joint states yet of arm {', '.join(silent)}" if silent else ""
        return problem, {"executions": self._executions, "plan_ms": self._last_plan_ms}

    def arms_now(self, leave_out: str) -> dict[str, tuple[np.ndarray, float]]:
        """Where the other arms are to be taken to be: joint positions and opening.

        An arm that rests is where it is. One that works is taken to be at home, where
        it will go: what keeps it and this one apart meanwhile are their leases.
        """
        found = {}
        for name, lane in self.lanes.items():
            sample = lane.port.sensors.newest
            if name == leave_out or sample is None:
                continue
            q = np.asarray(lane.arm.home, float) if lane.load else sample.q
            found[name] = (q, sample.width)
        return found

    def _take_map(self, message: HeightmapMsg) -> None:
        try:
            self._maps[message.observation_id] = conversions.heightmap(message)
        except SelfGraspError as error:
            self.get_logger().warning(f"heightmap left out: {error}")
        while len(self._maps) > _KEPT_MAPS:
            self._maps.popitem(last=False)

    def _heightmap(self, observation_id: str) -> Heightmap | None:
        """That of the observation; the newest where it is not known."""
        if observation_id in self._maps:
            return self._maps[observation_id]
        return next(reversed(self._maps.values()), None)

    def _put_away(self, request: PutAway.Request, response: PutAway.Response) -> None:
        outcome = conversions.outcome(request.outcome)
        for lane in self.lanes.values():
            job = lane.find(request.trial_id)
            if job is not None:
                job.decide(outcome.code == OutcomeCode.SUCCESS, outcome)
                set_ok(response)
                return
        waiting = [job.trial_id for lane in self.lanes.values() for job in lane.all()]
        raise UnknownName("execution that waits", request.trial_id, waiting)

    def _cancel(self, goal: Any) -> CancelResponse:
        job = self._goals.get(bytes(goal.goal_id.uuid))
        if job is not None:
            moving = job.before is None or job.before.done.is_set()
            job.cancel()
            lane = next(lane for lane in self.lanes.values() if job in lane.all())
            if moving:
                lane.port.stop()
        return CancelResponse.ACCEPT

    async def _execute_async(self, goal: Any) -> Any:
        return await self.offload(self._execute, goal)

    def _execute(self, goal: Any) -> Execute.Result:
        result = Execute.Result()
        execution: Execution | None = None
        try:
            candidate = self._candidate(goal.request)
            execution, outcome = self._plan_and_run(goal, candidate)
            result.outcome = conversions.outcome_message(outcome)
            arm = self.robot.arm(execution.candidate.arm)
            result.execution = trial_messages.execution_message(execution, self.frame, arm.joints)
            if execution.code == OutcomeCode.CANCELLED:
                raise Cancelled(execution.error)
            if execution.code != OutcomeCode.UNKNOWN:
                raise _FAILURES.get(execution.code, ExecutionFailed)(execution.error)
        except Cancelled as error:
            set_error(result, error)
            goal.canceled() if goal.is_cancel_requested else goal.abort()
            return result
        except Exception as error:
            if not isinstance(error, SelfGraspError):
                self.get_logger().error(repr(error))
            set_error(result, error)
            if execution is None:
                code = OutcomeCode.EXECUTION_FAILED
                if isinstance(error, (PlanningFailed, InvalidCandidate)):
                    code = OutcomeCode.PLAN_FAILED
                failed = Outcome(code, reason=str(error))
                result.outcome = conversions.outcome_message(failed)
            goal.abort()
            self.get_logger().info(f"{goal.request.trial_id}: {error}")
            return result
        goal.succeed()
        return set_ok(result)

    def _candidate(self, request: Execute.Goal) -> Candidate:
        candidate = conversions.candidate(request.candidate)
        frame = request.candidate.header.frame_id
        if frame and frame != self.frame:
            raise InvalidCandidate(
                f"the candidate's pose is in frame {frame!r}; transform it to {self.frame!r}"
            )
        if request.use_place_pose:
            raise InvalidCandidate(
                "place_pose is not supported by this back end yet; the robot's bin is used"
            )
        return candidate

    def _lanes(self, candidate: Candidate) -> list[Lane]:
        """The named arm's; else all, those with the least to do first, then the nearest."""
        if candidate.arm:
            return [self.lanes[self.robot.arm(candidate.arm).name]]

        def cost(lane: Lane) -> tuple[int, float]:
            home = self.planner.fk(lane.arm.name, np.asarray(lane.arm.home, float))
            return lane.load, float(np.linalg.norm(home[:2, 3] - candidate.pose[:2, 3]))

        return sorted(self.lanes.values(), key=cost)

    def _plan_and_run(self, goal: Any, candidate: Candidate) -> tuple[Execution, Outcome]:
        """By the first arm for which it can be planned."""
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
        job = lane.enter(trial_id, request.max_wrench)
        self._goals[bytes(goal.goal_id.uuid)] = job
        try:
            q_start = lane.q_start(job, self.values["queue_timeout"])
            begun = self.steady.now().nanoseconds
            with self._planning:
                program = lane.plan(
                    candidate,
                    q_start,
                    self._heightmap(candidate.observation_id),
                    request.speed_scale or 1.0,
                    lambda: self.arms_now(lane.arm.name),
                )
            self._last_plan_ms = (self.steady.now().nanoseconds - begun) / 1e6
            reporter = _Reporter(self, goal, job, program.candidate)
            reporter.publish(PhaseCode.APPROACH)  # the first feedback says: it is planned
            if request.plan_only:
                return Execution(program.candidate, (), None, program.trajectories), Outcome(
                    OutcomeCode.UNKNOWN, reason="planned only; nothing has moved"
                )
            if job.before is not None:
                before = job.before
                job.wait(before.done, self.values["queue_timeout"], before.trial_id)
            self._executions += 1
            job.runner.act(program, reporter.events)
            return self._finish(goal, job, reporter)
        finally:
            self._goals.pop(bytes(goal.goal_id.uuid), None)
            lane.leave(job)

    def _finish(self, goal: Any, job: Job, reporter: _Reporter) -> tuple[Execution, Outcome]:
        """After the lift or stroke: hold, put away, or stay."""
        request, runner = goal.request, job.runner
        execution = runner.execution
        label: Any = None
        if execution.code != OutcomeCode.UNKNOWN:
            job.decide(False)  # nobody has to label what did not run to its end
        elif request.after_acting == Execute.Goal.WAIT:
            self._await_label(job)
        elif self._labels.service_is_ready():
            label = self.offload(self._label, execution, job.trial_id)
        if request.after_acting == Execute.Goal.STAY and execution.code == OutcomeCode.UNKNOWN:
            job.decide(None)
        else:
            if not job.decided.is_set():
                job.decide(runner.holds_something)
            try:
                execution = runner.put_away(job.held)
            except SelfGraspError as error:
                self.get_logger().warning(f"{job.trial_id}: putting away failed: {error}")
                execution = runner.execution
            reporter.events.on_view_clear()
        outcome = job.outcome
        if label is not None:
            done = threading.Event()
            label.add_done_callback(lambda _: done.set())
            outcome = label.result() if done.wait(self.values["label_timeout"]) else None
        if outcome is None:
            code = execution.code
            outcome = Outcome(code, reason=execution.error or "nobody labelled it")
        return execution, outcome

    def _await_label(self, job: Job) -> None:
        """Hold at the end of the lift until put_away says how the try ended."""
        try:
            job.wait(job.decided, self.values["label_timeout"], "put_away")
        except Cancelled:
            job.decide(False)
        except SelfGraspError as error:
            self.get_logger().warning(f"{error}; the fingers decide")
            job.decide(None)

    def _label(self, execution: Execution, trial_id: str) -> Outcome | None:
        request = Label.Request(
            trial_id=trial_id,
            candidate=conversions.candidate_message(execution.candidate, self.frame),
            phases=[trial_messages.phase_message(p) for p in execution.phases],
        )
        try:
            answer = check(call(self._labels, request, self.values["controller_timeout"]))
        except SelfGraspError as error:
            return Outcome(OutcomeCode.UNKNOWN, reason=str(error))
        return conversions.outcome(answer.outcome)


_FAILURES: dict[OutcomeCode, type[SelfGraspError]] = {
    OutcomeCode.PLAN_FAILED: PlanningFailed,
    OutcomeCode.EXECUTION_FAILED: ExecutionFailed,
}


class _Reporter:
    """Feedback of one goal."""

    def __init__(self, node: MotionNode, goal: Any, job: Job, candidate: Candidate):
        self._node, self._goal, self._job, self._candidate = node, goal, job, candidate
        self._acted = self._view_clear = False
        self._phase = PhaseCode.APPROACH
        self.events = RunnerEvents(self.publish, self._on_acted, self._on_view_clear)

    def publish(self, phase: PhaseCode) -> None:
        """Say which phase runs now."""
        self._phase = phase
        now = self._node.now()
        message = Execute.Feedback(
            phase=trial_messages.phase_message(Phase(phase, now, now)),
            progress=1.0 if self._view_clear else _PROGRESS[phase],
            acted=self._acted,
            view_clear=self._view_clear,
            candidate=conversions.candidate_message(self._candidate, self._node.frame),
        )
        try:
            done = self._job.runner.execution.phases
        except ExecutionFailed:
            done = ()
        message.phases = [trial_messages.phase_message(p) for p in done]
        if self._goal.is_active:
            self._goal.publish_feedback(message)

    def _on_acted(self) -> None:
        if self._job.runner.execution.code == OutcomeCode.UNKNOWN:
            self._acted = True
            self.publish(self._phase)

    def _on_view_clear(self) -> None:
        if not self._view_clear:
            self._view_clear = True
            self.publish(self._phase)
