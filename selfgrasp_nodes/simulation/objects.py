"""Objects on the table: what they are, and how they enter a MuJoCo model.

An object is one free body made of convex geoms. Friction is Coulomb's, between
0.4 and 0.8, density between 400 and 800 kg/m^3 (dry wood), both drawn for each
object by seed. MuJoCo takes the larger friction of two geoms that touch: a
table or pad with less friction than the object leaves the object's in force.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import mujoco
import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidScene
from selfgrasp_nodes.simulation import meshes
from selfgrasp_nodes.simulation.shapes import SIZES, Piece, Vector3, block_pieces

MESH = "mesh"
"""The shape of an object that comes from a mesh file."""

FRICTION_RANGE = (0.4, 0.8)
DENSITY_RANGE = (400.0, 800.0)

PALETTE: tuple[Vector3, ...] = tuple(
    (r / 255, g / 255, b / 255)
    for r, g, b in (
        (78, 121, 167),  # blue
        (89, 161, 79),  # green
        (156, 117, 95),  # brown
        (242, 142, 43),  # orange
        (237, 201, 72),  # yellow
        (186, 176, 172),  # grey
        (255, 87, 89),  # red
        (176, 122, 161),  # purple
        (118, 183, 178),  # cyan
        (255, 157, 167),  # pink
    )
)
"""The ten colours of VPG's blocks (Tableau's palette)."""


@dataclass(frozen=True)
class ContactOptions:
    """How objects touch, in MuJoCo's terms; the same for every object.

    Attributes:
        condim: 3 slides, 4 also resists spinning about the normal.
        torsional: Torsional friction [m]: mu times the patch's radius of about 5 mm.
        rolling: Rolling friction [m]; used with ``condim`` 6 only.
        solref: Time constant [s] and damping ratio of the contact spring.
        solimp: Impedance at rest and at depth, width [m], midpoint, power.
    """

    condim: int = 4
    torsional: float = 0.003
    rolling: float = 0.0001
    solref: tuple[float, float] = (0.01, 1.0)
    solimp: tuple[float, float, float, float, float] = (0.95, 0.99, 0.001, 0.5, 2.0)


@dataclass(frozen=True)
class ObjectSpec:
    """One rigid object.

    Attributes:
        shape: A kind of block (see ``shapes.SIZES``) or ``"mesh"``.
        size: Extents of its bounding box in its own frame, (x, y, z) [m].
        color: Red, green, blue, each 0..1.
        friction: Coulomb coefficient.
        density: [kg/m^3].
        mesh: File of the mesh; for ``"mesh"`` only. It is centred on its
            bounding box and stretched to ``size`` (its own size in metres where
            no size is given).
    """

    shape: str
    size: Vector3 = (0.0, 0.0, 0.0)
    color: Vector3 = PALETTE[0]
    friction: float = 0.6
    density: float = 600.0
    mesh: str = ""

    def __post_init__(self) -> None:
        if self.shape not in shape_names():
            raise unknown_shape(self.shape)
        if self.shape == MESH and not self.mesh:
            raise InvalidScene('an object of shape "mesh" needs "mesh": the file it comes from')
        if not any(self.size):
            size = meshes.load(self.mesh).size if self.shape == MESH else SIZES[self.shape]
            object.__setattr__(self, "size", size)
        numbers = (*self.size, *self.color, self.friction, self.density)
        if len(self.size) != 3 or len(self.color) != 3 or not np.all(np.isfinite(numbers)):
            raise InvalidScene(f"{self.shape}: size and color need three finite numbers each")
        if min(self.size) <= 0 or self.density <= 0 or self.friction < 0:
            raise InvalidScene(
                f"{self.shape}: size and density must be positive and friction not negative; "
                f"got size {self.size}, density {self.density}, friction {self.friction}"
            )
        if min(self.color) < 0 or max(self.color) > 1:
            raise InvalidScene(f"{self.shape}: color must lie in 0..1, got {self.color}")

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Its convex pieces, in its own frame."""
        if self.shape == MESH:
            return meshes.load(self.mesh).pieces(self.size)
        return block_pieces(self.shape, self.size)

    @property
    def vertices(self) -> np.ndarray:
        """(N, 3) corner points of all pieces [m]."""
        return np.concatenate([piece.vertices for piece in self.pieces])

    @property
    def radius(self) -> float:
        """Of the sphere about the origin that holds it [m]."""
        return float(np.linalg.norm(self.vertices, axis=1).max())

    @property
    def mass(self) -> float:
        """Mass [kg]."""
        return self.density * sum(piece.volume for piece in self.pieces)


