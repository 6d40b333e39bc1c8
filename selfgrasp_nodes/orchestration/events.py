"""What a run of trials tells about itself: states on its way, and who it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from selfgrasp_nodes.types import Candidate, Observation, Outcome


class State(str, Enum):
    """Where the sequence is; passed to ``on_event`` for feedback."""

    OBSERVE = "observe"
    LOOK = "look"
    PROPOSE = "propose"
    EXECUTE = "execute"
    LABEL = "label"
    STORE = "store"
    DONE = "done"


@dataclass(frozen=True)
class RunIdentity:
    """What every record of a run carries."""

    run_id: str
    robot: str
    config_digest: str
    seed: int
    episode_id: str = "0"
    scene_id: str = ""
    first_index: int = 0


@dataclass(frozen=True)
class Event:
    """Feedback: the state that was entered, and what is known by then."""

    state: State
    index: int
    candidate: Candidate | None = None
    outcome: Outcome | None = None
    candidates: Sequence[Candidate] = ()
    observation: Observation | None = None
