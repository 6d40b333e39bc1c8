"""The tables of Pinto and Gupta (2016), measured on a curriculum's stores and checkpoints.

Every learner sees the same tries: stage 0 of the training store, with the same
episodes held out to choose parameters and thresholds. The test set is random tries
on novel objects, which nothing is chosen on, save by the *optimistic* heuristic, as
in the paper. Accuracies are balanced, with intervals over episodes. Each part is
written to its own file as soon as it is known, and not measured again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from selfgrasp_nodes.errors import StorageError, UnknownName
from selfgrasp_nodes.learning import classical
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
from selfgrasp_nodes.policies.checkpoints import load_checkpoint, write_whole
from selfgrasp_nodes.policies.patch.judge import build_members
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.trials.store import TrialStore

PARTS = ("table1", "table2", "figure8", "ablations")

PAPER: dict[str, Any] = {
    "table1": {
        "random": {"tries": 40287, "positives": 3245},
        "staged": {"tries": 7307, "positives": 2807},
        "test": {"tries": 2973, "positives": 214},
    },
    "table2": {
        "smallest eigenvalue": 0.534,
        "eigenvalue limit": 0.599,
        "optimistic parameters": 0.621,
        "kNN on HoG": 0.694,
        "linear SVMs on HoG": 0.733,
        "network": 0.769,
        "network with stages": 0.795,
    },
    "figure8": {
        "novel": {"5000": 0.508, "10000": 0.578, "20000": 0.756, "40000": 0.769},
        "seen": {"5000": 0.794, "10000": 0.872, "20000": 0.927, "40000": 0.957},
    },
    "ablations": {"stage 1": 0.793, "stage 3": 0.795, "without aggregation": 0.723},
}
"""The paper's own figures."""

SEEN_SHARE = 0.1
"""Of stage 0's episodes, kept from every training of figure 8: seen objects, other clutters."""

FRACTIONS = (0.125, 0.25, 0.5, 1.0)
"""Of stage 0's tries, for figure 8: 5K, 10K, 20K and 40K at full size."""

ABLATIONS: dict[str, dict[str, Any]] = {
    "depth without colour": {"network": {"name": "polar", "channels": "depth"}},
    "colour without depth": {"network": {"name": "polar", "channels": "rgb"}},
    "no angle symmetry": {"network": {"name": "plain"}},
    "no angle symmetry, soft angles": {"network": {"name": "plain"}, "soft_angle": 0.17},
    "outcomes not balanced": {"balance": 0.0},
    "no running mean of weights": {"average": 0.0},
    "three networks": {"members": 3},
}
"""What differs from the default training."""


