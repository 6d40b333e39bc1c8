#!/usr/bin/env python3
"""Choose the object sets: ``config/objects/toys.yaml``.

    python tools/choose_objects.py [--robot baxter] [--jobs N] [--out FILE]

The rule. The robot's own kinds of block come first, then meshes 0 to 899 of
pybullet_data in an order drawn once (seed below). Each mesh has a size drawn once,
too, between half of and all of what its own URDF says (12 cm or so), as toys are of
many sizes. It is taken if the gripper could hold it: dropped alone on the table, it
comes to rest, and in that rest the geometry has a clean grasp (the oracle's test:
two opposite surfaces within the stroke, room for the fingers), for each of three
drops. Meshes of more convex pieces than simulate quickly are passed over. No
policy, learnt or not, has a say. Baxter's gripper has the narrowest stroke (37 to
75 mm); what it could hold, the others can. Meshes fill the sets in turn, so that the sets
are alike; an object is in one set alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

SEED = 2016
SCALES = (0.5, 1.0)
"""Least and largest factor on a mesh's own size."""
RESTS = 3
MOST_PIECES = 12
SIZES = {"train_base": 75, "train_staged": 75, "test_novel": 15}
"""Objects of each set; those of the blocks count with ``train_base``."""

_world = _oracle = None


def start(robot_name: str) -> None:
    """Build this process's world."""
    global _world, _oracle
    from selfgrasp_nodes.robots import load_robot
    from selfgrasp_nodes.simulation.oracle import Oracle
    from selfgrasp_nodes.simulation.world import World, WorldOptions

    _world = World(load_robot(robot_name), WorldOptions(noise=False))
    _oracle = Oracle(_world)


def judged(index: int) -> tuple[int, float]:
    """(mesh, its scale; 0 where the gripper could not hold it)."""
    from selfgrasp_nodes.simulation.meshes import load, pybullet_meshes

    (asset,) = pybullet_meshes([index])
    if len(load(asset.file).hulls) > MOST_PIECES:
        return index, 0.0
    scale = round(float(np.random.default_rng([SEED, index]).uniform(*SCALES)), 2)
    held = all(_holdable(index, scale, rest) for rest in range(RESTS))
    return index, scale if held else 0.0


def _holdable(index: int, scale: float, rest: int) -> bool:
    from selfgrasp_nodes.errors import InvalidScene
    from selfgrasp_nodes.simulation.drops import DropOptions, drop
    from selfgrasp_nodes.simulation.meshes import MeshAsset, pybullet_meshes
    from selfgrasp_nodes.simulation.objects import MESH, ObjectSpec
    from selfgrasp_nodes.types import Observation, Primitive

    assert _world is not None and _oracle is not None
    (asset,) = pybullet_meshes([index])
    spec = ObjectSpec(MESH, MeshAsset(asset.file, asset.scale * scale).size, mesh=asset.file)
    rng = np.random.default_rng([SEED, index, rest])
    try:
        scene = drop(f"{index}", [spec], _world.robot, rng, DropOptions(rounds=3))
    except InvalidScene:
        return False
    _world.reset(scene, 0)
    return bool(_oracle.propose(Observation("o", 0, {}), 0, 1, (Primitive.GRASP,)))


def chosen(robot_name: str, jobs: int) -> Iterator[tuple[int, float]]:
    """Meshes that the gripper could hold, in the order of the draw."""
    order = np.random.default_rng(SEED).permutation(900).tolist()
    with get_context("spawn").Pool(jobs, start, (robot_name,)) as pool:
        for index, scale in pool.imap(judged, order):
            if scale:
                yield index, scale


def main() -> None:
    """Fill the sets and write the file."""
    from selfgrasp_nodes.robots import load_robot
    from selfgrasp_nodes.simulation.meshes import pybullet_meshes
    from selfgrasp_nodes.simulation.object_sets import file_digest
    from selfgrasp_nodes.simulation.shapes import SIZES as BLOCKS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--robot", default="baxter")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    robot = load_robot(args.robot)
    gripper = robot.arms[0].gripper.name
    sets: dict[str, list[str]] = {name: [] for name in SIZES}
    sets["train_base"] = [f"{{block: {kind}}}" for kind in robot.blocks or BLOCKS]
    found = chosen(args.robot, args.jobs)
    while open_sets := [n for n in SIZES if len(sets[n]) < SIZES[n]]:
        for name in open_sets:
            index, scale = next(found)
            digest = file_digest(pybullet_meshes([index])[0].file)
            sets[name].append(f"{{mesh: {index}, scale: {scale}, sha256: '{digest}'}}")
            print(name, sets[name][-1], flush=True)
    lines = [
        f"# Objects that the {gripper} gripper could hold, chosen by tools/choose_objects.py.",
        "# Meshes are those of pybullet_data 3.2.7; the digests are of their files.",
        f"gripper: {gripper}",
        "sets:",
    ]
    for name, entries in sets.items():
        lines += [f"  {name}:", *(f"    - {entry}" for entry in entries)]
    out = args.out or Path("config/objects/toys.yaml")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
