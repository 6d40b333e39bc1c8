"""The layout of the public CMU patch data set, out and in.

Folders ``positive`` and ``negative`` (of ``Train``, ``Validation`` and ``Test``
where it is split), each with ``Images`` and ``dataInfo.txt``: a header line, then
``name,angle`` a line, the angle in radians. The folder is the label.

What is written has the angle at which the fingers close, from the image's columns
towards its rows, in [0, pi). A patch of that layout has neither height nor the
surroundings that a crop has, so a store of imported patches has a geometry of its
own, in which crop and patch are one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.perception.patches import cut_patches
from selfgrasp_nodes.robots.gripper_spec import GripperSpec
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.trials.store import TrialStore
from selfgrasp_nodes.trials.store_record import StoredTry

LABELS = {"positive": True, "negative": False}
SPLITS = ("Train", "Validation", "Test")
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
        StorageError: If the folder has content, or cannot be written.
    """
    if folder.exists() and any(folder.iterdir()):
        raise StorageError(f"{folder} is not empty; choose another folder")
    lines: dict[str, list[str]] = {name: [HEADER] for name in LABELS}
    condition = "success IS NOT NULL" + (f" AND ({where})" if where else "")
    try:
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


def import_patches(
    folder: Path,
    path: Path,
    gripper: GripperSpec,
    robot: str,
    run: str = "cmu",
    pixels: int = 192,
    angle_offset: float = 0.0,
) -> dict[str, int]:
    """Read patches of that layout into a new store.

    Args:
        folder: With ``positive`` and ``negative``, or with splits that have them.
        path: Of the store.
        gripper: That made the grasps: its size is the patches'.
        robot: Its name.
        run: Id of the run.
        pixels: Rows and columns of a stored patch.
        angle_offset: Added to each angle, where it is counted from another axis
            than here [rad].

    Returns:
        How many of each label were read.

    Raises:
        StorageError: If the folder has another layout, a line cannot be read, an
            image is missing or damaged, or the store exists.
    """
    patches = list(_patches(folder))
    counts = {"positive": 0, "negative": 0}
    side = PatchGeometry.of(gripper).patch_side
    with TrialStore.create(path, PatchGeometry(side, side, pixels)) as store:
        store.set_run(run, {"robot": robot, "gripper": gripper.name, "imported": str(folder)})
        for first in range(0, len(patches), BATCH):
            batch = patches[first : first + BATCH]
            store.append(
                _try(patch, first + i, run, robot, gripper.name, pixels, angle_offset)
                for i, patch in enumerate(batch)
            )
        for patch in patches:
            counts["positive" if patch.success else "negative"] += 1
    return counts


def _patches(folder: Path) -> Iterator[_Patch]:
    """All lines, in the order of splits and labels."""
    splits = [name for name in SPLITS if (folder / name).is_dir()]
    found = False
    for split in splits or [""]:
        for label, success in LABELS.items():
            part = folder / split / label
            info = part / INFO
            if not info.is_file():
                continue
            found = True
            for number, line in enumerate(info.read_text().splitlines()[1:], 2):
                if line.strip():
                    yield _line(part, line, number, split.lower(), success)
    if not found:
        raise StorageError(
            f"{folder} has not the layout of the CMU patches: positive/ and negative/ with "
            f"{IMAGES}/ and {INFO} (in Train/, Validation/ and Test/ where it is split)"
        )


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
