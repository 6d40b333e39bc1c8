"""Messages <-> the package's own types: what is seen and what is proposed.

Each pair of functions is inverse: ``x_message`` makes a message, ``x`` reads it.
"""

from __future__ import annotations

import math

from selfgrasp.msg import Candidate as CandidateMsg
from selfgrasp.msg import Outcome as OutcomeMsg

from selfgrasp_nodes.errors import InvalidCandidate
from selfgrasp_nodes.nodes.geometry_messages import (
    duration_message,
    header,
    pose,
    pose_message,
    pose_stamped,
    seconds,
    stamp,
    time_message,
    transform,
    transform_message,
)
from selfgrasp_nodes.nodes.observation_messages import (
    heightmap,
    heightmap_message,
    observation,
    observation_message,
    region,
    regions,
    regions_message,
    view,
    view_message,
)
from selfgrasp_nodes.types import Candidate, Outcome, OutcomeCode, Primitive

__all__ = [
    "candidate",
    "candidate_message",
    "duration_message",
    "header",
    "heightmap",
    "heightmap_message",
    "observation",
    "observation_message",
    "outcome",
    "outcome_message",
    "pose",
    "pose_message",
    "pose_stamped",
    "region",
    "regions",
    "regions_message",
    "seconds",
    "stamp",
    "time_message",
    "transform",
    "transform_message",
    "view",
    "view_message",
]


def candidate_message(candidate: Candidate, frame: str, at: int = 0) -> CandidateMsg:
    """A candidate as a message, its pose in the fixed ``frame``."""
    message = CandidateMsg(
        header=header(frame, at),
        primitive=int(candidate.primitive),
        pose=pose_message(candidate.pose),
        u=int(candidate.pixel[0]),
        v=int(candidate.pixel[1]),
        rotation_index=int(candidate.rotation_index),
    )
    for name in _CANDIDATE_NUMBERS:
        setattr(message, name, float(getattr(candidate, name)))
    for name in _CANDIDATE_TEXTS:
        setattr(message, name, str(getattr(candidate, name)))
    if candidate.primitive == Primitive.PUSH:
        message.push_direction.x = math.cos(candidate.angle)
        message.push_direction.y = math.sin(candidate.angle)
    return message


_CANDIDATE_NUMBERS = (
    *("angle", "width", "max_force", "push_length", "score", "probability", "propensity"),
)
_CANDIDATE_TEXTS = ("view", "policy", "checkpoint_digest", "arm", "id", "observation_id")


def candidate(message: CandidateMsg) -> Candidate:
    """A candidate from a message.

    Raises:
        InvalidCandidate: If a number of its pose is not finite, or the
            primitive is unknown.
    """
    try:
        primitive = Primitive(message.primitive)
    except ValueError:
        valid = ", ".join(f"{p.value} ({p.name})" for p in Primitive)
        raise InvalidCandidate(f"unknown primitive {message.primitive}; valid: {valid}") from None
    if not math.isfinite(message.angle):
        raise InvalidCandidate(f"the candidate's angle is not finite: {message.angle}")
    return Candidate(
        primitive=primitive,
        pose=pose(message.pose),
        pixel=(message.u, message.v),
        rotation_index=message.rotation_index,
        **{name: getattr(message, name) for name in _CANDIDATE_NUMBERS + _CANDIDATE_TEXTS},
    )


_OUTCOME_NUMBERS = (
    *("confidence", "width_closed", "width_lifted", "force_peak", "force_held", "payload"),
    "changed_area",
)


def outcome_message(outcome: Outcome) -> OutcomeMsg:
    """An outcome as a message."""
    return OutcomeMsg(
        code=int(outcome.code),
        reason=outcome.reason,
        rule_version=outcome.rule_version,
        force_measured=bool(outcome.force_measured),
        stalled=bool(outcome.stalled),
        **{name: float(getattr(outcome, name)) for name in _OUTCOME_NUMBERS},
    )


def outcome(message: OutcomeMsg) -> Outcome:
    """An outcome from a message."""
    return Outcome(
        code=OutcomeCode(message.code),
        reason=message.reason,
        rule_version=message.rule_version,
        force_measured=message.force_measured,
        stalled=message.stalled,
        **{name: getattr(message, name) for name in _OUTCOME_NUMBERS},
    )
