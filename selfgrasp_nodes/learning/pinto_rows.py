"""Rows of the protocol that learn from tries, or judge them: one file each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.learning import classical, hog
from selfgrasp_nodes.learning import heuristic_classifiers as heuristic
from selfgrasp_nodes.learning.curriculum import Curriculum
from selfgrasp_nodes.learning.metrics import proportion
from selfgrasp_nodes.learning.patch_config import PatchTraining
from selfgrasp_nodes.learning.patch_data import PatchTries, held_out, load_tries
from selfgrasp_nodes.learning.patch_metrics import (
    Calibration,
    balanced_accuracy,
    by_episode,
    ranking,
)
from selfgrasp_nodes.learning.patch_train import judge_tries, train
from selfgrasp_nodes.learning.pinto_kept import Kept, identity
from selfgrasp_nodes.policies.checkpoints import load_checkpoint, read_card
from selfgrasp_nodes.policies.patch.judge import build_members
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.trials.store import TrialStore
from selfgrasp_nodes.types import OutcomeCode

SUCCESS, BLOCKED = OutcomeCode.SUCCESS.name, OutcomeCode.BLOCKED.name

SEEN_SHARE = 0.1
"""Of stage 0's episodes, kept from every training of figure 8: seen objects, other clutters."""

FRACTIONS = (0.125, 0.25, 0.5, 1.0)
"""Of stage 0's tries, for figure 8: 5K, 10K, 20K and 40K at full size."""

ABLATION_TRIES = 10_000
"""Of stage 0, that every ablation's training sees."""

ABLATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "depth without colour": {"network": {"name": "polar", "channels": "depth"}},
    "colour without depth": {"network": {"name": "polar", "channels": "rgb"}},
    "no angle symmetry": {"network": {"name": "plain"}},
    "no angle symmetry, soft angles": {"network": {"name": "plain"}, "soft_angle": 0.17},
    "outcomes not balanced": {"balance": 0.0},
    "no running mean of weights": {"average": 0.0},
    "three networks": {"members": 3},
}
"""What differs from the default training."""


