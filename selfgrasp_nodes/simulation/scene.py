"""A scene: which objects lie where.

Positions are relative to the workspace's centre on the table's top (z = 0), so
that one scene serves every robot; quaternions are (w, x, y, z).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import mujoco
import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidScene
from selfgrasp_nodes.simulation.object_sets import file_digest
from selfgrasp_nodes.simulation.objects import (
    ContactOptions,
    ObjectSpec,
    add_to_spec,
)
from selfgrasp_nodes.types import Workspace

TABLE = "table"
TABLE_FRICTION = 0.3
"""Below every object's: the larger coefficient counts, so the object's own does."""
PENETRATION_MAX = 0.001
"""Deepest overlap [m] that a scene may start with: that of a resting contact."""


@dataclass(frozen=True)
class SceneObject:
    """An object and its pose.

    Attributes:
        spec: What it is.
        position: (x, y, z) [m] relative to the workspace's centre.
        quaternion: (w, x, y, z), unit length.
    """

    spec: ObjectSpec
    position: tuple[float, float, float]
    quaternion: tuple[float, float, float, float]

    @property
    def pose(self) -> np.ndarray:
        """center_T_object, 4 x 4."""
        return geometry.from_quaternion(self.position, self.quaternion)

    def moved(self, pose: np.ndarray) -> SceneObject:
        """The same object at another center_T_object."""
        x, y, z = (float(v) for v in pose[:3, 3])
        qw, qx, qy, qz = (float(v) for v in geometry.quaternion(pose))
        return replace(self, position=(x, y, z), quaternion=(qw, qx, qy, qz))


@dataclass(frozen=True)
class Scene:
    """Objects at rest on the table.

    Attributes:
        name: For people.
        objects: With their poses.
    """

    name: str
    objects: tuple[SceneObject, ...]

    @cached_property
    def digest(self) -> str:
        """Short SHA-256 of the objects and their poses, to 10 um.

        A mesh counts by its file's name and content, and not by where it lies.

        Raises:
            InvalidScene: If the file of a mesh cannot be read.
        """
        text = json.dumps([_rounded(obj) for obj in self.objects])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def id(self) -> str:
        """Name and digest: equal ids mean equal scenes."""
        return f"{self.name}:{self.digest}"

    def names(self) -> list[str]:
        """Names of the objects in a model, in order: ``object_00`` and so on."""
        return [f"object_{i:02d}" for i in range(len(self.objects))]

    def add_to_spec(
        self, spec: mujoco.MjSpec, workspace: Workspace, contact: ContactOptions | None = None
    ) -> list[str]:
        """Add all objects to a model around a workspace's centre.

        Returns:
            The names of their bodies.
        """
        for name, obj in zip(self.names(), self.objects, strict=True):
            add_to_spec(spec, obj.spec, name, world_T_object(obj, workspace), contact)
        return self.names()


def world_T_object(obj: SceneObject, workspace: Workspace) -> np.ndarray:
    """Pose in the world of an object that is placed around a workspace, 4 x 4."""
    pose = obj.pose
    pose[:2, 3] += workspace.center
    return pose


def add_table(spec: mujoco.MjSpec, friction: float = TABLE_FRICTION) -> mujoco.MjsGeom:
    """Add the table's top: the plane z = 0, called ``table``."""
    return spec.worldbody.add_geom(
        name=TABLE,
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[2.0, 2.0, 0.1],
        friction=[friction, 0.003, 0.0001],
        rgba=[0.15, 0.15, 0.16, 1.0],
    )


def penetrations(scene: Scene) -> list[tuple[str, str, float]]:
    """Overlaps deeper than :data:`PENETRATION_MAX`.

    Returns:
        (one object, the other object or the table, depth [m]), deepest first.
    """
    spec = mujoco.MjSpec()
    add_table(spec)
    names = scene.add_to_spec(spec, Workspace((0.0, 0.0)))
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    mujoco.mj_collision(model, data)
    labels = {0: TABLE} | {
        model.body(name).id: f"{obj.spec.shape} {i}"
        for i, (name, obj) in enumerate(zip(names, scene.objects, strict=True))
    }
    deepest: dict[tuple[str, str], float] = {}
    for k in range(data.ncon):
        pair = sorted(int(model.geom_bodyid[g]) for g in data.contact.geom[k])
        key = (labels[pair[1]], labels[pair[0]])
        deepest[key] = max(deepest.get(key, 0.0), -float(data.contact.dist[k]))
    found = [(a, b, depth) for (a, b), depth in deepest.items() if depth > PENETRATION_MAX]
    return sorted(found, key=lambda item: -item[2])


def check_scene(scene: Scene) -> None:
    """Refuse a scene whose objects interpenetrate.

    Raises:
        InvalidScene: With the names of the objects and the depths.
    """
    found = penetrations(scene)
    if found:
        text = "; ".join(f"{a} and {b} by {depth * 1e3:.1f} mm" for a, b, depth in found)
        raise InvalidScene(
            f"scene {scene.name!r}: objects interpenetrate: {text}. Move them apart: at most "
            f"{PENETRATION_MAX * 1e3:.0f} mm is allowed"
        )


def perturbed(scene: Scene, seed: int, mm: float, degrees: float, tries: int = 200) -> Scene:
    """The scene with every object shifted on the table and turned about the vertical.

    Args:
        scene: What to disturb.
        seed: Of the disturbance.
        mm: Largest shift along x and along y [mm].
        degrees: Largest turn [deg].
        tries: How often to draw again before giving up; each further try
            shrinks the disturbance a little.

    Raises:
        InvalidScene: If every draw made objects interpenetrate.
    """
    rng = np.random.default_rng(seed)
    for attempt in range(tries):
        scale = 0.985**attempt
        objects = []
        for obj in scene.objects:
            pose = obj.pose
            turn = geometry.transform(
                rpy=(0, 0, np.radians(rng.uniform(-degrees, degrees)) * scale)
            )
            pose[:3, :3] = turn[:3, :3] @ pose[:3, :3]
            pose[:2, 3] += rng.uniform(-mm, mm, 2) * 1e-3 * scale
            objects.append(obj.moved(pose))
        candidate = Scene(f"{scene.name}~{seed}", tuple(objects))
        if not penetrations(candidate):
            return candidate
    raise InvalidScene(
        f"scene {scene.name!r} cannot be disturbed by {mm} mm and {degrees} degrees without "
        "objects that interpenetrate; ask for less"
    )


def _rounded(obj: SceneObject) -> list[object]:
    """What a scene's digest depends on."""
    spec = obj.spec
    numbers = (
        *spec.size,
        *spec.color,
        spec.friction,
        spec.density,
        *obj.position,
        *obj.quaternion,
    )
    # Adding 0.0 turns -0.0 into 0.0, which JSON would write differently.
    return [spec.shape, _mesh(spec.mesh), *(round(v, 5) + 0.0 for v in numbers)]


def _mesh(file: str) -> str:
    """What a mesh is: name and digest of its file; empty for a block."""
    if not file:
        return ""
    try:
        return f"{Path(file).name}:{file_digest(file)}"
    except OSError as error:
        raise InvalidScene(f"the mesh of a scene's object cannot be read: {error}") from error
