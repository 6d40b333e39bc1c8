"""Random scenes: objects dropped on the table, as in VPG.

Each object falls alone, turned at random, from just above what already lies
there; when all have fallen they settle. Whatever left the workspace or still
moves is dropped again. All this happens in a world of its own (table and
objects, no robot), so that a scene is a matter of its seed alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidScene
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.simulation.meshes import MeshAsset
from selfgrasp_nodes.simulation.objects import ObjectSpec, add_to_spec, random_object
from selfgrasp_nodes.simulation.scene import Scene, SceneObject, add_table
from selfgrasp_nodes.simulation.shapes import SIZES

_PARKED = 5.0  # height [m] at which objects wait that have not been dropped


@dataclass(frozen=True)
class DropOptions:
    """How objects are dropped.

    Attributes:
        inset: Objects are released at least this far inside the border [m]
            (VPG: 0.1).
        height: Lowest release height of an object's centre [m] (VPG: 0.15).
        margin: No part of an object at rest comes nearer to the border [m].
        interval: Time between two drops [s].
        settle: Longest time to come to rest after the last drop [s].
        rounds: How often strays are dropped again before giving up.
        timestep: Of the helper world [s].
        linear: Speed below which an object is at rest [m/s].
        angular: Likewise [rad/s].
    """

    inset: float = 0.1
    height: float = 0.15
    margin: float = 0.005
    interval: float = 0.25
    settle: float = 2.5
    rounds: int = 30
    timestep: float = 0.004
    linear: float = 0.002
    angular: float = 0.05


def random_scene(
    robot: RobotSpec,
    n: int,
    seed: int,
    shapes: Sequence[str] = (),
    mesh_assets: Sequence[MeshAsset] = (),
    options: DropOptions | None = None,
) -> Scene:
    """Drop n random objects on the workspace and let them settle.

    Args:
        robot: Whose workspace.
        n: How many.
        seed: Equal seeds give equal scenes.
        shapes: Kinds of block to draw from; where empty, those of the robot's
            description, which are all where it names none.
        mesh_assets: When given, draw from these meshes instead of blocks.
        options: How to drop.

    Returns:
        A scene at rest, wholly inside the workspace.

    Raises:
        InvalidScene: If n is negative or so many objects do not fit.
    """
    if n < 0:
        raise InvalidScene(f"a scene cannot have {n} objects")
    rng = np.random.default_rng([seed, n])
    kinds = shapes or robot.blocks or tuple(SIZES)
    specs = [random_object(rng, kinds, mesh_assets) for _ in range(n)]
    return drop(f"random-{n}-{seed}", specs, robot, rng, options or DropOptions())


def drop(
    name: str,
    specs: Sequence[ObjectSpec],
    robot: RobotSpec,
    rng: np.random.Generator,
    options: DropOptions,
) -> Scene:
    """Drop given objects on the workspace and let them settle.

    Raises:
        InvalidScene: If they do not come to rest inside the workspace.
    """
    if not specs:
        return Scene(name, ())
    world = _DropWorld(specs, np.asarray(robot.workspace.size) / 2, options)
    pending = list(range(len(specs)))
    for _ in range(options.rounds):
        for index in pending:
            world.release(index, rng)
            world.step(options.interval)
        world.settle()
        pending = world.strays()
        if not pending:
            return Scene(name, tuple(world.placed()))
        for index in pending:
            world.park(index)
    raise InvalidScene(
        f"{len(pending)} of {len(specs)} objects did not come to rest inside the workspace of "
        f"{robot.workspace.size[0]:.3f} x {robot.workspace.size[1]:.3f} m after "
        f"{options.rounds} rounds of dropping; ask for fewer"
    )


class _DropWorld:
    """A table with free objects, each either parked high above or in play."""

    def __init__(self, specs: Sequence[ObjectSpec], half: np.ndarray, options: DropOptions):
        spec = mujoco.MjSpec()
        add_table(spec)
        for index, obj in enumerate(specs):
            add_to_spec(spec, obj, str(index))
        spec.option.timestep = options.timestep
        spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self.specs, self.half, self.options = specs, half, options
        self.vertices = [obj.vertices for obj in specs]
        self.radius = [obj.radius for obj in specs]
        self.parked = set(range(len(specs)))
        for index in range(len(specs)):
            self.park(index)

    def pose(self, index: int) -> np.ndarray:
        """center_T_object of an object."""
        qpos = self.data.qpos[7 * index : 7 * index + 7]
        return geometry.from_quaternion(qpos[:3], qpos[3:])

    def corners(self, index: int) -> np.ndarray:
        """(N, 3) its corner points around the workspace's centre [m]."""
        pose = self.pose(index)
        return self.vertices[index] @ pose[:3, :3].T + pose[:3, 3]

    def place(self, index: int, position: object, wxyz: object) -> None:
        """Put an object somewhere, at rest."""
        self.data.qpos[7 * index : 7 * index + 7] = np.concatenate([position, wxyz])
        self.data.qvel[6 * index : 6 * index + 6] = 0
        self.data.qacc_warmstart[6 * index : 6 * index + 6] = 0

    def park(self, index: int) -> None:
        """Take an object out of play: high up, away from every other."""
        self.parked.add(index)
        self.place(index, (index, 0, _PARKED), (1, 0, 0, 0))

    def release(self, index: int, rng: np.random.Generator) -> None:
        """Let go of an object above a random point, clear of what lies below it."""
        reach = np.maximum(self.half - self.options.inset, 0.02)
        x, y = rng.uniform(-reach, reach)
        qx, qy, qz, qw = Rotation.random(rng=rng).as_quat()
        radius = self.radius[index]
        height = self.options.height
        for other in set(range(len(self.specs))) - self.parked:
            corners = self.corners(other)
            low, high = corners.min(axis=0) - radius, corners.max(axis=0) + radius
            if low[0] < x < high[0] and low[1] < y < high[1]:
                height = max(height, high[2] + 0.01)
        self.parked.discard(index)
        self.place(index, (x, y, height), (qw, qx, qy, qz))

    def step(self, seconds: float) -> None:
        """Let time pass; what is parked stays where it is."""
        remaining = round(seconds / self.options.timestep)
        while remaining > 0:
            count = min(remaining, 50) if self.parked else remaining
            mujoco.mj_step(self.model, self.data, nstep=count)
            for index in self.parked:
                self.park(index)
            remaining -= count

    def settle(self) -> None:
        """Step until everything rests, for 0.1 s on end."""
        quiet = 0
        for _ in range(round(self.options.settle / 0.02)):
            self.step(0.02)
            quiet = quiet + 1 if not self.moving() else 0
            if quiet >= 5:
                return

    def moving(self) -> list[int]:
        """The objects in play that are not at rest."""
        velocity = np.abs(self.data.qvel.reshape(-1, 2, 3)).max(axis=2)
        fast = (velocity[:, 0] > self.options.linear) | (velocity[:, 1] > self.options.angular)
        return [int(i) for i in np.flatnonzero(fast) if i not in self.parked]

    def strays(self) -> list[int]:
        """The objects that move, or are not wholly inside the workspace."""
        limit = self.half - self.options.margin
        outside = [
            index
            for index in range(len(self.specs))
            if np.any(np.abs(self.corners(index)[:, :2]) > limit)
        ]
        return sorted({*outside, *self.moving()})

    def placed(self) -> list[SceneObject]:
        """The objects where they lie now."""
        base = [SceneObject(obj, (0, 0, 0), (1, 0, 0, 0)) for obj in self.specs]
        return [obj.moved(self.pose(index)) for index, obj in enumerate(base)]
