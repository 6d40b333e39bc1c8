"""The codes of records; their values are those of the messages."""

from __future__ import annotations

from enum import IntEnum


class Primitive(IntEnum):
    """What a candidate does. The values are those of ``Candidate.msg``."""

    GRASP = 0
    PUSH = 1


class OutcomeCode(IntEnum):
    """How a try ended. The values are those of ``Outcome.msg``."""

    UNKNOWN = 0
    SUCCESS = 1
    MISSED = 2
    SLIPPED = 3
    BLOCKED = 4
    PLAN_FAILED = 5
    EXECUTION_FAILED = 6
    CANCELLED = 7
    CHANGED = 8
    NO_CHANGE = 9


class PhaseCode(IntEnum):
    """The phases of a try. The values are those of ``Phase.msg``."""

    LOOK = 0
    APPROACH = 1
    DESCEND = 2
    ACT = 3
    LIFT = 4
    CARRY = 5
    RELEASE = 6
    HOME = 7
