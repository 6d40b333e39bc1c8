"""Rows of the protocol that learn from tries, or judge them: one file each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from selfgrasp_nodes.learning import classical, hog, pinto_tuning
from selfgrasp_nodes.learning import heuristic_classifiers as heuristic
from selfgrasp_nodes.learning.curriculum import Curriculum
from selfgrasp_nodes.learning.metrics import proportion
from selfgrasp_nodes.learning.patch_config import PatchTraining
from selfgrasp_nodes.learning.patch_data import PatchTries, held_out
from selfgrasp_nodes.learning.patch_metrics import Calibration
from selfgrasp_nodes.learning.patch_train import Trained, judge_tries, train
from selfgrasp_nodes.learning.pinto_data import CurriculumData
from selfgrasp_nodes.learning.pinto_kept import Kept, identity
from selfgrasp_nodes.learning.pinto_scores import BLOCKED, accuracies, scored
from selfgrasp_nodes.policies.checkpoints import load_checkpoint
from selfgrasp_nodes.policies.patch.judge import build_members
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.types import OutcomeCode

SUCCESS = OutcomeCode.SUCCESS.name

SEEN_SHARE = 0.1
"""Of stage 0's episodes, kept from every training of figure 8: seen objects, other clutters."""

FRACTIONS = (0.125, 0.25, 0.5, 1.0)
"""Of stage 0's tries, for figure 8: 5K, 10K, 20K and 40K at full size."""