class Learned:
    """The rows of one curriculum's folder.

    Attributes:
        kept: Results that are there.
    """

    def __init__(self, curriculum: Curriculum, folder: Path, out: Path):
        """See ``pinto.Pinto``."""
        self.kept = Kept(out / "parts")
        self._curriculum, self._folder, self._out = curriculum, folder, out
        self._config = curriculum.settings()
        self._loaded: dict[str, Any] = {}

    def rows(self, part: str, row: str) -> dict[str, Any]:
        """Measure one of ``Pinto.rows``, or take it from its file.

        Returns:
            By the name that the row has in its table; a job may give several.

        Raises:
            StorageError: If a store or checkpoint is missing.
        """
        depends, measure = self._job(part, row)
        found: dict[str, Any] = self.kept.get(f"{part}-{row}", depends, measure)
        return found

    def known(self, part: str, row: str) -> bool:
        """Whether it is there, and what it depends on is as it was."""
        return self.kept.find(f"{part}-{row}", self._job(part, row)[0]) is not None

    def last_checkpoint(self) -> tuple[Path, str]:
        """The last stage's checkpoint and its digest.

        Raises:
            StorageError: If it is missing.
        """
        stage = len(self._curriculum.stages) - 1
        return self._stage(stage), self._digest(stage)

    def _job(self, part: str, row: str) -> tuple[dict[str, Any], Callable[[], dict[str, Any]]]:
        """What a row depends on, and how it is measured."""
        config = self._config
        test, base = self._test().digest, self._training((0,)).digest
        settings = config.model_dump(mode="json", exclude={"threads"})
        if part == "table1":
            numbers = range(len(self._curriculum.stages))
            data = [self._training((number,)).digest for number in numbers]
            return {"data": [*data, test]}, self._table1
        depends: dict[str, Any] = {"data": [base, test], "training": settings}
        if part == "table2" and row == "networks":
            last = len(self._curriculum.stages) - 1
            stages = {"network": 0} | ({"network with stages": last} if last else {})
            depends = {"test": test, "checkpoints": [self._digest(n) for n in stages.values()]}
            return depends, lambda: {name: self._judged(n) for name, n in stages.items()}
        if part == "table2":
            depends = {"data": [base, test], "held out": config.validation, "seed": config.seed}
            if row == "heuristics":
                return {**depends, "method": heuristic.describe()}, self._heuristics
            return {**depends, "method": classical.describe()}, self._classical
        if part == "figure8":
            depends |= {"fraction": row, "seen": SEEN_SHARE}
            return depends, lambda: self._figure8(float(row), depends)
        if part == "stages" and row != "without aggregation":
            number = int(row.split()[1])
            depends = {"test": test, "checkpoint": self._digest(number)}
            return depends, lambda: {row: self._judged(number)}
        if part == "stages":
            depends |= {"data": [self._training((1,)).digest, test], "start": self._digest(0)}
            return depends, lambda: {row: self._unaggregated(depends)}
        if part == "pretraining":
            from selfgrasp_nodes.learning import pretraining

            changed = pretraining.training(config, row == "ImageNet")
            depends |= {"pretraining": pretraining.describe(), "row": row}
            return depends, lambda: self._ablation(row, changed, depends, pretraining.TRIES)
        changed = PatchTraining.model_validate({**config.model_dump(), **ABLATIONS[row]})
        depends |= {"changes": ABLATIONS[row], "tries": ABLATION_TRIES}
        return depends, lambda: self._ablation(row, changed, depends, ABLATION_TRIES)

    def _table1(self) -> dict[str, Any]:
        """Tries and positives of random trials, stages and test set."""
        # Stage by stage: their crops stay on disk.
        staged = [self._training((n,)).code for n in range(1, len(self._curriculum.stages))]
        rows = {
            "random": self._training((0,)).code,
            "staged": np.concatenate([np.zeros(0, str), *staged]),
            "test": self._test().code,
        }
        found = {}
        for name, code in rows.items():
            count, positives = len(code), int((code == SUCCESS).sum())
            found[name] = {
                "tries": count,
                "positives": positives,
                "rate": proportion(positives, count).as_dict(),
                "blocked": proportion(int((code == BLOCKED).sum()), count).as_dict(),
            }
        return found

    def _heuristics(self) -> dict[str, Any]:
        training, _ = self._split()
        test, sizes = self._test(), self._sizes()
        shape, before = heuristic.moments(test, sizes), heuristic.moments(training, sizes)
        opening = load_robot(self._curriculum.robot).arms[0].gripper.width_min
        chosen = {
            "smallest eigenvalue": (heuristic.tune_threshold(before, training.success), 0.0),
            "eigenvalue limit": (
                heuristic.tune_threshold(before, training.success, opening),
                opening,
            ),
            "optimistic parameters": heuristic.tune(shape, test.success)[:2],
        }
        return {
            name: {
                **self._accuracy(test, heuristic.predict(shape, threshold, limit)),
                "threshold": threshold,
                "limit": limit,
            }
            for name, (threshold, limit) in chosen.items()
        }

    def _classical(self) -> dict[str, Any]:
        training, validation = self._split()
        test = self._test()
        prepared = hog.prepare(training, self._sizes(), seed=self._config.seed)
        judged = [prepared.features(tries) for tries in (validation, test)]
        rows = {}
        for tune in (classical.tune_neighbours, classical.tune_svms):
            tuned = tune(prepared, judged[0], validation)
            rows[tuned.name] = {
                **self._accuracy(test, tuned.predict(judged[1], test)),
                "setting": tuned.setting,
                "validation": tuned.validation,
                "tried": tuned.tried,
                "features": prepared.about,
            }
        return rows

    def _figure8(self, fraction: float, depends: dict[str, Any]) -> dict[str, Any]:
        """Accuracy on novel and seen objects after the first so many tries."""
        tries = self._training((0,))
        seen = held_out(tries.episode, SEEN_SHARE, salt="seen")
        rest = np.flatnonzero(~seen)
        count = round(fraction * len(rest))
        sets = {"novel": self._test(), "seen": tries.take(np.flatnonzero(seen))}
        part = tries.take(rest[:count])
        return {str(count): self._trained(part, self._config, f"figure8-{count}", depends, sets)}

    def _ablation(
        self, name: str, config: PatchTraining, depends: dict[str, Any], count: int
    ) -> dict[str, Any]:
        tries = self._training((0,))
        part = tries.take(np.arange(min(count, len(tries))))
        sets = {"novel": self._test()}
        row = self._trained(part, config, name, depends, sets)["novel"]
        return {name: {**row, "training_tries": len(part)}}

    def _unaggregated(self, depends: dict[str, Any]) -> dict[str, Any]:
        """Stage 0's network tuned on the tries of stage 1 alone."""
        start = load_checkpoint(self._stage(0), policy="patch")
        weights = [network.state_dict() for network in build_members(start, fuse=False)]
        row = self._trained(
            self._training((1,)),
            self._config,
            "without-aggregation",
            depends,
            {"novel": self._test()},
            weights,
        )
        return dict(row["novel"])

    def _trained(
        self,
        tries: PatchTries,
        config: PatchTraining,
        name: str,
        depends: dict[str, Any],
        sets: dict[str, PatchTries],
        start: list[Any] | None = None,
    ) -> dict[str, Any]:
        """Train, and the accuracy on each set.

        The folder's name holds what the training depends on: other data are another training.
        """
        pair = (self._sizes().patch_side, self._sizes().crop_side)
        label = f"{name.replace(',', '').replace(' ', '-')}-{identity(depends)[:8]}"
        trained = train(tries, pair, config, self._out / "trainings" / label, start=start)
        found = {}
        for key, chosen in sets.items():
            odds = judge_tries(trained.members, chosen, pair)
            found[key] = self._scored(chosen, odds, trained.calibration)
        return found

    def _judged(self, stage: int) -> dict[str, Any]:
        """Accuracy of a stage's checkpoint on the test set."""
        checkpoint = load_checkpoint(self._stage(stage), policy="patch")
        sizes, test = self._sizes(), self._test()
        pair = (sizes.patch_side, sizes.crop_side)
        odds = judge_tries(build_members(checkpoint), test, pair)
        return self._scored(test, odds, Calibration(**checkpoint.card.calibration))

    def _scored(
        self, tries: PatchTries, odds: np.ndarray, calibration: Calibration
    ) -> dict[str, Any]:
        chance = calibration.probability(odds)
        row = self._accuracy(tries, chance >= calibration.threshold)
        return {**row, "roc_area": ranking(tries.success, chance)}

    def _accuracy(self, tries: PatchTries, predicted: np.ndarray) -> dict[str, Any]:
        def accuracy(index: np.ndarray) -> float:
            return balanced_accuracy(tries.success[index], predicted[index])

        # A hand that is stopped on its way down tells little about grasping: the others alone.
        free = np.flatnonzero(tries.code != BLOCKED)
        reached = by_episode(lambda i: accuracy(free[i]), tries.episode[free])
        return {
            "balanced_accuracy": by_episode(accuracy, tries.episode).as_dict(),
            "over_objects": by_episode(accuracy, tries.object).as_dict(),
            "not_blocked": {"balanced_accuracy": reached.as_dict(), "tries": len(free)},
            "tries": len(tries),
            "positives": int(tries.success.sum()),
        }

    def _split(self) -> tuple[PatchTries, PatchTries]:
        """Stage 0's tries to train on, and those of the held-out episodes."""
        tries = self._training((0,))
        held = held_out(tries.episode, self._config.validation)
        return tries.take(np.flatnonzero(~held)), tries.take(np.flatnonzero(held))

    def _stage(self, number: int) -> Path:
        return self._folder / f"stage{number}" / "patch.safetensors"

    def _digest(self, number: int) -> str:
        return read_card(self._stage(number).with_suffix(".yaml")).sha256

    def _training(self, stages: tuple[int, ...] | None) -> PatchTries:
        return self._tries("train", stages)

    def _test(self) -> PatchTries:
        return self._tries("test", None)

    def _tries(self, name: str, stages: tuple[int, ...] | None) -> PatchTries:
        key = f"{name}{stages}"
        if key not in self._loaded:
            file = self._folder / f"{name}.store"
            if not file.is_file():
                raise StorageError(
                    f"there is no {file}: make it with 'selfgrasp train patch --curriculum FILE "
                    f"--out {self._folder}'"
                )
            cache, pixels = self._folder / "cache", self._config.crop_pixels
            self._loaded[key] = load_tries(file, cache, pixels, stages=stages)
        return self._loaded[key]

    def _sizes(self) -> PatchGeometry:
        if "sizes" not in self._loaded:
            with TrialStore.open(self._folder / "train.store") as store:
                self._loaded["sizes"] = store.geometry
        return self._loaded["sizes"]
