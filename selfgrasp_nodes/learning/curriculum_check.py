"""All that a curriculum names is looked at before anything is collected.

Stages are hours long: what is wrong with the last of them, or with the training
that follows the first, must be said at the beginning.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.learning.collect_config import patch_geometry
from selfgrasp_nodes.learning.patch_config import PatchTraining
from selfgrasp_nodes.learning.patch_step import begin_from_imagenet
from selfgrasp_nodes.policies.patch.networks import check_network, make_network
from selfgrasp_nodes.policies.registry import make_policy
from selfgrasp_nodes.robots import RobotSpec, load_robot
from selfgrasp_nodes.simulation.object_sets import Entry, load_object_set

if TYPE_CHECKING:
    from selfgrasp_nodes.learning.curriculum import Curriculum, Stage


def check_curriculum(curriculum: Curriculum, path: Path) -> None:
    """Refuse a curriculum that could not be run to its end.

    Args:
        curriculum: To check.
        path: Of its file, for messages.

    Raises:
        InvalidConfig: If its robot, training, network, an object set, recipe or a
            policy's parameters are wrong, or if its test set shares objects with a
            stage.
        MissingDependency: If objects need meshes that are not installed.
    """
    try:
        robot = load_robot(curriculum.robot)
        _check_training(curriculum.settings(), patch_geometry(robot).crop_pixels)
    except (InvalidConfig, UnknownName) as error:
        raise InvalidConfig(f"{path}: {error}") from error
    named = [(f"stage {k}", stage, k) for k, stage in enumerate(curriculum.stages)]
    if curriculum.test is not None:
        named.append(("test", curriculum.test, 0))
    objects: dict[str, tuple[Entry, ...]] = {}
    for title, stage, number in named:
        try:
            objects[title] = _checked_stage(curriculum, stage, number, robot)
        except (InvalidConfig, UnknownName) as error:
            raise InvalidConfig(f"{path}, {title}: {error}") from error
    novel = objects.pop("test", ())
    for title, entries in objects.items():
        if shared := _shared(entries, novel):
            raise InvalidConfig(
                f"{path}: the test set has objects that {title} trains on: "
                f"{', '.join(shared[:5])}{' ...' if len(shared) > 5 else ''}. A test is of novel "
                "objects: give it a set that no stage has"
            )


def check_start(config: PatchTraining) -> None:
    """Refuse ImageNet weights that the first training could not begin from.

    Raises:
        InvalidConfig: If they do not fit the network.
        StorageError: If their file cannot be read.
    """
    if config.imagenet:
        with torch.random.fork_rng(devices=[]):
            begin_from_imagenet(make_network(**config.network), Path(config.imagenet))


def _check_training(config: PatchTraining, pixels: int) -> None:
    check_network(config.network)
    if pixels % config.crop_pixels:
        raise InvalidConfig(
            f"crop_pixels: crops of {pixels} pixels cannot be shrunk to {config.crop_pixels}: "
            "choose a divisor"
        )


def _checked_stage(
    curriculum: Curriculum, stage: Stage, number: int, robot: RobotSpec
) -> tuple[Entry, ...]:
    """The objects of a stage, if it can be collected."""
    # The checkpoint of a later stage is made only then: the policy is built, and not asked
    # whether it is ready.
    parameters = {k: v for k, v in stage.parameters.items() if k not in ("checkpoint", "digest")}
    config = curriculum.collection(stage.model_copy(update={"parameters": parameters}), number)
    config.recipe(robot)
    make_policy(config.policy, robot, **config.parameters)
    return load_object_set(config.objects, config.sets).entries


def _shared(entries: tuple[Entry, ...], others: tuple[Entry, ...]) -> list[str]:
    """Names of the objects in both: the same block or mesh, or a mesh of the same content."""
    names = {entry.name for entry in others}
    digests = {entry.sha256 for entry in others if entry.sha256}
    return sorted({e.name for e in entries if e.name in names or e.sha256 in digests})
