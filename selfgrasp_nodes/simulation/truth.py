"""Where the objects really are; for evaluation only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import mujoco
import numpy as np


class ObjectTruth(NamedTuple):
    """Where an object really is; for evaluation only.

    ``held_by`` names the arm whose two fingers both touch it, or each another
    object of a stack that it belongs to, while the table touches none of them;
    it is empty where there is no such arm.
    """

    id: str
    shape: str
    world_T_object: np.ndarray
    held_by: str


def object_truth(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    objects: Mapping[str, tuple[int, str]],
    fingers: Mapping[str, tuple[frozenset[int], ...]],
) -> list[ObjectTruth]:
    """Pose and holder of each object.

    Args:
        model: Of the world.
        data: Its state.
        objects: Body and shape by name.
        fingers: For each arm the bodies of its fingers.
    """
    touching: dict[int, set[int]] = {body: set() for body, _ in objects.values()}
    for a, b in model.geom_bodyid[data.contact.geom].tolist():
        if a in touching:
            touching[a].add(b)
        if b in touching:
            touching[b].add(a)
    holders = {
        body: arm
        for arm, sides in fingers.items()
        for stack in _stacks({body: near for body, near in touching.items() if 0 not in near})
        if all(any(touching[body] & side for body in stack) for side in sides)
        for body in stack
        if any(touching[body] & side for side in sides)
    }
    found = []
    for name, (body, shape) in objects.items():
        pose = np.eye(4)
        pose[:3, :3] = data.xmat[body].reshape(3, 3)
        pose[:3, 3] = data.xpos[body]
        found.append(ObjectTruth(name, shape, pose, holders.get(body, "")))
    return found


def _stacks(touching: Mapping[int, set[int]]) -> Iterator[set[int]]:
    """The bodies in groups that touch each other, also over others of the group."""
    left = set(touching)
    while left:
        stack: set[int] = set()
        new = {left.pop()}
        while new:
            stack |= new
            new = {near for body in new for near in touching[body]} & left
            left -= new
        yield stack