@dataclass
class Pinto:
    """The protocol over one curriculum's folder.

    Attributes:
        curriculum: That made the folder.
        folder: With ``train.store``, ``test.store`` and ``stageK``.
        out: Where results go.
        say: Called with a sentence now and then.
    """

    curriculum: Curriculum
    folder: Path
    out: Path
    say: Callable[[str], None] = print
    _loaded: dict[str, Any] = field(default_factory=dict)

    def run(self, parts: tuple[str, ...] = PARTS) -> dict[str, Any]:
        """Measure the parts that are not there yet.

        Raises:
            UnknownName: If there is no such part.
            StorageError: If a store or checkpoint is missing.
        """
        for part in parts:
            if part not in PARTS:
                raise UnknownName("part of protocol 'pinto'", part, PARTS)
        self.out.mkdir(parents=True, exist_ok=True)
        return {part: self._once(part, getattr(self, part)) for part in parts}

    def table1(self) -> dict[str, Any]:
        """Tries and positives of random trials, stages and test set."""
        train_tries, test = self._training(None), self._test()
        rows = {
            "random": train_tries.success[train_tries.stage == 0],
            "staged": train_tries.success[train_tries.stage > 0],
            "test": test.success,
        }
        return {
            name: {
                "tries": len(success),
                "positives": int(success.sum()),
                "rate": proportion(int(success.sum()), len(success)).as_dict(),
            }
            for name, success in rows.items()
        }

    def table2(self) -> dict[str, Any]:
        """Balanced accuracy of every method on novel objects."""
        config = self.curriculum.settings()
        tries, test, sizes = self._training((0,)), self._test(), self._sizes()
        held = held_out(tries.episode, config.validation)
        training = tries.take(np.flatnonzero(~held))
        validation = tries.take(np.flatnonzero(held))
        rows: dict[str, Any] = {}

        def add(name: str, predicted: np.ndarray, **more: Any) -> None:
            rows[name] = {**self._accuracy(test, predicted), **more}
            self.say(f"{name}: {rows[name]['balanced_accuracy']['value']:.3f}")

        shape, before = heuristic.moments(test, sizes), heuristic.moments(training, sizes)
        threshold = heuristic.tune_threshold(before, training.success)
        add("smallest eigenvalue", heuristic.predict(shape, threshold), threshold=threshold)
        opening = self._smallest_opening()
        threshold = heuristic.tune_threshold(before, training.success, opening)
        add(
            "eigenvalue limit",
            heuristic.predict(shape, threshold, opening),
            threshold=threshold,
            limit=opening,
        )
        threshold, limit, _ = heuristic.tune(shape, test.success)
        add(
            "optimistic parameters",
            heuristic.predict(shape, threshold, limit),
            threshold=threshold,
            limit=limit,
        )
        prepared = classical.turned_features(training, sizes, seed=config.seed)
        for tune in (classical.tune_neighbours, classical.tune_svms):
            tuned = tune(prepared, validation, sizes)
            add(
                tuned.name,
                tuned.predict(test),
                setting=tuned.setting,
                validation=tuned.validation,
                tried=tuned.tried,
            )
        stages = len(self.curriculum.stages)
        for name, stage in (("network", 0), ("network with stages", stages - 1)):
            if stage or name == "network":
                rows[name] = self._checkpoint(stage)
        return rows

    def figure8(self) -> dict[str, Any]:
        """Accuracy on novel and seen objects against the number of tries."""
        config = self.curriculum.settings()
        tries, test = self._training((0,)), self._test()
        seen = held_out(tries.episode, SEEN_SHARE, salt="seen")
        known = tries.take(np.flatnonzero(seen))
        rest = np.flatnonzero(~seen)
        result: dict[str, Any] = {}
        for fraction in FRACTIONS:
            count = round(fraction * len(rest))
            part = tries.take(rest[:count])
            rows = self._trained(part, config, f"figure8-{count}", {"novel": test, "seen": known})
            result[str(count)] = rows
            self.say(f"{count} tries: {rows['novel']['balanced_accuracy']['value']:.3f} novel")
        return result

    def ablations(self) -> dict[str, Any]:
        """One change each of the default training on stage 0; stages; no aggregation."""
        config = self.curriculum.settings()
        tries, test = self._training((0,)), self._test()
        result: dict[str, Any] = {"default": self._checkpoint(0)}
        for name, changes in ABLATIONS.items():
            changed = PatchTraining.model_validate({**config.model_dump(), **changes})
            label = name.replace(" ", "-").replace(",", "")
            result[name] = self._trained(tries, changed, label, {"novel": test})["novel"]
            self.say(f"{name}: {result[name]['balanced_accuracy']['value']:.3f}")
        for stage in range(1, len(self.curriculum.stages)):
            result[f"stage {stage}"] = self._checkpoint(stage)
        if len(self.curriculum.stages) > 1:
            start = load_checkpoint(self.folder / "stage0" / "patch", policy="patch")
            weights = [m.state_dict() for m in build_members(start, fuse=False)]
            result["without aggregation"] = self._trained(
                self._training((1,)), config, "no-aggregation", {"novel": test}, weights
            )["novel"]
        return result

    def _once(self, part: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """A part's result, from its file where it was made of the same data."""
        file = self.out / f"{part}.json"
        identity = hashlib.sha256(
            json.dumps(
                [
                    self._training(None).digest,
                    self._test().digest,
                    self.curriculum.settings().model_dump(mode="json", exclude={"threads"}),
                ]
            ).encode()
        ).hexdigest()
        if file.is_file():
            content = json.loads(file.read_text())
            if content.get("identity") == identity:
                return content["result"]
        result = measure()
        content = {"identity": identity, "result": result, "paper": PAPER.get(part, {})}
        write_whole(file, json.dumps(content, indent=1).encode())
        return result

    def _trained(
        self,
        tries: PatchTries,
        config: PatchTraining,
        name: str,
        sets: dict[str, PatchTries],
        start: list[Any] | None = None,
    ) -> dict[str, Any]:
        """Train, and the accuracy on each set."""
        pair = (self._sizes().patch_side, self._sizes().crop_side)
        trained = train(tries, pair, config, self.out / "trainings" / name, start=start)
        found = {}
        for label, chosen in sets.items():
            chance = trained.calibration.probability(judge_tries(trained.members, chosen, pair))
            row = self._accuracy(chosen, chance >= trained.calibration.threshold)
            found[label] = {**row, "roc_area": ranking(chosen.success, chance)}
        return found

    def _checkpoint(self, stage: int) -> dict[str, Any]:
        """Accuracy of a stage's checkpoint on the test set."""
        checkpoint = load_checkpoint(self.folder / f"stage{stage}" / "patch", policy="patch")
        sizes, test = self._sizes(), self._test()
        members = build_members(checkpoint)
        odds = judge_tries(members, test, (sizes.patch_side, sizes.crop_side))
        calibration = Calibration(**checkpoint.card.calibration)
        chance = calibration.probability(odds)
        row = self._accuracy(test, chance >= calibration.threshold)
        self.say(f"stage {stage}: {row['balanced_accuracy']['value']:.3f}")
        return {**row, "roc_area": ranking(test.success, chance)}

    def _accuracy(self, tries: PatchTries, predicted: np.ndarray) -> dict[str, Any]:
        def accuracy(index: np.ndarray) -> float:
            return balanced_accuracy(tries.success[index], predicted[index])

        return {
            "balanced_accuracy": by_episode(accuracy, tries.episode).as_dict(),
            "tries": len(tries),
            "positives": int(tries.success.sum()),
        }

    def _training(self, stages: tuple[int, ...] | None) -> PatchTries:
        return self._tries("train", stages)

    def _test(self) -> PatchTries:
        return self._tries("test", None)

    def _tries(self, name: str, stages: tuple[int, ...] | None) -> PatchTries:
        key = f"{name}{stages}"
        if key not in self._loaded:
            file = self.folder / f"{name}.store"
            if not file.is_file():
                raise StorageError(
                    f"there is no {file}: make it with 'selfgrasp train patch --curriculum FILE "
                    f"--out {self.folder}'"
                )
            pixels = self.curriculum.settings().crop_pixels
            self._loaded[key] = load_tries(file, self.folder / "cache", pixels, stages=stages)
        return self._loaded[key]

    def _sizes(self) -> PatchGeometry:
        if "sizes" not in self._loaded:
            with TrialStore.open(self.folder / "train.store") as store:
                self._loaded["sizes"] = store.geometry
        return self._loaded["sizes"]

    def _smallest_opening(self) -> float:
        from selfgrasp_nodes.robots import load_robot

        return load_robot(self.curriculum.robot).arms[0].gripper.width_min
