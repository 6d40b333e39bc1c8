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
from pathlib import Path
from typing import Annotated, Any, Protocol

import yaml
from pydantic import Field

from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.learning.collect import Progress, collect
from selfgrasp_nodes.learning.collect_config import CollectConfig
from selfgrasp_nodes.learning.outlook import Outlook, Work
from selfgrasp_nodes.learning.patch_config import PatchTraining, checked, load_training
from selfgrasp_nodes.learning.patch_job import PatchJob, run_job
from selfgrasp_nodes.learning.patch_train import Step
from selfgrasp_nodes.policies.checkpoints import Card, read_card
from selfgrasp_nodes.policies.patch.judge import POLICY
from selfgrasp_nodes.robots import Spec
from selfgrasp_nodes.trials.files import RunLock
from selfgrasp_nodes.trials.store import TrialStore


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


class Reporter(Protocol):
    """Where a curriculum says what it does."""

    def title(self, text: str) -> None:
        """What the next numbers belong to."""

    def line(self, text: str) -> None:
        """A sentence."""

    def step(self, now: Step) -> None:
        """A training's progress."""

    def decoded(self, done: int, total: int) -> None:
        """The decoding of crops."""

    def collected(self, progress: Progress) -> None:
        """A collection's progress."""

    def whole(self, share: float, left: float) -> None:
        """The whole curriculum's: share that is done, and seconds left."""


def load_curriculum(path: Path, **overrides: Any) -> Curriculum:
    """Read a curriculum's file.

    Raises:
        InvalidConfig: If it cannot be read, or a value is unknown or out of range.
    """
    try:
        content = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise InvalidConfig(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise InvalidConfig(f"{path} must be a mapping of a curriculum's parameters")
    merged = {**content, **overrides, "folder": str(path.parent)}
    curriculum: Curriculum = checked(Curriculum, merged, path)
    curriculum.settings()
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
    out.mkdir(parents=True, exist_ok=True)
    with RunLock(out, "trained in"):
        return _run(curriculum, out, reporter)


def _run(curriculum: Curriculum, out: Path, reporter: Reporter) -> list[Card]:
    config = curriculum.settings()
    steps = _Steps(curriculum, reporter)
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


class _Steps:
    """Hands a step's progress on, and the whole's with it."""

    def __init__(self, curriculum: Curriculum, reporter: Reporter):
        self.reporter = reporter
        self._whole, self._title = outlook(curriculum), ""
        self._members = curriculum.settings().members

    def title(self, text: str) -> None:
        self._title = text
        self.reporter.title(text)

    def step(self, now: Step) -> None:
        self.reporter.step(now)
        share = (now.epoch + now.done) / now.epochs
        self._reached("train", (now.member + share) / self._members)

    def decoded(self, done: int, total: int) -> None:
        self.reporter.decoded(done, total)
        self._reached("read", done / max(total, 1))

    def collected(self, progress: Progress) -> None:
        self.reporter.collected(progress)
        self._reached("collect", progress.labelled / progress.wanted)

    def ended(self, what: str, title: str = "") -> None:
        """A step has ended; of the current title where none is given."""
        self._whole.finished(f"{title or self._title}: {what}")
        self.reporter.whole(self._whole.share, self._whole.left)

    def _reached(self, what: str, share: float) -> None:
        self._whole.reached(f"{self._title}: {what}", share)
        self.reporter.whole(self._whole.share, self._whole.left)


def _collect(
    curriculum: Curriculum,
    stage: Stage,
    number: int,
    store: Path,
    checkpoint: Path | None,
    steps: _Steps,
    title: str,
) -> None:
    parameters = dict(stage.parameters)
    policy = "random-roi"
    if checkpoint is not None:
        policy = POLICY
        card = read_card(checkpoint.with_suffix(".yaml"))
        # The digest makes the run's identity depend on the network that chooses.
        parameters |= {
            "checkpoint": str(checkpoint),
            "digest": card.sha256,
            "select": "sample",
        }
    config = CollectConfig(
        robot=curriculum.robot,
        policy=policy,
        objects=stage.objects,
        seed=stage.seed,
        stage=number,
        parameters=parameters,
        sets=Path(curriculum.folder) / curriculum.sets if curriculum.sets else None,
    )
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


def _train(job: PatchJob, number: int, steps: _Steps) -> Card:
    """Train a stage, unless its checkpoint is there."""
    note = job.out / "done.json"
    card_file = job.out / f"{job.name}.yaml"
    identity = {
        "configuration": job.config.model_dump(mode="json", exclude={"threads"}),
        "start": read_card(job.start.with_suffix(".yaml")).sha256 if job.start else "",
        "tries": _tries(job),
    }
    if note.is_file() and card_file.is_file() and json.loads(note.read_text()) == identity:
        card = read_card(card_file)
    else:
        steps.title(f"stage {number}")
        card = run_job(job, steps.step, steps.decoded)
        note.write_text(json.dumps(identity))
    for what in ("read", "train"):
        steps.ended(what, f"stage {number}")
    held = card.metrics["held_out"]["balanced_accuracy"]["value"]
    steps.reporter.line(f"stage {number}: balanced accuracy {held:.3f} on held-out episodes")
    return card
