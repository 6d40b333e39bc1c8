"""What came of it: outcomes and finished tries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from selfgrasp_nodes.types.codes import OutcomeCode
from selfgrasp_nodes.types.executions import Candidate, Execution
from selfgrasp_nodes.types.observations import Observation


@dataclass(frozen=True)
class Outcome:
    """A labelled try, from sensors alone.

    Attributes:
        code: How it ended.
        confidence: In 0..1.
        reason: One sentence.
        rule_version: Of the rule that made the label.
        width_closed: Opening when the fingers had closed [m].
        width_lifted: Opening at the end of the lift [m].
        force_peak: Largest gripper force [N].
        force_held: Mean gripper force at the end of the lift [N].
        payload: Weight seen by the wrist between before and after [N].
        changed_area: Area of the workspace that changed [m^2]; NaN unless
            observations were compared.
        force_measured: Whether the gripper measured force.
        stalled: Whether the fingers stopped before they were closed.
    """

    code: OutcomeCode
    confidence: float = 1.0
    reason: str = ""
    rule_version: str = ""
    width_closed: float = float("nan")
    width_lifted: float = float("nan")
    force_peak: float = float("nan")
    force_held: float = float("nan")
    payload: float = float("nan")
    changed_area: float = float("nan")
    force_measured: bool = False
    stalled: bool = False

    @property
    def success(self) -> bool:
        """Whether the try did what it was for."""
        return self.code in (OutcomeCode.SUCCESS, OutcomeCode.CHANGED)


@dataclass(frozen=True)
class Trial:
    """One finished try with everything that led to it.

    ``before`` and ``after`` may be None when the observations live elsewhere
    (the ROS recorder keeps them in the bag, by id).
    """

    trial_id: str
    run_id: str
    episode_id: str
    index: int
    seed: int
    robot: str
    config_digest: str
    scene_id: str
    candidate: Candidate
    outcome: Outcome
    execution: Execution
    observation_before: str
    observation_after: str
    bag_uri: str = ""
    schema: int = 1
    before: Observation | None = None
    after: Observation | None = None
    notes: dict[str, Any] = field(default_factory=dict)
