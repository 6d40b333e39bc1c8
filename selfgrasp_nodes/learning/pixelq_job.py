"""Worlds that try, one learner that learns from them, a checkpoint that grows better.

Files in the folder: ``tries.sqlite`` (every try, as it came), ``state.safetensors``
(the learner between two steps), ``pixelq.safetensors`` with its card, pictures. A
training that is killed goes on with the tries that are there; what was learnt
after the last state is learnt again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.learning import pixelq_curves
from selfgrasp_nodes.learning.disk import make_folder
from selfgrasp_nodes.learning.event_curves import EventCurves
from selfgrasp_nodes.learning.pixelq_config import PixelqTraining
from selfgrasp_nodes.learning.pixelq_learner import Learner
from selfgrasp_nodes.learning.pixelq_pictures import draw_values
from selfgrasp_nodes.learning.pixelq_pretrain import pretrain
from selfgrasp_nodes.learning.pixelq_state import load_learner, save_learner
from selfgrasp_nodes.learning.pixelq_store import PixelStore, PixelTry, decode_state
from selfgrasp_nodes.learning.pixelq_worker import SCENES, Chunk, initialise, run_chunk
from selfgrasp_nodes.learning.workers import WorkerDied, run_jobs
from selfgrasp_nodes.policies.checkpoints import Card, GripperCard, save_checkpoint, versions
from selfgrasp_nodes.policies.pixelq.values import POLICY, input_card
from selfgrasp_nodes.robots import config_digest, load_robot
from selfgrasp_nodes.trials.files import RunLock
from selfgrasp_nodes.types import Primitive

COLUMNS = ("episode", "index", "primitive", "success", "changed", "held", "value")
ATTEMPTS = 3
"""How often a chunk is begun whose worker dies, before it is left out."""

DEATHS = 10
"""Chunks left out on end after which the training is given up."""


@dataclass
class Standing:
    """Where a training stands.

    Attributes:
        tries: Made.
        wanted: In all.
        grasps: Of the last 200 grasps, or fewer.
        successes: Of those.
        pushes: In all.
        loss: Mean of the last steps.
        steps: Of learning, done.
        rate: Tries a second of this call.
        left_out: Chunks whose worker died each time.
        resumed: Tries that were there at the start.
    """

    wanted: int
    tries: int = 0
    grasps: int = 0
    successes: int = 0
    pushes: int = 0
    loss: float = float("nan")
    steps: int = 0
    rate: float = 0.0
    left_out: int = 0
    resumed: int = 0

    def numbers(self) -> dict[str, float]:
        """For curves."""
        return {
            "grasp_success": self.successes / max(self.grasps, 1),
            "pushes": self.pushes,
            "loss": self.loss,
        }


def run_pixelq(
    config: PixelqTraining,
    out: Path,
    on_progress: Callable[[Standing], None] | None = None,
) -> Card:
    """Train, or go on with it.

    Args:
        config: How.
        out: Folder; see the module.
        on_progress: Called after each chunk of tries, and while stored ones are read.

    Returns:
        The checkpoint's card.

    Raises:
        StorageError: If a file is damaged or cannot be written, or ``out`` holds
            another training, one that is under way, or one whose tries are gone.
        WorkerDied: If the worlds die again and again.
        InvalidConfig: If the robot's workspace does not fit, or a file is wrong.
    """
    torch.set_num_threads(config.threads)
    make_folder(out)
    with RunLock(out, "trained in"):
        job = _Job(config, out)
        with job.store:
            return job.run(on_progress or (lambda standing: None))


class _Job:
    """One training under way."""

    def __init__(self, config: PixelqTraining, out: Path):
        self.config, self.out = config, out
        self.robot = load_robot(config.robot)
        self.identity = config.identity() | {"robot_digest": config_digest(self.robot)}
        self.learner = Learner(config, self.robot)
        self.store = PixelStore(out / "tries.sqlite", self.identity)
        self.standing = Standing(config.tries)
        self._recent: list[bool] = []
        self._saved = -1

    def run(self, report: Callable[[Standing], None]) -> Card:
        """Read what is there, learn what is owed, then try and learn."""
        config, standing = self.config, self.standing
        for tried in self.store.tries():
            self._count(tried)
            report(standing)
        standing.resumed = standing.tries
        if not load_learner(self.learner, self._state, self.identity):
            if config.pretrain.store:
                pretrain(self.learner, Path(config.pretrain.store), config.pretrain.steps)
            self.save()
        with EventCurves(self.out / "curves") as curves:
            self._learn()
            begun, deaths = time.monotonic(), 0
            if standing.tries < config.tries:
                text = config.model_dump_json()
                results = run_jobs(
                    self._chunks(), run_chunk, config.workers, initialise, text, attempts=ATTEMPTS
                )
                for _, found in results:
                    if isinstance(found, WorkerDied):
                        standing.left_out += 1
                        deaths += 1
                        if deaths >= DEATHS:
                            raise found
                        continue
                    deaths = 0
                    for tried in found:
                        self.store.add(tried)
                        self._count(tried)
                        self._learn()
                    made = standing.tries - standing.resumed
                    standing.rate = made / max(time.monotonic() - begun, 1e-9)
                    curves.add(standing.tries, standing.numbers())
                    report(standing)
                    if standing.tries - max(self._saved, 0) >= config.save:
                        self.save()
                    if standing.tries >= config.tries:
                        break
        return self.save()

    @property
    def _state(self) -> Path:
        return self.out / "state.safetensors"

    def _chunks(self) -> Iterator[Chunk]:
        """Without end; each takes the weights as they are when a world is free."""
        config = self.config
        first = self.store.next_episode()
        lane = 0
        while True:
            weights = {k: v.contiguous() for k, v in self.learner.state_dict().items()}
            # Spaced, so that no two chunks begin the same episode.
            yield Chunk(
                first + lane,
                config.chunk,
                self.standing.tries,
                self.learner.steps,
                save(weights),
            )
            lane += config.chunk + SCENES

    def _count(self, tried: PixelTry) -> None:
        standing = self.standing
        self.learner.add(tried)
        standing.tries += 1
        if tried.primitive == Primitive.GRASP:
            self._recent = [*self._recent, tried.success][-pixelq_curves.WINDOW :]
            standing.grasps, standing.successes = len(self._recent), sum(self._recent)
        else:
            standing.pushes += 1

    def _learn(self) -> None:
        """The steps that are owed for the tries so far."""
        standing, losses = self.standing, []
        owed = standing.tries * self.config.steps - self.learner.steps
        for _ in range(owed):
            losses.append(self.learner.step())
        if losses:
            standing.loss = sum(losses) / len(losses)
        standing.steps = self.learner.steps

    def save(self) -> Card:
        """State, checkpoint and curves, each whole or not at all."""
        save_learner(self.learner, self._state, self.identity)
        columns = self.store.columns(*COLUMNS)
        card = self._card(columns)
        card = save_checkpoint(self.out / POLICY, card, self.learner.state_dict())
        if self.standing.tries:
            self._draw(columns)
        self._saved = self.standing.tries
        return card

    def _draw(self, columns: dict[str, Any]) -> None:
        """The curves, and the values of the state that the last try began with."""
        name = f"{self.robot.name}, {self.out.name}"
        part = self.out / ".picture.part.png"
        try:
            pixelq_curves.plot(columns, part, name)
            part.replace(self.out / "curves.png")
            state = decode_state(self.learner.memories[-1].tried.before)
            scored = self.learner.acting.evaluate(state, self.config.actions())
            draw_values(state, scored, part, f"{name}, after {self.standing.tries} tries")
            part.replace(self.out / "values.png")
        except OSError as error:
            part.unlink(missing_ok=True)
            raise StorageError(
                f"the curves cannot be written ({error}): free the disk and run the same command "
                "again"
            ) from error

    def _card(self, columns: dict[str, Any]) -> Card:
        config = self.config
        network = {k: v for k, v in config.network.items() if k != "imagenet"}
        network.setdefault("widths", list(self.learner.online.network.widths))
        calibrated = pixelq_curves.calibration(columns) if config.loss == "probability" else {}
        gripper = self.robot.arms[0].gripper
        return Card(
            policy=POLICY,
            network={**network, "output": config.loss},
            input=input_card(config.strokes.strokes()),
            gripper=GripperCard.of(gripper),
            robot=self.robot.name,
            views=(self.robot.camera().name,),
            training={
                "tries": self.standing.tries,
                "steps": self.learner.steps,
                "configuration": config.model_dump(mode="json", exclude={"threads", "workers"}),
            },
            calibration=calibrated,
            metrics=pixelq_curves.figures(columns),
            versions=versions(),
        )