CHOSEN = "network, chosen setting"
"""Row of the tuning that is measured when all others are."""

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
        self._curriculum, self._out = curriculum, out
        self._config = curriculum.settings()
        self._data = CurriculumData(folder, self._config, curriculum.robot)

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
        return self._data.checkpoint(stage), self._data.digest(stage)

    def _job(self, part: str, row: str) -> tuple[dict[str, Any], Callable[[], dict[str, Any]]]:
        """What a row depends on, and how it is measured."""
        config = self._config
        test, base = self._data.test().digest, self._data.training(0).digest
        settings = config.model_dump(mode="json", exclude={"threads"})
        if part == "table1":
            numbers = range(len(self._curriculum.stages))
            data = [self._data.training(number).digest for number in numbers]
            return {"data": [*data, test]}, self._table1
        depends: dict[str, Any] = {"data": [base, test], "training": settings}
        if part == "table2" and row == "networks":
            last = len(self._curriculum.stages) - 1
            stages = {"network": 0} | ({"network with stages": last} if last else {})
            depends = {
                "test": test,
                "checkpoints": [self._data.digest(n) for n in stages.values()],
            }
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
            depends = {"test": test, "checkpoint": self._data.digest(number)}
            return depends, lambda: {row: self._judged(number)}
        if part == "stages":
            depends |= {
                "data": [self._data.training(1).digest, test],
                "start": self._data.digest(0),
            }
            return depends, lambda: {row: self._unaggregated(depends)}
        if part == "tuning":
            depends |= {"data": [base], "tries": pinto_tuning.TRIES}
            if row == CHOSEN:
                return {**depends, "test": test, "of": pinto_tuning.settings()}, self._chosen
            setting = pinto_tuning.settings()[row]
            depends |= {"setting": setting}
            return depends, lambda: {row: self._tuned(row, setting, depends)}
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
        staged = [self._data.training(n).code for n in range(1, len(self._curriculum.stages))]
        rows = {
            "random": self._data.training(0).code,
            "staged": np.concatenate([np.zeros(0, str), *staged]),
            "test": self._data.test().code,
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
        training, _ = self._data.split()
        test, sizes = self._data.test(), self._data.sizes()
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
                **accuracies(test, heuristic.predict(shape, threshold, limit)),
                "threshold": threshold,
                "limit": limit,
            }
            for name, (threshold, limit) in chosen.items()
        }

    def _classical(self) -> dict[str, Any]:
        training, validation = self._data.split()
        test = self._data.test()
        prepared = hog.prepare(training, self._data.sizes(), seed=self._config.seed)
        judged = [prepared.features(tries) for tries in (validation, test)]
        rows = {}
        for tune in (classical.tune_neighbours, classical.tune_svms):
            tuned = tune(prepared, judged[0], validation)
            rows[tuned.name] = {
                **accuracies(test, tuned.predict(judged[1], test)),
                "setting": tuned.setting,
                "validation": tuned.validation,
                "tried": tuned.tried,
                "features": prepared.about,
            }
        return rows

    def _figure8(self, fraction: float, depends: dict[str, Any]) -> dict[str, Any]:
        """Accuracy on novel and seen objects after the first so many tries."""
        tries = self._data.training(0)
        seen = held_out(tries.episode, SEEN_SHARE, salt="seen")
        rest = np.flatnonzero(~seen)
        count = round(fraction * len(rest))
        sets = {"novel": self._data.test(), "seen": tries.take(np.flatnonzero(seen))}
        part = tries.take(rest[:count])
        return {str(count): self._trained(part, self._config, f"figure8-{count}", depends, sets)}

    def _ablation(
        self, name: str, config: PatchTraining, depends: dict[str, Any], count: int
    ) -> dict[str, Any]:
        tries = self._data.training(0)
        part = tries.take(np.arange(min(count, len(tries))))
        sets = {"novel": self._data.test()}
        row = self._trained(part, config, name, depends, sets)["novel"]
        return {name: {**row, "training_tries": len(part)}}

    def _unaggregated(self, depends: dict[str, Any]) -> dict[str, Any]:
        """Stage 0's network tuned on the tries of stage 1 alone.

        Calibration and threshold are fitted on stage 0's held-out episodes, as for every other
        row: staged tries succeed four times as often as those of the test set.
        """
        start = load_checkpoint(self._data.checkpoint(0), policy="patch")
        weights = [network.state_dict() for network in build_members(start, fuse=False)]
        _, random = self._data.split()
        trained = self._members(
            self._data.training(1), self._config, "without aggregation", depends, weights, random
        )
        test = self._data.test()
        return scored(test, judge_tries(trained.members, test, self._pair()), trained.calibration)

    def _tuned(
        self, name: str, setting: dict[str, float], depends: dict[str, Any]
    ) -> dict[str, Any]:
        """A setting's accuracy on held-out episodes; the test set is not looked at."""
        tries = self._data.training(0)
        part = tries.take(np.arange(min(pinto_tuning.TRIES, len(tries))))
        config = pinto_tuning.changed(self._config, setting)
        members = self._members(part, config, name, depends).members
        found = pinto_tuning.validated(members, part, config, self._pair())
        return {**found, **setting, "tries": len(part)}

    def _chosen(self) -> dict[str, Any]:
        """The best setting, and the accuracy that it gives on all of stage 0's tries."""
        rows: dict[str, Any] = {}
        for row in pinto_tuning.settings():
            rows |= self.rows("tuning", row)
        name = pinto_tuning.best(rows)
        setting = pinto_tuning.settings()[name]
        if pinto_tuning.is_own(self._config, setting):
            return {CHOSEN: {**self._judged(0), "setting": name, "own": True}}
        config = pinto_tuning.changed(self._config, setting)
        sets = {"novel": self._data.test()}
        depends = {"data": self._data.training(0).digest, "setting": setting}
        row = self._trained(self._data.training(0), config, CHOSEN, depends, sets)["novel"]
        return {CHOSEN: {**row, "setting": name, "own": False}}

    def _trained(
        self,
        tries: PatchTries,
        config: PatchTraining,
        name: str,
        depends: dict[str, Any],
        sets: dict[str, PatchTries],
    ) -> dict[str, Any]:
        """Train, and the accuracy on each set."""
        trained = self._members(tries, config, name, depends)
        return {
            key: scored(
                chosen, judge_tries(trained.members, chosen, self._pair()), trained.calibration
            )
            for key, chosen in sets.items()
        }

    def _members(
        self,
        tries: PatchTries,
        config: PatchTraining,
        name: str,
        depends: dict[str, Any],
        start: list[Any] | None = None,
        judged_on: PatchTries | None = None,
    ) -> Trained:
        """Train, in a folder whose name holds what the training depends on."""
        label = f"{name.replace(',', '').replace(' ', '-')}-{identity(depends)[:8]}"
        out = self._out / "trainings" / label
        return train(tries, self._pair(), config, out, start=start, judged_on=judged_on)

    def _pair(self) -> tuple[float, float]:
        """Patch and crop side [m]."""
        return self._data.sizes().patch_side, self._data.sizes().crop_side

    def _judged(self, stage: int) -> dict[str, Any]:
        """Accuracy of a stage's checkpoint on the test set."""
        checkpoint = load_checkpoint(self._data.checkpoint(stage), policy="patch")
        test = self._data.test()
        odds = judge_tries(build_members(checkpoint), test, self._pair())
        return scored(test, odds, Calibration(**checkpoint.card.calibration))
