"""Where the objects really are; for evaluation only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import mujoco
import numpy as np


class ObjectTruth(NamedTuple):
    """Where an object really is; for evaluation only.

    ``held_by`` names the arm whose two fingers both touch it while the table
    does not, or is empty.
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
    found = []
    for name, (body, shape) in objects.items():
        pose = np.eye(4)
        pose[:3, :3] = data.xmat[body].reshape(3, 3)
        pose[:3, 3] = data.xpos[body]
        holder = ""
        for arm, sides in fingers.items():
            if 0 not in touching[body] and all(touching[body] & side for side in sides):
                holder = arm
        found.append(ObjectTruth(name, shape, pose, holder))
    return found
