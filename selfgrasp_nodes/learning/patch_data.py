"""Tries of a store as arrays that a network is trained on.

Crops are decoded once, shrunk and kept as bytes in a cache beside the training's
output, one file a stage, so that a stage that is added leaves the others as they
are. A try's *tip* is the height of the fingertips above the crop's plane when the
fingers begin to close: with the crop it says what they meet.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from selfgrasp_nodes.errors import InvalidConfig, SelfGraspError
from selfgrasp_nodes.policies.checkpoints import write_whole
from selfgrasp_nodes.policies.patch.encoding import encode, shrink
from selfgrasp_nodes.robots import GripperSpec, RobotSpec, load_robot
from selfgrasp_nodes.trials.store import TrialStore

BLOCK = 256
"""Crops that are encoded at a time."""


class NothingToLearn(SelfGraspError):
    """The data holds no tries, or only one of the two outcomes."""


@dataclass(frozen=True, eq=False)
class PatchTries:
    """N labelled tries.

    Attributes:
        crops: (N, P, P, 4) uint8, see ``policies.patch.encoding``.
        angle: (N,) world angle of the grasp [rad].
        tip: (N,) fingertips above the crop's plane [m].
        success: (N,) bool.
        stage: (N,) int.
        episode: (N,) str run and episode: the unit of splits and resampling.
        object: (N,) str nearest object: for splits by object alone.
        score: (N,) what the behaviour policy thought of it.
        code: (N,) str name of the outcome's code.
    """

    crops: np.ndarray
    angle: np.ndarray
    tip: np.ndarray
    success: np.ndarray
    stage: np.ndarray
    episode: np.ndarray
    object: np.ndarray
    score: np.ndarray
    code: np.ndarray

    def __len__(self) -> int:
        return len(self.angle)

    def take(self, index: np.ndarray) -> PatchTries:
        """Some of them."""
        return PatchTries(*(getattr(self, field.name)[index] for field in fields(self)))

    @staticmethod
    def join(parts: Sequence[PatchTries]) -> PatchTries:
        """All of several."""
        return PatchTries(
            *(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(PatchTries))
        )

    @property
    def digest(self) -> str:
        """SHA-256 over which tries these are and how they ended."""
        found = hashlib.sha256()
        for name in ("episode", "angle", "tip", "success", "stage"):
            column = getattr(self, name)
            text = column.dtype.kind == "U"
            found.update("\n".join(column).encode() if text else column.tobytes())
        return found.hexdigest()

    def check(self) -> None:
        """Refuse data of one outcome.

        Raises:
            NothingToLearn: With the counts.
        """
        positives = int(self.success.sum())
        if positives == 0 or positives == len(self):
            raise NothingToLearn(
                f"{positives} of {len(self)} tries succeeded: both outcomes are needed to learn "
                "from. Collect more tries, or look at the labels with 'selfgrasp trials info'"
            )


def load_tries(
    store: Path,
    cache: Path,
    pixels: int,
    *,
    stages: Sequence[int] | None = None,
    where: str = "",
    on_progress: Callable[[int, int], None] | None = None,
) -> PatchTries:
    """The labelled tries of a store.

    Args:
        store: File.
        cache: Folder for decoded crops.
        pixels: Rows and columns of a crop in the cache; divides the store's.
        stages: Only these; all where None.
        where: Further SQL condition on the store's columns.
        on_progress: Called with tries decoded, and their number.

    Raises:
        StorageError: If the store is damaged.
        NothingToLearn: If there is no labelled try.
    """
    with TrialStore.open(store) as opened:
        size = opened.geometry.crop_pixels
        if size % pixels:
            raise InvalidConfig(
                f"crops of {size} pixels cannot be shrunk to {pixels}: choose a divisor"
            )
        condition = "success IS NOT NULL" + (f" AND ({where})" if where else "")
        there = sorted(set(opened.columns(["stage"], condition)["stage"].tolist()))
        chosen = [stage for stage in there if stages is None or stage in stages]
        if not chosen:
            raise NothingToLearn(
                f"{store} holds no labelled tries of stages {stages or 'any'}; it has stages "
                f"{there}"
            )
        parts = [
            _shard(opened, store, cache, pixels, stage, condition, on_progress) for stage in chosen
        ]
    return PatchTries.join(parts) if len(parts) > 1 else parts[0]


def _shard(
    opened: TrialStore,
    store: Path,
    cache: Path,
    pixels: int,
    stage: int,
    condition: str,
    on_progress: Callable[[int, int], None] | None,
) -> PatchTries:
    """One stage, from the cache where its columns still agree."""
    names = ["run", "episode", "try", "robot", "arm", "angle", "z", "surface"]
    names += ["success", "stage", "object", "score", "code"]
    condition = f"({condition}) AND stage = ?"
    table = opened.columns(names, condition, (stage,))
    count = len(table["angle"])
    episode = np.array(
        [f"{r}/{e}" for r, e in zip(table["run"], table["episode"], strict=True)], dtype=str
    )
    tip = table["z"] - _half_pads(table["robot"], table["arm"]) - table["surface"]
    identity = hashlib.sha256(str(store.resolve()).encode())
    for column in (table["try"], table["angle"], table["success"], tip):
        identity.update(np.ascontiguousarray(column).tobytes())
    identity.update("\n".join(episode).encode())
    label = {"pixels": pixels, "tries": count, "identity": identity.hexdigest()}
    tag = hashlib.sha256(f"{store.resolve()}|{condition}".encode()).hexdigest()[:8]
    file = cache / f"crops-{tag}-stage{stage}-{pixels}.npy"
    note = file.with_suffix(".json")
    if not (note.is_file() and json.loads(note.read_text()) == label and file.is_file()):
        cache.mkdir(parents=True, exist_ok=True)
        note.unlink(missing_ok=True)
        _decode(opened, file, pixels, count, condition, stage, on_progress)
        write_whole(note, json.dumps(label).encode())
    return PatchTries(
        np.load(file, mmap_mode="r"),
        table["angle"],
        tip,
        table["success"].astype(bool),
        table["stage"],
        episode,
        table["object"],
        table["score"],
        table["code"],
    )


def _decode(
    opened: TrialStore,
    file: Path,
    pixels: int,
    count: int,
    condition: str,
    stage: int,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    out = np.lib.format.open_memmap(file, "w+", np.uint8, (count, pixels, pixels, 4))
    factor = opened.geometry.crop_pixels // pixels
    done = 0
    pending: list[np.ndarray] = []
    for stored in opened.iterate(condition, (stage,)):
        pending.append(encode(stored.color, stored.height))
        if len(pending) == BLOCK or done + len(pending) == count:
            out[done : done + len(pending)] = shrink(np.stack(pending), factor)
            done += len(pending)
            pending.clear()
            if on_progress is not None:
                on_progress(done, count)
        if done == count:
            break  # the store may have grown meanwhile
    out.flush()


def _half_pads(robots: np.ndarray, arms: np.ndarray) -> np.ndarray:
    """(N,) half the length of each try's pads [m]."""
    pairs = np.char.add(np.char.add(robots, "|"), arms)
    found = np.zeros(len(pairs))
    for pair in np.unique(pairs):
        robot, arm = str(pair).split("|", 1)
        found[pairs == pair] = gripper_of(load_robot(robot), arm).pad_length / 2
    return found


def gripper_of(robot: RobotSpec, arm: str = "") -> GripperSpec:
    """The gripper of an arm."""
    return robot.arm(arm).gripper


def held_out(episodes: np.ndarray, share: float, salt: str = "") -> np.ndarray:
    """(N,) bool: which tries belong to the held-out episodes.

    Chosen by each episode's name alone, so that an episode stays on its side when
    the data grows.
    """
    names, inverse = np.unique(episodes, return_inverse=True)
    drawn = np.array([zlib.crc32(f"{salt}{name}".encode()) / 2**32 for name in names])
    return (drawn < share)[inverse]
