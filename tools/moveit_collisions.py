"""Which pairs of a robot's links MoveIt need not check against each other.

Computed, not guessed: neighbours; pairs that touch in (nearly) every one of 1,000 random
configurations or at home; pairs that touch in none of 20,000 (with 95 % confidence, in
fewer than 0.015 % of all); pairs that the embedded planner does not check either ("User"),
so that MoveIt refuses no goal which that one would choose. Links of different arms are
always checked. Shapes are those of the URDF, the checks coal's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pinocchio

from selfgrasp_nodes.motion.collision import kept_apart
from selfgrasp_nodes.motion.model import RobotModel
from selfgrasp_nodes.robots import RobotSpec

SEED = 5
FIRST, ALL = 1_000, 20_000
ALWAYS = 0.95
"""Share of random configurations in which a pair touches that is taken to touch always."""


def disabled_collisions(robot: RobotSpec, samples: int = ALL) -> dict[tuple[str, str], str]:
    """Pairs of links that need no check, with the reason, by name.

    Args:
        robot: The cell.
        samples: Random configurations in which a pair must be seen apart.
    """
    model = RobotModel(robot)
    shapes = model.shapes.copy()
    for shape in shapes.geometryObjects:
        shape.geometry.computeLocalAABB()
    names = [model.model.frames[s.parentFrame].name for s in shapes.geometryObjects]
    links = sorted(set(names))
    neighbours = _neighbours(model, set(links))
    arms = {a.name: model.subtree(model.arm_joint_ids(a)[0]) for a in robot.arms}
    arm_of = {
        name: next((a for a, ids in arms.items() if int(s.parentJoint) in ids), "")
        for name, s in zip(names, shapes.geometryObjects, strict=True)
    }
    for first in range(len(names)):
        for second in range(first + 1, len(names)):
            if names[first] != names[second]:
                shapes.addCollisionPair(pinocchio.CollisionPair(first, second))
    pairs = [
        (min(a, b), max(a, b))
        for a, b in ((names[p.first], names[p.second]) for p in shapes.collisionPairs)
    ]
    rng = np.random.default_rng(SEED)
    hits = dict.fromkeys(pairs, 0)
    for pair in touching(model, shapes, pairs, [model.neutral()]):
        hits[pair] = -FIRST  # at home
    home = {pair for pair, count in hits.items() if count < 0}
    hits = dict.fromkeys(pairs, 0)
    for pair in touching(model, shapes, pairs, random_configurations(model, rng, FIRST)):
        hits[pair] += 1
    seen = {pair for pair, count in hits.items() if count}
    undecided = pinocchio.GeometryModel(shapes)
    for index in reversed(range(len(pairs))):
        if pairs[index] in seen:
            undecided.removeCollisionPair(shapes.collisionPairs[index])
    rest = [
        (min(a, b), max(a, b))
        for a, b in ((names[p.first], names[p.second]) for p in undecided.collisionPairs)
    ]
    seen |= set(touching(model, undecided, rest, random_configurations(model, rng, samples)))
    found, alike = {}, _unchecked(model)
    for a, b in sorted(set(pairs)):
        apart = arm_of[a] and arm_of[b] and arm_of[a] != arm_of[b]
        if (a, b) in neighbours:
            found[a, b] = "Adjacent"
        elif hits[a, b] >= ALWAYS * FIRST:
            found[a, b] = "Always"
        elif (a, b) in home:
            found[a, b] = "Default"
        elif (a, b) not in seen and not apart:
            found[a, b] = "Never"
        elif (a, b) in alike:
            found[a, b] = "User"
    return found


def _unchecked(model: RobotModel) -> set[tuple[str, str]]:
    """Links that simple shapes would let touch where the joints between keep them apart."""
    joints = kept_apart(model)
    links: dict[str, int] = {
        model.model.frames[s.parentFrame].name: int(s.parentJoint)
        for s in model.shapes.geometryObjects
    }
    return {
        (a, b)
        for a, first in links.items()
        for b, second in links.items()
        if a < b and frozenset((first, second)) in joints
    }


def touching(
    model: RobotModel,
    shapes: pinocchio.GeometryModel,
    pairs: list[tuple[str, str]],
    configurations: Any,
) -> Iterator[tuple[str, str]]:
    """The pairs that touch, once for each configuration in which they do.

    Args:
        model: The robot.
        shapes: Its shapes with the collision pairs to check.
        pairs: The names of the links of each of those collision pairs.
        configurations: (nq,) each [rad, m].
    """
    data = shapes.createData()
    for q in configurations:
        pinocchio.computeCollisions(model.model, model.model.createData(), shapes, data, q, False)
        yield from {
            pair
            for pair, result in zip(pairs, data.collisionResults, strict=True)
            if result.isCollision()
        }


def random_configurations(
    model: RobotModel, rng: np.random.Generator, count: int
) -> Iterator[np.ndarray]:
    """``count`` configurations, even over the limits of joints and the openings of grippers."""
    lower, upper = model.model.lowerPositionLimit, model.model.upperPositionLimit
    for _ in range(count):
        q = rng.uniform(lower, upper)
        for arm in model.robot.arms:
            grip = arm.gripper
            model.set_width(q, arm, rng.uniform(grip.width_min, grip.width_max))
        yield q


def _neighbours(model: RobotModel, solid: set[str]) -> set[tuple[str, str]]:
    """Links with shapes that a joint connects, across links without shapes."""
    frames = model.model.frames
    parent: dict[str, str] = {}
    for frame in frames:
        if frame.type != pinocchio.FrameType.BODY:
            continue
        above = frame.parentFrame
        while above and (
            frames[above].type != pinocchio.FrameType.BODY or frames[above].name not in solid
        ):
            above = frames[above].parentFrame
        parent[frame.name] = frames[above].name
    return {
        (min(link, above), max(link, above))
        for link, above in parent.items()
        if link in solid and above in solid and link != above
    }
