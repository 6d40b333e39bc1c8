"""What the physics checks share: a result, and a world to measure in."""

from __future__ import annotations

from dataclasses import dataclass

from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.simulation.model import PhysicsOptions
from selfgrasp_nodes.simulation.objects import ObjectSpec
from selfgrasp_nodes.simulation.scene import Scene, SceneObject
from selfgrasp_nodes.simulation.world import World, WorldOptions

GRAVITY = 9.81


@dataclass(frozen=True)
class Check:
    """One measurement and its bound.

    Attributes:
        name: What was measured.
        value: The measured figure.
        bound: Largest value that passes.
        unit: Of both.
        detail: How it was measured.
    """

    name: str
    value: float
    bound: float
    unit: str = ""
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether the value keeps its bound."""
        return bool(self.value <= self.bound)


def quiet_world(robot: RobotSpec, physics: PhysicsOptions, *objects: ObjectSpec) -> World:
    """A noiseless world with objects in a row on the table, at rest."""
    world = World(robot, WorldOptions(physics=physics, noise=False))
    place_objects(world, *objects)
    return world


def place_objects(world: World, *objects: ObjectSpec) -> None:
    """Begin anew with objects in a row on the table."""
    placed = tuple(
        SceneObject(spec, (0.0, 0.15 * i, spec.size[2] / 2), (1.0, 0.0, 0.0, 0.0))
        for i, spec in enumerate(objects)
    )
    world.reset(Scene("check", placed), 0)
