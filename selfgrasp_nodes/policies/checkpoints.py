"""Checkpoints: weights as safetensors, and beside them a card in YAML.

``NAME.safetensors`` holds the weights, ``NAME.yaml`` says what they are: policy,
network, input, gripper and strokes served, what they were trained on, how good
they are, and the SHA-256 of the weights' file. Nothing is ever unpickled: a file
that is a pickle (or a zip of one, as ``torch.save`` writes) is refused by its
first bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import Field, ValidationError

from selfgrasp_nodes.errors import InvalidConfig, MissingDependency, StorageError
from selfgrasp_nodes.robots import GripperSpec, Spec

if TYPE_CHECKING:
    import torch

FORMAT = 1
"""Of the card."""

STROKE_TOLERANCE = 0.001
"""Grippers whose openings differ by less than this [m] are one kind."""

CARD_LIMIT = 1 << 20
"""Largest card that is read [bytes]."""


class GripperCard(Spec):
    """The gripper that a checkpoint was trained with.

    Attributes:
        name: As in the robot's description.
        strokes: (smallest, largest) opening that it serves [m].
        finger_thickness: Of one finger, along the closing direction [m].
        finger_width: Across it [m].
        pad_length: Height of a pad [m].
    """

    name: str
    strokes: tuple[float, float]
    finger_thickness: float
    finger_width: float
    pad_length: float

    @classmethod
    def of(cls, gripper: GripperSpec) -> GripperCard:
        """The card's entry for a gripper."""
        return cls(
            name=gripper.name,
            strokes=(gripper.width_min, gripper.width_max),
            finger_thickness=gripper.finger_thickness,
            finger_width=gripper.finger_width,
            pad_length=gripper.pad_length,
        )

    def check(self, gripper: GripperSpec) -> None:
        """Refuse another gripper.

        Raises:
            InvalidConfig: With both grippers.
        """
        other = GripperCard.of(gripper)
        wrong = [
            f"{name} {mine} m, not {theirs} m"
            for name, mine, theirs in (
                ("strokes", self.strokes, other.strokes),
                ("finger_thickness", (self.finger_thickness,), (other.finger_thickness,)),
                ("finger_width", (self.finger_width,), (other.finger_width,)),
                ("pad_length", (self.pad_length,), (other.pad_length,)),
            )
            if max(abs(a - b) for a, b in zip(mine, theirs, strict=True)) > STROKE_TOLERANCE
        ]
        if wrong:
            raise InvalidConfig(
                f"the checkpoint was trained for gripper {self.name!r} and the robot has "
                f"{gripper.name!r}: {'; '.join(wrong)}. Train one for this gripper with "
                "'selfgrasp train'"
            )


