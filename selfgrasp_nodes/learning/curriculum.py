"""Staged learning (Pinto and Gupta 2016, section III-D) from nothing to a checkpoint.

Stage 0 is collected at random and trained from scratch. Stage k is collected with
the network of stage k - 1, by importance sampling over 800 patches and 18 angles,
on old and new objects; its network is fine-tuned from that one on all data so far,
the tries of the stages counting three times.

Every step leaves files: the store grows by episodes, a training by epochs, and a
finished training is its checkpoint. Run again, the curriculum goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from selfgrasp_nodes.learning.collect import collect
from selfgrasp_nodes.learning.collect_config import CollectConfig
from selfgrasp_nodes.learning.curriculum_check import check_curriculum, check_start
from selfgrasp_nodes.learning.curriculum_steps import Reporter, Steps
from selfgrasp_nodes.learning.disk import make_folder, written
from selfgrasp_nodes.learning.outlook import Outlook, Work
from selfgrasp_nodes.learning.patch_config import (
    PatchTraining,
    checked,
    load_training,
    read_mapping,
)
from selfgrasp_nodes.learning.patch_job import PatchJob, run_job
from selfgrasp_nodes.policies.checkpoints import Card, read_card, write_whole
from selfgrasp_nodes.policies.patch.judge import POLICY
from selfgrasp_nodes.robots import Spec
from selfgrasp_nodes.trials.files import RunLock
from selfgrasp_nodes.trials.store import TrialStore

RANDOM = "random-roi"
"""Policy of stage 0 and of the test set."""

NOTE = "done.json"
"""In a stage's folder, when it is finished: what it was made of."""


class Stage(Spec):
    """One stage.

    Attributes:
        tries: Labelled tries to collect.
        objects: Object set, or several joined by ``+``.
        seed: Of the collection.
        parameters: Of the policy that collects.
    """

    tries: Annotated[int, Field(ge=1)]
    objects: str
    seed: Annotated[int, Field(ge=0, le=2**31)] = 1
    parameters: dict[str, Any] = {}


class Curriculum(Spec):
    """The content of a curriculum's file.

    Attributes:
        robot: Name or file of the robot.
        training: Training's file, relative to the curriculum's.
        overrides: Win over the training's file.
        stages: The first is collected with ``random-roi``.
        test: Random tries on novel objects, which nothing is trained on; none
            where absent.
        workers: Worlds at once.
        sets: File with the object sets; the gripper's where empty.
    """

    robot: str
    training: str = "patch.yaml"
    overrides: dict[str, Any] = {}
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    test: Stage | None = None
    workers: Annotated[int, Field(ge=1, le=1024)] = 2
    sets: str = ""
    folder: str = "."

    def settings(self) -> PatchTraining:
        """The training's description."""
        return load_training(Path(self.folder) / self.training, **self.overrides)

    def collection(
        self, stage: Stage, number: int, checkpoint: Mapping[str, str] | None = None
    ) -> CollectConfig:
        """What is collected for a stage, or for the test set.

        Args:
            stage: One of the curriculum's, or its test.
            number: 0 for random tries, k for stage k.
            checkpoint: Path and digest of the network that chooses.
        """
        parameters = dict(stage.parameters)
        if number:
            parameters |= {**(checkpoint or {}), "select": "sample"}
        return CollectConfig(
            robot=self.robot,
            policy=POLICY if number else RANDOM,
            objects=stage.objects,
            seed=stage.seed,
            stage=number,
            parameters=parameters,
            sets=Path(self.folder) / self.sets if self.sets else None,
        )


def load_curriculum(path: Path, **overrides: Any) -> Curriculum:
    """Read a curriculum's file, and check all that it names: what is wrong is said at once.

    Raises:
        InvalidConfig: If it cannot be read, a value is unknown or out of range, or
            stages and test share objects; see ``curriculum_check``.
    """
    content = read_mapping(path, "a curriculum's parameters")
    merged = {**content, **overrides, "folder": str(path.parent)}
    curriculum: Curriculum = checked(Curriculum, merged, path)
    check_curriculum(curriculum, path)
    return curriculum


def run_curriculum(curriculum: Curriculum, out: Path, reporter: Reporter) -> list[Card]:
    """Run it, or go on with it.

    Files: ``out/train.store``, ``out/test.store``, ``out/stage0/patch.safetensors``
    and so on.

    Returns:
        The cards of all stages.

    Raises:
        SelfGraspError: Of whatever step fails; what was done before stays.
    """
    make_folder(out)
    with RunLock(out, "trained in"):
        return _run(curriculum, out, reporter)


