"""What the execute action tells while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from selfgrasp.action import Execute

from selfgrasp_nodes.errors import ExecutionFailed
from selfgrasp_nodes.motion.runner import RunnerEvents
from selfgrasp_nodes.nodes import conversions, trial_messages
from selfgrasp_nodes.nodes.motion_jobs import Job
from selfgrasp_nodes.types import Candidate, OutcomeCode, Phase, PhaseCode

if TYPE_CHECKING:
    from selfgrasp_nodes.nodes.motion_node import MotionNode

_PROGRESS = {phase: (phase.value + 1) / 9 for phase in PhaseCode}


class Reporter:
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
