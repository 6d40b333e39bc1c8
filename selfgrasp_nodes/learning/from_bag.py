"""A robot's recorded run as a training store: the same tries, crops and labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import EmptyObservation, InvalidImage, StorageError, UnknownName
from selfgrasp_nodes.learning.collect_config import RANDOM_POLICIES, patch_geometry
from selfgrasp_nodes.learning.collect_episode import label_of
from selfgrasp_nodes.perception.patches import candidate_crop
from selfgrasp_nodes.robots import RobotSpec, load_robot
from selfgrasp_nodes.trials.reader import RunReader, TrialReader
from selfgrasp_nodes.trials.store import TrialStore
from selfgrasp_nodes.trials.store_record import StoredTry
from selfgrasp_nodes.types import Candidate, Outcome, OutcomeCode, Primitive

_KEPT = ("code", "reason", "rule_version")


@dataclass
class Conversion:
    """What became of a run's trials.

    Attributes:
        stored: Tries that were added.
        known: Grasps that were in the store before.
        pushes: Trials that are no grasps.
        unreadable: Reasons of grasps without a crop.
    """

    stored: int = 0
    known: int = 0
    pushes: int = 0
    unreadable: tuple[str, ...] = ()


def bag_to_store(
    run: Path,
    path: Path,
    stage: int | None = None,
    on_trial: Callable[[int, int], None] | None = None,
) -> Conversion:
    """Add a recorded run's grasps to a store, which is made where it is missing.

    Args:
        run: The run's folder.
        path: The store.
        stage: Of its tries; where None, 0 of those that a random policy drew, and 1 of
            others.
        on_trial: Called after each trial with the number done and of all.

    Raises:
        StorageError: If the run is damaged, or the store holds another geometry.
        UnknownName: If the run's robot is not known here.
    """
    reader = RunReader(run)
    names = {record.robot for record in reader.records} or {str(reader.session.get("robot", ""))}
    if len(names) != 1:
        raise StorageError(f"{run} holds trials of several robots ({sorted(names)}): split it")
    robot = load_robot(names.pop())
    sizes = patch_geometry(robot)
    store = TrialStore.open(path, write=True) if path.exists() else TrialStore.create(path, sizes)
    episodes: dict[str, int] = {}
    done, unreadable = Conversion(), []
    with store:
        if store.geometry != sizes:
            raise StorageError(
                f"{path} holds patches of another geometry than {robot.name}'s: use another file"
            )
        run_id = str(reader.session["run_id"])
        store.set_run(
            run_id, {"robot": robot.name, "config": reader.session.get("config_digest", "")}
        )
        for number, trial in enumerate(reader.trials(), 1):
            if trial.record.candidate.get("primitive") != Primitive.GRASP.name:
                done.pushes += 1
            else:
                name = trial.record.episode_id
                episode = episodes.setdefault(name, len(episodes))
                try:
                    stored = _stored(trial, robot, run_id, episode, stage)
                    added = store.append([stored], known="keep")
                    done.stored += added
                    done.known += 1 - added
                except (UnknownName, EmptyObservation, InvalidImage) as error:
                    unreadable.append(f"{trial.record.trial_id}: {error}")
            if on_trial is not None:
                on_trial(number, len(reader))
    done.unreadable = tuple(unreadable)
    return done


def _stored(
    trial: TrialReader, robot: RobotSpec, run: str, episode: int, stage: int | None
) -> StoredTry:
    record = trial.record
    candidate, outcome = _candidate(record.candidate), record.outcome
    arm = robot.arm(candidate.arm)
    if stage is None:
        stage = int(candidate.policy not in RANDOM_POLICIES)
    crop = candidate_crop(trial.observation("before"), candidate, patch_geometry(robot))
    code = OutcomeCode[record.code]
    return StoredTry(
        run=run,
        episode=episode,
        try_=record.index,
        robot=robot.name,
        arm=arm.name,
        gripper=arm.gripper.name,
        view=crop.view,
        policy=candidate.policy,
        checkpoint=candidate.checkpoint_digest,
        stage=stage,
        propensity=candidate.propensity,
        pose=candidate.pose,
        angle=candidate.angle,
        width=candidate.width,
        score=candidate.score,
        surface=crop.center[2],
        color=crop.color,
        height=crop.height,
        success=label_of(Outcome(code)),
        code=code.name,
        reason=str(outcome.get("reason", "")),
        rule=str(outcome.get("rule_version", "")),
        sensors={k: v for k, v in outcome.items() if k not in _KEPT},
        scene=record.scene_id,
        scene_seed=record.seed,
    )


def _candidate(values: dict[str, Any]) -> Candidate:
    """A candidate of its summary; see ``trials.record.candidate_summary``."""

    def number(name: str) -> float:
        value = values.get(name)
        return float("nan") if value is None else float(value)

    pose = geometry.from_quaternion(values["position"], values["quaternion"])
    angle = number("angle")
    return Candidate(
        Primitive.GRASP,
        pose,
        angle if np.isfinite(angle) else geometry.grasp_angle(pose),
        width=number("width"),
        score=number("score"),
        propensity=number("propensity"),
        view=str(values.get("view", "")),
        policy=str(values.get("policy", "")),
        checkpoint_digest=str(values.get("checkpoint_digest", "")),
        arm=str(values.get("arm", "")),
    )
