"""What a training is made of, from ``config/learning/*.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.robots import Spec

Share = Annotated[float, Field(ge=0, lt=1)]


class Augment(Spec):
    """How a try is varied each time it is shown; every variation keeps the label true.

    Attributes:
        turn: Whether the patch is turned at random, and the tried angle with it
            (section III-C of the paper); a network that judges all angles alike
            needs it not, and is shown the try at the middle of a bin.
        mirror: Whether it is mirrored at random.
        shift: Standard deviation of the grasp's own position [m].
        jitter: Standard deviation of its angle [rad].
        brightness: Standard deviation of the factor and offset on each colour.
        height_noise: Standard deviation of an offset on all heights [m].
        dropout: Largest share of pixels whose height is taken away.
    """

    turn: bool = True
    mirror: bool = True
    shift: Annotated[float, Field(ge=0, le=0.02)] = 0.001
    jitter: Annotated[float, Field(ge=0, le=0.5)] = 0.03
    brightness: Share = 0.1
    height_noise: Annotated[float, Field(ge=0, le=0.02)] = 0.001
    dropout: Share = 0.0


class Phase(Spec):
    """Length and rates of one training: from scratch, or of a further stage.

    Attributes:
        epochs: Times that the data are shown.
        rate: Learning rate at its highest.
    """

    epochs: Annotated[int, Field(ge=1, le=1000)]
    rate: Annotated[float, Field(gt=0, le=1)]


class PatchTraining(Spec):
    """The content of a training's file.

    Attributes:
        network: ``name``, and the parameters that build it.
        crop_pixels: Rows and columns to which crops are shrunk; divides 192.
        imagenet: File with ImageNet weights for ``alexnet`` or ``lite``; none where empty.
        base: Training from scratch (iteration 0 of the paper).
        stage: Fine-tuning with the data of a further stage.
        batch: Tries a step.
        optimizer: ``adamw``, or the paper's ``sgd`` with momentum 0.9.
        schedule: The rate falls along a ``cosine`` to 0, or is ``constant``.
        weight_decay: Of the optimiser.
        average: Decay a step of the running mean of the weights that is kept in
            place of the last ones; 0 keeps the last ones.
        balance: 0 counts each try once, 1 gives both outcomes the same weight in
            all; between, the power of that.
        smoothing: Labels are moved from 0 and 1 by this.
        soft_angle: A try also counts for bins around its own, with a Gaussian of
            this standard deviation [rad]; 0 for its own alone, as in the paper.
        new_weight: Tries of stages after 0 count so many times (the paper's
            importance factor).
        members: Networks that are trained from different seeds and averaged.
        validation: Share of episodes held out for calibration and choices.
        augment: See :class:`Augment`.
        seed: Of everything that is drawn.
        threads: Of torch.
    """

    network: dict[str, Any] = {"name": "polar"}
    crop_pixels: Annotated[int, Field(ge=8, le=192)] = 96
    imagenet: str = ""
    base: Phase = Phase(epochs=20, rate=0.003)
    stage: Phase = Phase(epochs=5, rate=0.0006)
    batch: Annotated[int, Field(ge=2, le=4096)] = 128
    optimizer: Literal["adamw", "sgd"] = "adamw"
    schedule: Literal["cosine", "constant"] = "cosine"
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    average: Share = 0.99
    balance: Annotated[float, Field(ge=0, le=1)] = 1.0
    smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.01
    soft_angle: Annotated[float, Field(ge=0, le=1)] = 0.0
    new_weight: Annotated[int, Field(ge=1, le=100)] = 3
    members: Annotated[int, Field(ge=1, le=32)] = 1
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.12
    augment: Augment = Augment()
    seed: Annotated[int, Field(ge=0, le=2**31)] = 1
    threads: Annotated[int, Field(ge=1, le=256)] = 1


def load_training(path: Path, /, **overrides: Any) -> PatchTraining:
    """Read a training's file.

    Args:
        path: YAML.
        **overrides: Win over the file's.

    Raises:
        InvalidConfig: If it cannot be read, or a value is unknown or out of range.
    """
    content = read_mapping(path, "a training's parameters")
    training: PatchTraining = checked(PatchTraining, {**content, **overrides}, path)
    return training


def read_mapping(path: Path, what: str) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty one.

    Args:
        path: The file.
        what: It maps, for the message.

    Raises:
        InvalidConfig: If it cannot be read, or is no mapping.
    """
    try:
        content = yaml.safe_load(path.read_text("utf-8")) or {}
    except UnicodeDecodeError as error:
        raise InvalidConfig(
            f"{path} is no text in UTF-8 ({error}): give a YAML file, or save it in UTF-8"
        ) from error
    except (OSError, yaml.YAMLError) as error:
        raise InvalidConfig(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise InvalidConfig(f"{path} must be a mapping of {what}")
    return content


def checked(kind: type[Spec], content: dict[str, Any], path: object) -> Any:
    """``content`` as a description, or an error that names each fault.

    Raises:
        InvalidConfig: If it is not valid.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        valid = ", ".join(kind.model_fields)
        raise InvalidConfig(
            f"{path} is not valid:\n" + "\n".join(lines) + f"\nvalid keys: {valid}"
        ) from error
