"""Scenes to learn on: dropped clutter, and blocks flush in rows, where only a push helps."""

from __future__ import annotations

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidScene
from selfgrasp_nodes.learning.pixelq_config import Clutter
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.simulation.drops import random_scene
from selfgrasp_nodes.simulation.objects import random_object
from selfgrasp_nodes.simulation.scene import Scene, SceneObject, penetrations

ROWED = ("cube", "brick", "plank", "tile")
"""Kinds that stand flush."""

GAP = 0.0003
"""Least distance of neighbours [m]: they touch, and do not overlap."""

TRIES = 50


def draw_scene(
    robot: RobotSpec, clutter: Clutter, seed: int, episode: int, kinds: tuple[str, ...] = ()
) -> Scene:
    """The scene of an episode; the same for the same seed and number.

    Raises:
        InvalidScene: If so many objects do not fit.
    """
    rng = np.random.default_rng([seed, episode])
    count = int(rng.integers(clutter.objects[0], clutter.objects[1] + 1))
    if rng.random() < clutter.packed:
        return packed_scene(robot, f"packed-{seed}-{episode}", min(count, 12), rng)
    return random_scene(robot, count, int(rng.integers(2**31)), kinds)


def packed_scene(robot: RobotSpec, name: str, count: int, rng: np.random.Generator) -> Scene:
    """Groups of blocks in rows of equal depth, flush or nearly so, anywhere on the table.

    Args:
        robot: Whose workspace.
        name: Of the scene.
        count: Blocks in all, at least 2.
        rng: Source of randomness.

    Raises:
        InvalidScene: If no arrangement fits.
    """
    half = np.asarray(robot.workspace.size) / 2 - 0.02
    for _ in range(TRIES):
        left, objects = max(count, 2), list[SceneObject]()
        while left:
            group = min(left, int(rng.integers(2, 5)))
            group = left if left - group == 1 else group  # nobody stands alone
            objects += _group(group, rng, half)
            left -= group
        scene = Scene(name, tuple(objects))
        corners = [
            (obj.spec.vertices @ obj.pose[:3, :3].T + obj.pose[:3, 3])[:, :2] for obj in objects
        ]
        if np.abs(np.concatenate(corners)).max() < half.min() and not penetrations(scene):
            return scene
    raise InvalidScene(f"{count} blocks in rows found no place in {TRIES} draws; ask for fewer")


def _group(count: int, rng: np.random.Generator, half: np.ndarray) -> list[SceneObject]:
    """Blocks side by side along one line, turned together and put down somewhere."""
    turn = geometry.transform(rpy=(0, 0, rng.uniform(0, 2 * np.pi)))
    middle = rng.uniform(-half + 0.06, half - 0.06)
    gap = GAP + (rng.uniform(0, 0.004) if rng.random() < 0.3 else 0.0)
    placed, along = [], 0.0
    for _ in range(count):
        spec = random_object(rng, ROWED)
        # Lying on any of its sides: a random permutation of its axes, kept right-handed.
        axes = np.eye(3)[rng.permutation(3)]
        axes[0] *= np.sign(np.linalg.det(axes))
        size = np.abs(axes) @ np.asarray(spec.size)
        pose = np.eye(4)
        pose[:3, :3] = axes
        pose[:3, 3] = (along + size[0] / 2, 0.0, size[2] / 2)
        along += size[0] + gap
        placed.append((spec, pose))
    found = []
    for spec, pose in placed:
        pose[0, 3] -= along / 2
        moved = turn @ pose
        moved[:2, 3] += middle
        found.append(SceneObject(spec, (0, 0, 0), (1, 0, 0, 0)).moved(moved))
    return found
