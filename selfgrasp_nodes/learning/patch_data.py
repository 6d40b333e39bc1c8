"""Tries of a store as arrays that a network is trained on.

Crops are decoded once, shrunk and kept as bytes in a cache beside the training's
output, one file a stage, so that a stage that is added leaves the others as they
are. A try's *tip* is the height of the fingertips above the crop's plane when the
fingers begin to close: with the crop it says what they meet.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from selfgrasp_nodes.errors import InvalidConfig, SelfGraspError, StorageError, UnknownName
from selfgrasp_nodes.learning.patch_crops import crops_of
from selfgrasp_nodes.policies.patch.encoding import encode, shrink
from selfgrasp_nodes.robots import GripperSpec, RobotSpec, load_robot
from selfgrasp_nodes.trials.store import TrialStore
from selfgrasp_nodes.trials.store_record import PLAIN

BLOCK = 256
"""Crops that are encoded at a time."""

TRAINING, HELD_OUT = "training part", "held-out part"
"""Of a training's tries: what is learnt from, and what it is judged by."""

_WRONG_SQL = (sqlite3.OperationalError, sqlite3.ProgrammingError, sqlite3.Warning)


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

    def check(self, part: str = "data") -> None:
        """Refuse data of one outcome.

        Args:
            part: Which tries these are: ``data`` (all), :data:`TRAINING` or :data:`HELD_OUT`.

        Raises:
            NothingToLearn: With the counts, and what to do.
        """
        positives = int(self.success.sum())
        if 0 < positives < len(self):
            return
        episodes = len(np.unique(self.episode))
        remedy = "Collect more tries, or look at the labels with 'selfgrasp trials info'"
        if part == HELD_OUT:
            remedy = "Collect more tries, or hold out more episodes ('validation' of the training)"
        elif part == TRAINING:
            remedy += "; 'validation' of the training says how many episodes are held out"
        raise NothingToLearn(
            f"{positives} of {len(self)} tries of the {part} ({episodes} episodes) succeeded: "
            f"both outcomes are needed in it. {remedy}"
        )


def load_tries(
    store: Path,
    cache: Path,
    pixels: int,
    *,
    stages: Sequence[int] | None = None,
    where: str = "",
    robot: str = "",
    on_progress: Callable[[int, int], None] | None = None,
) -> PatchTries:
    """The labelled tries of a store.

    Args:
        store: File.
        cache: Folder for decoded crops.
        pixels: Rows and columns of a crop in the cache; divides the store's.
        stages: Only these; all where None.
        where: Further SQL condition on the store's columns.
        robot: Name or file of the robot that made them; by the store's name where empty.
        on_progress: Called with tries decoded, and their number.

    Raises:
        StorageError: If the store is damaged, or the cache cannot be written.
        InvalidConfig: If the condition is wrong, the robot's name is unknown, or
            ``robot`` is another one.
        NothingToLearn: If there is no labelled try.
    """
    with TrialStore.open(store) as opened:
        size = opened.geometry.crop_pixels
        if size % pixels:
            raise InvalidConfig(
                f"crops of {size} pixels cannot be shrunk to {pixels}: choose a divisor"
            )
        condition = labelled(opened, where)
        there = sorted(set(opened.columns(["stage"], condition)["stage"].tolist()))
        chosen = [stage for stage in there if stages is None or stage in stages]
        if not chosen:
            raise NothingToLearn(
                f"{store} holds no labelled tries of stages {stages or 'any'}"
                + (f" for which {where}" if where else "")
                + f"; it has stages {there}"
            )
        parts = [
            _shard(opened, store, cache, pixels, stage, condition, robot, on_progress)
            for stage in chosen
        ]
    return PatchTries.join(parts) if len(parts) > 1 else parts[0]


def _shard(
    opened: TrialStore,
    store: Path,
    cache: Path,
    pixels: int,
    stage: int,
    condition: str,
    robot: str,
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
    tip = table["z"] - _half_pads(store, table["robot"], table["arm"], robot) - table["surface"]
    identity = hashlib.sha256(str(store.resolve()).encode())
    for column in (table["try"], table["angle"], table["success"], tip):
        identity.update(np.ascontiguousarray(column).tobytes())
    identity.update("\n".join(episode).encode())
    label = {"pixels": pixels, "tries": count, "identity": identity.hexdigest()}
    tag = hashlib.sha256(f"{store.resolve()}|{condition}".encode()).hexdigest()[:8]
    file = cache / f"crops-{tag}-stage{stage}-{pixels}.npy"

    def decode(out: np.ndarray) -> None:
        _decode(opened, out, condition, stage, on_progress)

    return PatchTries(
        crops_of(file, label, (count, pixels, pixels, 4), decode),
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
    out: np.ndarray,
    condition: str,
    stage: int,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    """Fill (N, P, P, 4) with a stage's crops."""
    count = len(out)
    factor = opened.geometry.crop_pixels // out.shape[1]
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


def _half_pads(store: Path, robots: np.ndarray, arms: np.ndarray, given: str) -> np.ndarray:
    """(N,) half the length of each try's pads [m]."""
    pairs = np.char.add(np.char.add(robots, "|"), arms)
    found = np.zeros(len(pairs))
    for pair in np.unique(pairs):
        name, arm = str(pair).split("|", 1)
        robot = robot_of(store, name, given)
        found[pairs == pair] = gripper_of(robot, arm).pad_length / 2
    return found


def robot_of(store: Path, name: str, given: str = "") -> RobotSpec:
    """The robot that made a store's tries.

    Args:
        store: Its file, for messages.
        name: Of the robot, as the store has it.
        given: Name or file of its description; where empty, one that ships.

    Raises:
        InvalidConfig: If none of that name ships, or the given one has another name.
    """
    if given:
        robot = load_robot(given)
        if robot.name != name:
            raise InvalidConfig(
                f"the tries of {store} were made by robot {name!r}, and --robot {given} is "
                f"{robot.name!r}: give the file of {name!r}, or choose tries with --where"
            )
        return robot
    try:
        return load_robot(name)
    except UnknownName as error:
        raise InvalidConfig(
            f"the tries of {store} were made by robot {name!r}, which does not ship with "
            "selfgrasp, and the store keeps the name alone: give its description with --robot FILE"
        ) from error


def labelled(opened: TrialStore, where: str = "") -> str:
    """The SQL condition for labelled tries, with a further one.

    Raises:
        InvalidConfig: If that one is no condition on a store's columns.
    """
    if not where:
        return "success IS NOT NULL"
    try:
        # By itself, too: what closes a bracket that it did not open is no condition.
        for condition in (where, f"({where})"):
            opened.columns(["stage"], condition)
    except (StorageError, sqlite3.Warning) as error:
        reason = error if isinstance(error, sqlite3.Warning) else error.__cause__
        if not isinstance(reason, _WRONG_SQL):
            raise  # the file is damaged
        raise InvalidConfig(
            f"--where {where!r} is no SQL condition on the tries ({reason}): write one such as "
            f"\"stage = 0 AND policy = 'random-roi'\"; columns: {', '.join(PLAIN)}"
        ) from error
    return f"success IS NOT NULL AND ({where})"


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
