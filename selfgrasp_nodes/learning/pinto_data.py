"""What a curriculum left in its folder: tries, checkpoints, sizes; each is loaded once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.learning.patch_config import PatchTraining
from selfgrasp_nodes.learning.patch_data import PatchTries, held_out, load_tries
from selfgrasp_nodes.policies.checkpoints import read_card
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.trials.store import TrialStore


class CurriculumData:
    """Reads a curriculum's folder.

    Every method raises ``StorageError`` where a store or checkpoint is missing.
    """

    def __init__(self, folder: Path, config: PatchTraining, robot: str):
        """Nothing is read yet.

        Args:
            folder: With ``train.store``, ``test.store`` and ``stageK``.
            config: Of its training: size of the crops, share that is held out.
            robot: That tried.
        """
        self._folder, self._config, self._robot = folder, config, robot
        self._loaded: dict[str, Any] = {}

    def training(self, stage: int) -> PatchTries:
        """The tries of a stage."""
        return self._tries("train", (stage,))

    def test(self) -> PatchTries:
        """The test set."""
        return self._tries("test", None)

    def split(self) -> tuple[PatchTries, PatchTries]:
        """Stage 0's tries to train on, and those of the held-out episodes."""
        tries = self.training(0)
        held = held_out(tries.episode, self._config.validation)
        return tries.take(np.flatnonzero(~held)), tries.take(np.flatnonzero(held))

    def checkpoint(self, stage: int) -> Path:
        """A stage's weights."""
        return self._folder / f"stage{stage}" / "patch.safetensors"

    def digest(self, stage: int) -> str:
        """SHA-256 of a stage's weights, from their card."""
        return read_card(self.checkpoint(stage).with_suffix(".yaml")).sha256

    def sizes(self) -> PatchGeometry:
        """Of the crops."""
        if "sizes" not in self._loaded:
            with TrialStore.open(self._folder / "train.store") as store:
                self._loaded["sizes"] = store.geometry
        found: PatchGeometry = self._loaded["sizes"]
        return found

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
            self._loaded[key] = load_tries(file, cache, pixels, stages=stages, robot=self._robot)
        found: PatchTries = self._loaded[key]
        return found
