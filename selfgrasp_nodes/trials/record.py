"""One line of a run's index: what a finished trial was, in plain values.

The record of a trial is written twice: into the trial's own MCAP file (topic
:data:`RECORD_TOPIC`, JSON in a ``std_msgs/msg/String``), so that each file
explains itself, and as a line of the index.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.types import Candidate, Outcome, OutcomeCode, Primitive, Trial

RECORD_TOPIC = "/selfgrasp/trial_record"
RECORD_TYPE = "std_msgs/msg/String"
SCHEMA = 1


def _plain(value: Any) -> Any:
    """JSON-safe form: NaN and infinity become null, arrays lists."""
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return str(value)


def candidate_summary(candidate: Candidate) -> dict[str, Any]:
    """A candidate as plain values; the pose as position and quaternion (w, x, y, z)."""
    values = {
        f.name: getattr(candidate, f.name)
        for f in dataclasses.fields(candidate)
        if f.name != "pose"
    }
    values["primitive"] = Primitive(candidate.primitive).name
    pose = np.asarray(candidate.pose, dtype=float)
    values["position"] = pose[:3, 3]
    values["quaternion"] = geometry.quaternion(pose)
    return _plain(values)


def outcome_summary(outcome: Outcome) -> dict[str, Any]:
    """An outcome as plain values; the code by its name."""
    values = {f.name: getattr(outcome, f.name) for f in dataclasses.fields(outcome)}
    values["code"] = OutcomeCode(outcome.code).name
    return _plain(values)


@dataclass(frozen=True)
class TrialRecord:
    """A finished trial.

    Attributes:
        trial_id: Unique within a run.
        run_id: Of the run.
        episode_id: Of the episode.
        index: Number of the try in its run.
        seed: That the policy drew from.
        robot: Name of the robot.
        config_digest: Of the configuration.
        scene_id: Of the scene, empty on a real robot.
        candidate: :func:`candidate_summary`.
        outcome: :func:`outcome_summary`.
        phases: (name, start, end) in [ns].
        observation_before: Id of the observation that was decided on.
        observation_after: Id of the one after, or empty.
        start: Of the try [ns, graph clock]; 0 where unknown.
        end: Of the try [ns, graph clock]; 0 where unknown.
        bag: File, relative to the run's folder; filled in by the writer.
        messages: In that file; filled in by the writer.
        bytes: Of that file; filled in by the writer.
        finished: Wall time (ISO 8601, UTC) when it was synced.
        schema: Version of this record.
        notes: Free values.
    """

    trial_id: str
    run_id: str = ""
    episode_id: str = ""
    index: int = 0
    seed: int = 0
    robot: str = ""
    config_digest: str = ""
    scene_id: str = ""
    candidate: dict[str, Any] = field(default_factory=dict)
    outcome: dict[str, Any] = field(default_factory=dict)
    phases: tuple[tuple[str, int, int], ...] = ()
    observation_before: str = ""
    observation_after: str = ""
    start: int = 0
    end: int = 0
    bag: str = ""
    messages: int = 0
    bytes: int = 0
    finished: str = ""
    schema: int = SCHEMA
    notes: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_trial(cls, trial: Trial) -> TrialRecord:
        """The record of a trial as the trial sequence hands it over."""
        phases = tuple((p.code.name, int(p.start), int(p.end)) for p in trial.execution.phases)
        return cls(
            trial_id=trial.trial_id,
            run_id=trial.run_id,
            episode_id=trial.episode_id,
            index=int(trial.index),
            seed=int(trial.seed),
            robot=trial.robot,
            config_digest=trial.config_digest,
            scene_id=trial.scene_id,
            candidate=candidate_summary(trial.candidate),
            outcome=outcome_summary(trial.outcome),
            phases=phases,
            observation_before=trial.observation_before,
            observation_after=trial.observation_after,
            start=min((p[1] for p in phases), default=0),
            end=max((p[2] for p in phases), default=0),
            notes=_plain(trial.notes),
        )

    @property
    def code(self) -> str:
        """Name of the outcome's code."""
        return str(self.outcome.get("code", OutcomeCode.UNKNOWN.name))

    def to_json(self) -> str:
        """One line of JSON, without its line end."""
        return json.dumps(_plain(dataclasses.asdict(self)), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> TrialRecord:
        """The inverse of :meth:`to_json`; keys of later versions go to ``notes``.

        Raises:
            StorageError: If it is not a record.
        """
        try:
            values = json.loads(text)
            known = {f.name for f in dataclasses.fields(cls)}
            extra = {k: v for k, v in values.items() if k not in known}
            values = {k: v for k, v in values.items() if k in known}
            values["phases"] = tuple((str(n), int(a), int(b)) for n, a, b in values["phases"])
            values["notes"] = {**values.get("notes", {}), **extra}
            return cls(**values)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StorageError(f"not a trial record: {error!r}") from error