def shape_names() -> list[str]:
    """The shapes an object can have."""
    return [*SIZES, MESH]


def unknown_shape(shape: object) -> InvalidScene:
    """The error for a shape that does not exist; it lists those that do."""
    return InvalidScene(f"unknown shape {shape!r}; valid: {', '.join(sorted(shape_names()))}")


def random_object(
    rng: np.random.Generator,
    shapes: Sequence[str] = tuple(SIZES),
    mesh_assets: Sequence[meshes.MeshAsset] = (),
) -> ObjectSpec:
    """An object of random kind, colour, friction and density.

    Args:
        rng: The source of chance.
        shapes: Kinds of block to draw from.
        mesh_assets: When given, draw from these meshes instead of the blocks.
    """
    color = PALETTE[int(rng.integers(len(PALETTE)))]
    drawn = ObjectSpec(
        "cube",
        color=color,
        friction=float(rng.uniform(*FRICTION_RANGE)),
        density=float(rng.uniform(*DENSITY_RANGE)),
    )
    if mesh_assets:
        asset = mesh_assets[int(rng.integers(len(mesh_assets)))]
        return replace(drawn, shape=MESH, mesh=asset.file, size=asset.size)
    shape = shapes[int(rng.integers(len(shapes)))]
    if shape not in SIZES:
        raise unknown_shape(shape)
    return replace(drawn, shape=shape, size=SIZES[shape])


def add_to_spec(
    spec: mujoco.MjSpec,
    obj: ObjectSpec,
    name: str,
    world_T_object: np.ndarray | None = None,
    contact: ContactOptions | None = None,
) -> mujoco.MjsBody:
    """Add an object to a model as a free body.

    The body and its free joint are called ``name``; its geoms ``name/0`` and
    so on, in group 0. Mesh assets are shared between objects of equal shape
    and size.

    Args:
        spec: The model under construction.
        obj: What to add.
        name: Unique in the model.
        world_T_object: Its 4 x 4 pose; the origin where None.
        contact: How it touches; the defaults where None.

    Returns:
        The new body.
    """
    contact = contact or ContactOptions()
    pose = np.eye(4) if world_T_object is None else world_T_object
    body = spec.worldbody.add_body(
        name=name, pos=pose[:3, 3].copy(), quat=geometry.quaternion(pose)
    )
    body.add_freejoint(name=name)
    for index, piece in enumerate(obj.pieces):
        geom = body.add_geom(
            name=f"{name}/{index}",
            rgba=[*obj.color, 1.0],
            density=obj.density,
            friction=[obj.friction, contact.torsional, contact.rolling],
            condim=contact.condim,
            solref=list(contact.solref),
            solimp=list(contact.solimp),
            group=0,
        )
        if piece.box is not None:
            geom.type = mujoco.mjtGeom.mjGEOM_BOX
            geom.size = piece.box
            geom.pos = piece.center
        else:
            geom.type = mujoco.mjtGeom.mjGEOM_MESH
            geom.meshname = _mesh_asset(spec, piece)
    return body


def _mesh_asset(spec: mujoco.MjSpec, piece: Piece) -> str:
    """Name of the mesh of a convex piece, added where the model lacks it."""
    vertices = np.ascontiguousarray(piece.vertices, np.float32)
    name = "piece_" + hashlib.sha256(vertices.tobytes()).hexdigest()[:12]
    if spec.mesh(name) is None:
        faces = piece.faces
        a, b, c = (piece.vertices[faces[:, i]] for i in range(3))
        normals = np.cross(b - a, c - a)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        # One normal a face: edges look sharp, as the blocks' do.
        spec.add_mesh(
            name=name,
            uservert=vertices.ravel(),
            userface=faces.astype(np.int32).ravel(),
            usernormal=normals.astype(np.float32).ravel(),
            userfacenormal=np.repeat(np.arange(len(faces)), 3).astype(np.int32),
            inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX,
        )
    return name