class Card(Spec):
    """What a checkpoint is.

    Attributes:
        format: Version of the card.
        policy: The policy that it belongs to.
        network: ``name``, and the parameters that build it.
        input: Sizes and encoding of what the network is shown.
        gripper: That it was trained with.
        robot: Name of the robot.
        views: Cameras that the patches came from.
        training: Data (with digest), stages, epochs, seed.
        calibration: From the network's numbers to probabilities.
        metrics: On held-out data.
        versions: Of the packages that trained it.
        sha256: Of the weights' file.
        note: Anything else.
    """

    format: int = Field(default=FORMAT, ge=1, le=FORMAT)
    policy: str
    network: dict[str, Any]
    input: dict[str, Any]
    gripper: GripperCard
    robot: str
    views: tuple[str, ...]
    training: dict[str, Any] = {}
    calibration: dict[str, float] = {}
    metrics: dict[str, Any] = {}
    versions: dict[str, str] = {}
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    note: str = ""

    def as_yaml(self) -> str:
        """The card as text."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, width=100)


@dataclass(frozen=True)
class Checkpoint:
    """A card with its weights.

    Attributes:
        card: What they are.
        weights: By name.
        path: Of the weights' file.
    """

    card: Card
    weights: dict[str, torch.Tensor]
    path: Path


def save_checkpoint(path: Path, card: Card, weights: dict[str, torch.Tensor]) -> Card:
    """Write ``path`` with suffixes ``.safetensors`` and ``.yaml``.

    Both are written beside the old ones first, so that a full disk leaves those whole; then they
    take their places, one right after the other. Killed between the two, the weights no longer
    fit the card, which loading says; the training that wrote them writes both again.

    Returns:
        The card with the weights' digest.

    Raises:
        StorageError: If they cannot be written.
    """
    from safetensors.torch import save

    data = save({name: tensor.detach().contiguous() for name, tensor in weights.items()})
    card = card.model_copy(update={"sha256": hashlib.sha256(data).hexdigest()})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_together(
            {
                path.with_suffix(".safetensors"): data,
                path.with_suffix(".yaml"): card.as_yaml().encode(),
            }
        )
    except OSError as error:
        raise StorageError(
            f"the checkpoint {path} cannot be written ({error}): free the disk, or give a folder "
            "that may be written, and run the same command again; the one before is whole"
        ) from error
    return card


def load_checkpoint(
    path: str | Path, *, digest: str = "", policy: str = "", gripper: GripperSpec | None = None
) -> Checkpoint:
    """Read a checkpoint and check all that its card promises.

    Args:
        path: The card, the weights, or both without a suffix.
        digest: SHA-256 that the weights must have; empty accepts the card's.
        policy: That it must be for; any where empty.
        gripper: That it must serve; any where None.

    Raises:
        StorageError: If a file is missing, damaged or a pickle, or the digest differs.
        InvalidConfig: If the card is wrong, or for another policy or gripper.
        MissingDependency: If safetensors or torch are not installed.
    """
    path = Path(path).expanduser()
    suffixes = (".yaml", ".safetensors")
    weights_path = path.with_suffix(".safetensors") if path.suffix in suffixes else path
    if not path.suffix:
        weights_path = Path(f"{path}.safetensors")
    if not weights_path.is_file():
        raise StorageError(
            f"there is no checkpoint {weights_path}: give the path of a NAME.safetensors that "
            "has its card NAME.yaml beside it ('selfgrasp train' writes both)"
        )
    data = weights_path.read_bytes()
    refuse_pickle(data, weights_path)
    card = read_card(weights_path.with_suffix(".yaml"))
    if policy and card.policy != policy:
        raise InvalidConfig(f"{weights_path} is for policy {card.policy!r}, not {policy!r}")
    found = hashlib.sha256(data).hexdigest()
    for expected, who in ((digest.lower(), "the caller"), (card.sha256, "its card")):
        if expected and found != expected:
            raise StorageError(
                f"the weights {weights_path} have SHA-256 {found}, but {who} says {expected}: "
                "the file was changed or belongs to another card; fetch both again"
            )
    if not card.sha256:
        raise InvalidConfig(f"the card of {weights_path} names no sha256 of the weights")
    if gripper is not None:
        card.gripper.check(gripper)
    return Checkpoint(card, _tensors(data, weights_path), weights_path)


def read_card(path: Path) -> Card:
    """Read a card.

    Raises:
        StorageError: If there is none.
        InvalidConfig: If it is none.
    """
    if not path.is_file():
        raise StorageError(
            f"there is no card {path}; a checkpoint is NAME.safetensors + NAME.yaml"
        )
    try:
        with path.open("rb") as file:
            text = file.read(CARD_LIMIT)
        return Card.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"{path} cannot be read as YAML: {error}") from error
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise InvalidConfig(f"{path} is no checkpoint's card: {'; '.join(lines)}") from error


def refuse_pickle(data: bytes, path: Path) -> None:
    """Refuse what begins like a pickle, or like a zip of one.

    Raises:
        StorageError: With what is accepted.
    """
    # Safetensors begin with the length of their header, any bytes, and then with its brace.
    if data[8:9] == b"{":
        return
    if data[:2] in (b"PK", b"\x1f\x8b") or data[:1] == b"\x80" or data[:4] == b"BZh9":
        raise StorageError(
            f"{path} holds pickled content (as torch.save writes), which can run any code and is "
            "never loaded; checkpoints are safetensors"
        )


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    write_together({path: data})


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write files so that none is replaced before all are on the disk, whole."""
    parts = {path: path.with_name(f".{path.name}.part") for path in files}
    try:
        for path, data in files.items():
            with parts[path].open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for path, part in parts.items():
            part.replace(path)
    except OSError:
        # What was there before stays; half a file would only fill the disk further.
        for part in parts.values():
            with suppress(OSError):
                part.unlink(missing_ok=True)
        raise


def versions() -> dict[str, str]:
    """Versions of the packages that a checkpoint depends on."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("torch", "safetensors", "numpy", "opencv-python-headless", "mujoco"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _tensors(data: bytes, path: Path) -> dict[str, torch.Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load
    except ImportError as error:
        raise MissingDependency(
            "checkpoints need torch and safetensors: run 'make setup-learning', or pip install -r "
            "requirements-learning.txt"
        ) from error
    try:
        return load(data)
    except SafetensorError as error:
        raise StorageError(f"{path} is no whole safetensors file ({error})") from error