def _run(curriculum: Curriculum, out: Path, reporter: Reporter) -> list[Card]:
    config = curriculum.settings()
    if not (out / "stage0" / NOTE).is_file():
        check_start(config)
    steps = Steps(outlook(curriculum), config.members, reporter)
    if curriculum.test is not None:
        _collect(curriculum, curriculum.test, 0, out / "test.store", None, steps, "test set")
    cards: list[Card] = []
    before: Path | None = None
    for number, stage in enumerate(curriculum.stages):
        store = out / "train.store"
        _collect(curriculum, stage, number, store, before, steps, f"stage {number}")
        folder = out / f"stage{number}"
        job = PatchJob(
            store,
            folder,
            config,
            stages=tuple(range(number + 1)),
            start=before,
            cache=out / "cache",
            robot=curriculum.robot,
        )
        cards.append(_train(job, number, steps))
        before = folder / f"{job.name}.safetensors"
    return cards


def outlook(curriculum: Curriculum) -> Outlook:
    """All the work of a curriculum, none of it done."""
    config = curriculum.settings()
    works = []
    if curriculum.test is not None:
        works.append(Work("test set: collect", "random", curriculum.test.tries))
    shown = 0
    for number, stage in enumerate(curriculum.stages):
        kind = "staged" if number else "random"
        works.append(Work(f"stage {number}: collect", kind, stage.tries))
        works.append(Work(f"stage {number}: read", "read", stage.tries))
        shown += stage.tries * (config.new_weight if number else 1)
        epochs = (config.stage if number else config.base).epochs
        amount = shown * (1 - config.validation) * epochs * config.members
        works.append(Work(f"stage {number}: train", "shown", amount))
    return Outlook(works)


def _collect(
    curriculum: Curriculum,
    stage: Stage,
    number: int,
    store: Path,
    checkpoint: Path | None,
    steps: Steps,
    title: str,
) -> None:
    chooser = None
    if checkpoint is not None:
        card = read_card(checkpoint.with_suffix(".yaml"))
        # The digest makes the run's identity depend on the network that chooses.
        chooser = {"checkpoint": str(checkpoint), "digest": card.sha256}
    config = curriculum.collection(stage, number, chooser)
    steps.title(title)
    done = collect(config, store, stage.tries, curriculum.workers, on_progress=steps.collected)
    steps.ended("collect")
    share = 100 * done.positives / max(done.labelled, 1)
    steps.reporter.line(
        f"{title}: {done.labelled} tries, {done.positives} positive ({share:.1f} %)"
    )


def _tries(job: PatchJob) -> dict[str, int]:
    """Labelled tries by stage: a run that was made longer is other data."""
    with TrialStore.open(job.store) as store:
        stages = store.columns(("stage",), "success IS NOT NULL")["stage"]
    return {str(stage): int((stages == stage).sum()) for stage in job.stages or ()}


def stage_identity(job: PatchJob) -> dict[str, Any]:
    """What a finished stage was made of, for its note."""
    return {
        "configuration": job.config.model_dump(mode="json", exclude={"threads"}),
        "start": read_card(job.start.with_suffix(".yaml")).sha256 if job.start else "",
        "tries": _tries(job),
    }


def _train(job: PatchJob, number: int, steps: Steps) -> Card:
    """Train a stage, unless its checkpoint is there."""
    note = job.out / NOTE
    card_file = job.out / f"{job.name}.yaml"
    identity = stage_identity(job)
    if card_file.is_file() and _noted(note) == identity:
        card = read_card(card_file)
    else:
        steps.title(f"stage {number}")
        card = run_job(job, steps.step, steps.decoded)
        with written("the note of a finished stage", note):
            write_whole(note, json.dumps(identity).encode())
    for what in ("read", "train"):
        steps.ended(what, f"stage {number}")
    held = card.metrics["held_out"]["balanced_accuracy"]["value"]
    steps.reporter.line(f"stage {number}: balanced accuracy {held:.3f} on held-out episodes")
    return card


def _noted(note: Path) -> Any:
    """What a finished stage was made of; None where it has not been noted, or not whole."""
    try:
        return json.loads(note.read_text())
    except (OSError, ValueError):
        return None
