"""The layout of the public CMU patch data set, out and in.

Folders ``positive`` and ``negative`` (of ``Train``, ``Validation`` and ``Test``
where it is split), each with ``Images`` and ``dataInfo.txt``: a header line, then
``name,angle`` a line, the angle in radians. The folder is the label.

What is written has the angle at which the fingers close, from the image's columns
towards its rows, in [0, pi). A patch of that layout has neither height nor the
surroundings that a crop has, so a store of imported patches has a geometry of its
own, in which crop and patch are one.

``Test`` is the owner's test split: it is read only where it is asked for, into a
store of its own, so that nothing is trained on it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidConfig, StorageError, UnknownName
from selfgrasp_nodes.perception.patches import cut_patches
from selfgrasp_nodes.robots.gripper_spec import GripperSpec
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.trials.store import TrialStore
from selfgrasp_nodes.trials.store_file import made_whole
from selfgrasp_nodes.trials.store_record import StoredTry

LABELS = {"positive": True, "negative": False}
SPLITS = ("Train", "Validation", "Test")
TRAINED_ON = ("Train", "Validation")
"""The splits that are read where none is named."""

PIXELS_MAX = 2048
IMAGES = "Images"
INFO = "dataInfo.txt"
HEADER = "name,angle_rad"
BATCH = 200


def export_patches(
    store: TrialStore, folder: Path, pixels: int = 227, where: str = ""
) -> dict[str, int]:
    """Write the labelled tries of a store as patches.

    Args:
        store: Read from.
        folder: Made; must be empty or missing.
        pixels: Rows and columns of a patch.
        where: SQL condition on the store's columns, e.g. ``stage = 0``.

    Returns:
        How many patches each folder got.

    Raises:
        InvalidConfig: If there are no such patches.
        StorageError: If the folder has content, or cannot be written, or the
            condition is wrong.
    """
    _check_pixels(pixels)
    if where:
        store.check_where(where)
    lines: dict[str, list[str]] = {name: [HEADER] for name in LABELS}
    condition = "success IS NOT NULL" + (f" AND ({where})" if where else "")
    try:
        if folder.exists() and any(folder.iterdir()):
            raise StorageError(f"{folder} is not empty; choose another folder")
        for name in LABELS:
            (folder / name / IMAGES).mkdir(parents=True, exist_ok=True)
        for number, stored in enumerate(store.iterate(condition)):
            label = "positive" if stored.success else "negative"
            color, _ = cut_patches(stored.color[None], stored.height[None], store.geometry, pixels)
            name = f"{number:06d}.png"
            _, data = cv2.imencode(".png", color[0][..., ::-1])
            (folder / label / IMAGES / name).write_bytes(data.tobytes())
            lines[label].append(f"{name},{stored.angle:.6f}")
        for name, text in lines.items():
            (folder / name / INFO).write_text("\n".join(text) + "\n")
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error}") from error
    return {name: len(text) - 1 for name, text in lines.items()}


@dataclass(frozen=True)
class _Patch:
    """One line of the layout."""

    split: str
    success: bool
    file: Path
    angle: float


@dataclass
class Imported:
    """What was read.

    Attributes:
        run: Id of the run.
        positive: Patches with a success.
        negative: Patches with a failure.
        left_out: Patches of the splits that were not read.
    """

    run: str
    positive: int
    negative: int
    left_out: dict[str, int] = field(default_factory=dict)


def import_patches(
    folder: Path,
    path: Path,
    gripper: GripperSpec,
    robot: str,
    run: str = "",
    pixels: int = 192,
    angle_offset: float = 0.0,
    splits: Sequence[str] = (),
) -> Imported:
    """Read patches of that layout into a new store, which is made whole or not at all.

    Args:
        folder: With ``positive`` and ``negative``, or with splits that have them.
        path: Of the store.
        gripper: That made the grasps: its size is the patches'.
        robot: Its name.
        run: Id of the run; made of the splits and what they hold where empty.
        pixels: Rows and columns of a stored patch.
        angle_offset: Added to each angle, where it is counted from another axis
            than here [rad].
        splits: Of :data:`SPLITS`, where the folder is split; :data:`TRAINED_ON`
            where empty.

    Raises:
        UnknownName: If there is no such split.
        InvalidConfig: If a number is out of range.
        StorageError: If the folder has another layout, a line cannot be read, an
            image is missing or damaged, or the store exists.
    """
    _check_pixels(pixels)
    if not math.isfinite(angle_offset):
        raise InvalidConfig(f"the angle's offset must be a number in radians, not {angle_offset}")
    if path.exists():
        raise StorageError(f"{path} exists; choose another name")
    there = _parts(folder)
    chosen = _chosen(folder, there, splits)
    patches = [patch for split in chosen for patch in _patches(there[split], split.lower())]
    run = run or f"cmu-{'+'.join(chosen).lower() or 'all'}-{_digest(patches)}"
    meta = {
        "robot": robot,
        "gripper": gripper.name,
        "imported": folder.resolve().name,
        "splits": list(chosen),
        "angle_offset": angle_offset,
    }
    side = PatchGeometry.of(gripper).patch_side
    with (
        made_whole(path) as partial,
        TrialStore.create(partial, PatchGeometry(side, side, pixels)) as store,
    ):
        store.set_run(run, meta)
        for first in range(0, len(patches), BATCH):
            batch = patches[first : first + BATCH]
            store.append(
                _try(patch, first + i, run, robot, gripper.name, pixels, angle_offset)
                for i, patch in enumerate(batch)
            )
    positive = sum(patch.success for patch in patches)
    left = {
        split: sum(len(_lines(part / n)) for n in LABELS if (part / n / INFO).is_file())
        for split, part in there.items()
        if split not in chosen
    }
    return Imported(run, positive, len(patches) - positive, left)


def _check_pixels(pixels: int) -> None:
    if not 1 <= pixels <= PIXELS_MAX:
        raise InvalidConfig(f"pixels must lie in 1..{PIXELS_MAX}, not {pixels}")


def _parts(folder: Path) -> dict[str, Path]:
    """Folder of each split; of the whole, called "", where it is not split."""
    parts = {name: folder / name for name in SPLITS if (folder / name).is_dir()}
    if not parts and any((folder / label).is_dir() for label in LABELS):
        parts = {"": folder}
    if not parts:
        raise StorageError(
            f"{folder} has not the layout of the CMU patches: positive/ and negative/ with "
            f"{IMAGES}/ and {INFO} (in Train/, Validation/ and Test/ where it is split)"
        )
    return parts


def _chosen(folder: Path, there: dict[str, Path], splits: Sequence[str]) -> list[str]:
    """The splits to read, in their order."""
    for split in splits:
        if split not in SPLITS:
            raise UnknownName("split", split, SPLITS)
        if split not in there:
            known = ", ".join(filter(None, there)) or "no splits: leave --split away"
            raise StorageError(f"{folder} has no {split}/; there are {known}")
    chosen = [split for split in there if split in (splits or ("", *TRAINED_ON))]
    if not chosen:
        raise StorageError(
            f"{folder} holds {', '.join(there)} alone: import it with --split Test into a store "
            "of its own, which nothing is trained on"
        )
    return chosen


def _patches(folder: Path, split: str) -> Iterator[_Patch]:
    """All lines of a split, in the order of labels."""
    for label, success in LABELS.items():
        for number, line in _lines(folder / label):
            yield _line(folder / label, line, number, split, success)


def _lines(part: Path) -> list[tuple[int, str]]:
    """Number and text of each line but the header that is not empty."""
    info = part / INFO
    try:
        text = info.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise StorageError(
            f"{info} is missing: positive/ and negative/ need {IMAGES}/ and {INFO} each; fetch "
            "the data set again"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{info} cannot be read as text: {error}") from error
    lines = enumerate(text.splitlines()[1:], 2)
    return [(number, line) for number, line in lines if line.strip()]


def _digest(patches: Sequence[_Patch]) -> str:
    """Of labels, names, sizes and angles: another data set has another."""
    text = hashlib.sha256()
    for patch in patches:
        size = patch.file.stat().st_size
        text.update(
            f"{patch.split}|{patch.success}|{patch.file.name}|{size}|{patch.angle}".encode()
        )
    return text.hexdigest()[:8]


def _line(part: Path, line: str, number: int, split: str, success: bool) -> _Patch:
    name, _, angle = line.strip().rpartition(",")
    try:
        value = float(angle)
    except ValueError:
        value = math.nan
    if not name or not math.isfinite(value):
        raise StorageError(f"{part / INFO}, line {number}: {line!r} is not 'name,angle'")
    files = [part / IMAGES / name, part / name]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise StorageError(f"{part / INFO}, line {number}: {files[0]} does not exist")
    return _Patch(split, success, file, value)


def _try(
    patch: _Patch,
    number: int,
    run: str,
    robot: str,
    gripper: str,
    pixels: int,
    angle_offset: float,
) -> StoredTry:
    image = cv2.imdecode(np.frombuffer(patch.file.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise StorageError(f"{patch.file} cannot be read as an image; fetch it again")
    color = cv2.resize(image[..., ::-1], (pixels, pixels), interpolation=cv2.INTER_AREA)
    angle = geometry.wrap_grasp(patch.angle + angle_offset)
    return StoredTry(
        run=run,
        episode=number,  # nothing says which patches are of one scene: each is held out alone
        try_=0,
        robot=robot,
        arm="",
        gripper=gripper,
        view="imported",
        policy="imported",
        pose=geometry.grasp_pose(0.0, 0.0, 0.0, angle),
        angle=angle,
        color=np.ascontiguousarray(color),
        height=np.full((pixels, pixels), np.nan, np.float32),
        success=patch.success,
        reason=f"imported as {'positive' if patch.success else 'negative'}",
        object_set=patch.split,
    )
