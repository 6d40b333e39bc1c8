"""A goal that the picker works on, and what it tells meanwhile."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from selfgrasp.action import ClearTable, Pick

from selfgrasp_nodes.nodes import conversions
from selfgrasp_nodes.orchestration.sequence import Event
from selfgrasp_nodes.types import Outcome, OutcomeCode, Primitive, Trial


@dataclass
class Run:
    """A goal that is being worked on."""

    goal: Any
    cancel: threading.Event = field(default_factory=threading.Event)
    trials: list[Trial] = field(default_factory=list)
    last: Outcome = field(default_factory=lambda: Outcome(OutcomeCode.UNKNOWN))
    event: Event | None = None
    phase: Any = None


def feedback_message(run: Run, frame: str) -> Any:
    """What a ``pick`` or ``clear_table`` goal tells now; None for other goals."""
    goal, event = run.goal, run.event
    if isinstance(goal.request, ClearTable.Goal):
        message = ClearTable.Feedback(
            cleared=sum(
                t.outcome.success and t.candidate.primitive == Primitive.GRASP for t in run.trials
            ),
            actions=len(run.trials),
            last=conversions.outcome_message(run.last),
        )
        if run.trials:
            message.trial_id = run.trials[-1].trial_id
    elif isinstance(goal.request, Pick.Goal):
        message = Pick.Feedback(attempt=len(run.trials) + 1)
    else:
        return None
    if run.phase is not None:
        message.phase = run.phase
    if event is not None and event.candidate is not None:
        message.candidate = conversions.candidate_message(event.candidate, frame)
    return message
