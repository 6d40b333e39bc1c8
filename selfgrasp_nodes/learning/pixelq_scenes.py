"""Scenes to learn on: dropped clutter, and blocks flush in rows, where only a push helps."""

from __future__ import annotations

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidScene
from selfgrasp_nodes.learning.pixelq_config import Clutter
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.simulation.drops import random_scene
from selfgrasp_nodes.simulation.objects import ObjectSpec, random_object
from selfgrasp_nodes.simulation.scene import Scene, SceneObject, penetrations
from selfgrasp_nodes.simulation.shapes import SIZES

BOXES = ("cube", "brick", "plank", "tile")
"""Kinds that stand flush on any of their sides; the others stand on their base."""

OTHERS = tuple(kind for kind in SIZES if kind not in BOXES)

BOXED = 0.7
"""Share of boxes among the blocks in rows."""

RAFTS = 0.5
"""Share of rafts, of one kind of box in a grid, among groups of four blocks and more: no end of
a row sticks out, so that hardly a grasp is left."""

PACKED = (4, 12)
"""Least and largest number of blocks in rows: few, so that many scenes are begun."""

GAP = 0.0003
"""Least distance of neighbours [m]: they touch, and do not overlap."""

BORDER = 0.006
"""Least distance of rows from the workspace's border [m]."""

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
        name = f"packed-{seed}-{episode}"
        few = int(rng.integers(PACKED[0], min(max(count, PACKED[0]), PACKED[1]) + 1))
        return packed_scene(robot, name, few, rng, rng.random() < clutter.edge)
    return random_scene(robot, count, int(rng.integers(2**31)), kinds)


def packed_scene(
    robot: RobotSpec, name: str, count: int, rng: np.random.Generator, edge: bool = False
) -> Scene:
    """Groups of blocks in one or two rows, flush or nearly so, anywhere on the table.

    Args:
        robot: Whose workspace.
        name: Of the scene.
        count: Blocks in all, at least 2.
        rng: Source of randomness.
        edge: Whether one group stands at the border, or in a corner.

    Raises:
        InvalidScene: If no arrangement fits.
    """
    half = np.asarray(robot.workspace.size) / 2 - BORDER
    for _ in range(TRIES):
        left, objects = max(count, 2), list[SceneObject]()
        first = edge
        while left:
            group = min(left, int(rng.integers(2, 7)))
            group = left if left - group == 1 else group  # nobody stands alone
            made = _group(group, rng, half)
            objects += _to_border(made, rng, half) if first else made
            left, first = left - group, False
        scene = Scene(name, tuple(objects))
        if (np.abs(_corners(objects)).max(0) <= half + 1e-6).all() and not penetrations(scene):
            return scene
    raise InvalidScene(f"{count} blocks in rows found no place in {TRIES} draws; ask for fewer")


def _corners(objects: list[SceneObject]) -> np.ndarray:
    """(N, 2) x and y of all their corners [m]."""
    return np.concatenate(
        [(obj.spec.vertices @ obj.pose[:3, :3].T + obj.pose[:3, 3])[:, :2] for obj in objects]
    )


def _to_border(
    group: list[SceneObject], rng: np.random.Generator, half: np.ndarray
) -> list[SceneObject]:
    """A group shifted to one border, or into a corner, up to 2 cm from it."""
    corners, shift = _corners(group), np.zeros(2)
    axes = ([0], [1], [0, 1])[int(rng.integers(3))]
    for axis in axes:
        inner = half[axis] - rng.uniform(0, 0.02)
        if rng.random() < 0.5:
            shift[axis] = inner - corners[:, axis].max()
        else:
            shift[axis] = -inner - corners[:, axis].min()
    found = []
    for obj in group:
        pose = obj.pose.copy()
        pose[:2, 3] += shift
        found.append(obj.moved(pose))
    return found


def _group(count: int, rng: np.random.Generator, half: np.ndarray) -> list[SceneObject]:
    """Blocks side by side along one line; four and more in two rows back to back, or a raft.

    They are turned together and put down somewhere.
    """
    turn = geometry.transform(rpy=(0, 0, rng.uniform(0, 2 * np.pi)))
    turn[:2, 3] = rng.uniform(-half + 0.06, half - 0.06)
    gap = GAP + (rng.uniform(0, 0.004) if rng.random() < 0.3 else 0.0)
    if count >= 4 and rng.random() < RAFTS:
        placed = _raft(count, rng, gap)
    elif count < 4 or rng.random() < 0.3:
        placed = _row(count, rng, gap, side=0)
    else:
        placed = _row(count // 2, rng, gap, side=-1) + _row(count - count // 2, rng, gap, side=1)
    return [SceneObject(spec, (0, 0, 0), (1, 0, 0, 0)).moved(turn @ pose) for spec, pose in placed]


def _raft(count: int, rng: np.random.Generator, gap: float) -> list[tuple[ObjectSpec, np.ndarray]]:
    """Boxes of one kind, turned alike, in two or three rows about the origin."""
    first = random_object(rng, BOXES)
    axes = _turned(first, rng)
    size = np.abs(axes) @ np.asarray(first.size)
    rows = 3 if count >= 6 and rng.random() < 0.4 else 2
    placed = []
    for row in range(rows):
        columns = count // rows + (row < count % rows)
        for column in range(columns):
            pose = np.eye(4)
            pose[:3, :3] = axes
            pose[:2, 3] = (np.array([column, row]) - (np.array([columns, rows]) - 1) / 2) * (
                size[:2] + gap
            )
            pose[2, 3] = size[2] / 2
            other = random_object(rng, (first.shape,))  # another colour, friction and density
            placed.append((other, pose))
    return placed


def _turned(spec: ObjectSpec, rng: np.random.Generator) -> np.ndarray:
    """Its axes permuted at random and kept right-handed; only boxes are laid on their sides."""
    order = rng.permutation(3) if spec.shape in BOXES else [*rng.permutation(2), 2]
    axes = np.eye(3)[order]
    axes[0] *= np.sign(np.linalg.det(axes))
    return axes


def _row(
    count: int, rng: np.random.Generator, gap: float, side: int
) -> list[tuple[ObjectSpec, np.ndarray]]:
    """Blocks along x about the origin: their middles on the axis, or all of them on one side."""
    placed, along = [], 0.0
    for _ in range(count):
        kinds = BOXES if rng.random() < BOXED else OTHERS
        spec = random_object(rng, kinds)
        axes = _turned(spec, rng)
        size = np.abs(axes) @ np.asarray(spec.size)
        pose = np.eye(4)
        pose[:3, :3] = axes
        pose[:3, 3] = (along + size[0] / 2, side * (size[1] + gap) / 2, size[2] / 2)
        along += size[0] + gap
        placed.append((spec, pose))
    for _, pose in placed:
        pose[0, 3] -= along / 2
    return placed
