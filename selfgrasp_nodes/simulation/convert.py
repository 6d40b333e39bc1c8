"""A URDF as bodies of a MuJoCo model.

MuJoCo's own URDF reader drops visuals, merges links and knows no mimic joints;
this one keeps every link as a body of the same name, turns mimic joints into
joint equalities and gives each robot's geoms the collision bits that the caller
chose. Long cylinders become capsules, which collide far more cheaply.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import mujoco
import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.simulation import collada

VISUAL_GROUP = 1
COLLISION_GROUP = 3
"""Group of geoms that collide but are not drawn."""


@dataclass
class Joint:
    """A movable joint of the URDF.

    Attributes:
        name: In the URDF and in the model.
        child: The link that it moves.
        effort: Largest torque [N m] or force [N].
        velocity: Largest speed [rad/s or m/s].
        mimic: (joint, multiplier, offset) where it follows another one.
    """

    name: str
    child: str
    lower: float
    upper: float
    effort: float
    velocity: float
    mimic: tuple[str, float, float] | None = None


@dataclass
class Converted:
    """What :func:`add_urdf` made.

    Attributes:
        joints: All movable joints by name.
        parents: Parent link of each link.
        mimics: Names of the joint equalities.
    """

    joints: dict[str, Joint] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    mimics: list[str] = field(default_factory=list)

    def below(self, link: str) -> set[str]:
        """A link and all links that hang from it."""
        found = {link}
        grown = True
        while grown:
            more = {child for child, parent in self.parents.items() if parent in found}
            grown = not more <= found
            found |= more
        return found


def _numbers(element: ElementTree.Element | None, key: str, default: str) -> list[float]:
    return [float(x) for x in (default if element is None else element.get(key, default)).split()]


def _origin(element: ElementTree.Element) -> np.ndarray:
    """The ``origin`` of a URDF element as a 4 x 4 transform."""
    tag = element.find("origin")
    return geometry.transform(_numbers(tag, "xyz", "0 0 0"), _numbers(tag, "rpy", "0 0 0"))


def _joint(element: ElementTree.Element, child: str) -> Joint:
    limit, mimic = element.find("limit"), element.find("mimic")
    name = element.get("name", "")
    if limit is None:
        raise InvalidConfig(f"URDF joint {name!r} needs a limit")
    follows = None
    if mimic is not None:
        follows = (
            mimic.get("joint", ""),
            float(mimic.get("multiplier", "1")),
            float(mimic.get("offset", "0")),
        )
    lower, upper, effort, velocity = (
        float(limit.get(key, "0")) for key in ("lower", "upper", "effort", "velocity")
    )
    return Joint(name, child, lower, upper, effort, velocity, follows)


class _Reader:
    """Walks the tree of links once."""

    def __init__(
        self,
        spec: mujoco.MjSpec,
        root: ElementTree.Element,
        collision_bits: Callable[[str], tuple[int, int]],
    ):
        self.spec = spec
        self.bits = collision_bits
        self.result = Converted()
        self.links = {link.get("name", ""): link for link in root.findall("link")}
        self.colors = {
            material.get("name", ""): _numbers(material.find("color"), "rgba", "0.7 0.7 0.7 1")
            for material in root.iter("material")
            if material.find("color") is not None
        }
        self.children: dict[str, list[tuple[ElementTree.Element, str]]] = {}
        for joint in root.findall("joint"):
            parent, child = joint.find("parent"), joint.find("child")
            if parent is None or child is None:
                raise InvalidConfig(f"URDF joint {joint.get('name')!r} lacks parent or child")
            below = child.get("link", "")
            self.children.setdefault(parent.get("link", ""), []).append((joint, below))
            self.result.parents[below] = parent.get("link", "")

    def add(self, name: str, parent: mujoco.MjsBody, parent_T_link: np.ndarray) -> mujoco.MjsBody:
        """Add a link and, below it, everything that hangs from it."""
        body = parent.add_body(
            name=name,
            pos=parent_T_link[:3, 3].copy(),
            quat=geometry.quaternion(parent_T_link),
        )
        link = self.links[name]
        # As an arm's controller does it. It costs a Jacobian a body: frames need none.
        body.gravcomp = 0.0 if link.find("inertial") is None else 1.0
        self._inertia(body, link.find("inertial"))
        for element in link.findall("visual"):
            self._visual(body, element)
        for index, element in enumerate(link.findall("collision")):
            geom = self._geom(body, element, capsules=True)
            geom.name = f"{name}/{index}"
            geom.group = COLLISION_GROUP
            geom.contype, geom.conaffinity = self.bits(name)
            geom.density = 0
        for joint, child in self.children.get(name, []):
            self._hang(body, joint, child)
        return body

    def _hang(self, body: mujoco.MjsBody, element: ElementTree.Element, child: str) -> None:
        below = self.add(child, body, _origin(element))
        kind = element.get("type")
        if kind == "fixed":
            return
        if kind not in ("revolute", "continuous", "prismatic"):
            raise InvalidConfig(f"URDF joint {element.get('name')!r}: type {kind!r} is not known")
        joint = _joint(element, child)
        self.result.joints[joint.name] = joint
        hinge = kind != "prismatic"
        below.add_joint(
            name=joint.name,
            type=mujoco.mjtJoint.mjJNT_HINGE if hinge else mujoco.mjtJoint.mjJNT_SLIDE,
            axis=_numbers(element.find("axis"), "xyz", "1 0 0"),
            range=[joint.lower, joint.upper],
            # A mimic joint is held by its equality: its own limit would only cost.
            limited=kind != "continuous" and joint.mimic is None,
        )
        if joint.mimic is not None:
            leader, multiplier, offset = joint.mimic
            self.spec.add_equality(
                name=joint.name,
                type=mujoco.mjtEq.mjEQ_JOINT,
                objtype=mujoco.mjtObj.mjOBJ_JOINT,
                name1=joint.name,
                name2=leader,
                data=[offset, multiplier] + [0.0] * 10,
            )
            self.result.mimics.append(joint.name)

    def _visual(self, body: mujoco.MjsBody, element: ElementTree.Element) -> None:
        material = element.find("material")
        color = [0.7, 0.7, 0.7, 1.0]
        if material is not None:
            color = self.colors.get(material.get("name", ""), color)
        mesh = element.find("geometry/mesh")
        if mesh is not None and mesh.get("filename", "").lower().endswith(".dae"):
            parts = collada.parts(Path(mesh.get("filename", "")))
            geoms = []
            for part in parts:
                # MuJoCo reads no COLLADA: each part of one colour is a mesh of its own.
                mesh.set("filename", str(part.file))
                geoms.append((self._geom(body, element), [*(part.color or color[:3]), 1.0]))
        else:
            geoms = [(self._geom(body, element), color)]
        for geom, rgba in geoms:
            geom.rgba = rgba
            geom.group = VISUAL_GROUP
            geom.contype, geom.conaffinity, geom.density = 0, 0, 0

    def _inertia(self, body: mujoco.MjsBody, element: ElementTree.Element | None) -> None:
        body.explicitinertial = True
        if element is None:
            # A frame without mass; a parent without a joint carries it.
            body.mass, body.inertia = 0.0, [0.0, 0.0, 0.0]
            return
        mass, inertia = element.find("mass"), element.find("inertia")
        if mass is None or inertia is None:
            raise InvalidConfig(f"URDF link {body.name!r}: inertial lacks mass or inertia")
        pose = _origin(element)
        xx, yy, zz, xy, xz, yz = (
            float(inertia.get(key, "0")) for key in ("ixx", "iyy", "izz", "ixy", "ixz", "iyz")
        )
        tensor = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        tensor = pose[:3, :3] @ tensor @ pose[:3, :3].T
        body.mass = float(mass.get("value", "0"))
        body.ipos = pose[:3, 3].copy()
        body.fullinertia = [
            *np.diag(tensor),
            tensor[0, 1],
            tensor[0, 2],
            tensor[1, 2],
        ]

    def _geom(
        self, body: mujoco.MjsBody, element: ElementTree.Element, capsules: bool = False
    ) -> mujoco.MjsGeom:
        pose = _origin(element)
        geom = body.add_geom(pos=pose[:3, 3].copy(), quat=geometry.quaternion(pose))
        shape = element.find("geometry/*")
        if shape is None:
            raise InvalidConfig(f"URDF link {body.name!r} has a shape without geometry")
        if shape.tag == "box":
            geom.type = mujoco.mjtGeom.mjGEOM_BOX
            geom.size = np.array(_numbers(shape, "size", "")) / 2
        elif shape.tag == "sphere":
            geom.type = mujoco.mjtGeom.mjGEOM_SPHERE
            geom.size = [float(shape.get("radius", "0")), 0, 0]
        elif shape.tag == "cylinder":
            radius, half = float(shape.get("radius", "0")), float(shape.get("length", "0")) / 2
            if capsules and half > radius:
                # Of equal total length: the caps are cut from the cylinder's ends.
                geom.type, half = mujoco.mjtGeom.mjGEOM_CAPSULE, half - radius
            else:
                geom.type = mujoco.mjtGeom.mjGEOM_CYLINDER
            geom.size = [radius, half, 0]
        elif shape.tag == "mesh":
            geom.type = mujoco.mjtGeom.mjGEOM_MESH
            geom.meshname = self._mesh(shape)
        else:
            raise InvalidConfig(f"URDF link {body.name!r}: shape {shape.tag!r} is not known")
        return geom

    def _mesh(self, shape: ElementTree.Element) -> str:
        file = Path(shape.get("filename", ""))
        scale = _numbers(shape, "scale", "1 1 1")
        name = "/".join(file.parts[-3:]) + ("" if scale == [1.0, 1.0, 1.0] else f"*{scale}")
        if self.spec.mesh(name) is None:
            # Shells need no volume: these meshes are drawn, their mass is the URDF's.
            self.spec.add_mesh(
                name=name,
                file=str(file),
                scale=scale,
                inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
            )
        return name


def add_urdf(
    spec: mujoco.MjSpec,
    urdf: str,
    base_link: str,
    world_T_base: np.ndarray,
    collision_bits: Callable[[str], tuple[int, int]],
) -> Converted:
    """Add a robot to a model, fixed to the world.

    Args:
        spec: The model under construction.
        urdf: Text of the URDF, meshes by path.
        base_link: Its root link.
        world_T_base: Where the root stands, 4 x 4.
        collision_bits: (contype, conaffinity) for the geoms of a link.

    Raises:
        InvalidConfig: If the root is missing or something is not understood.
    """
    root = ElementTree.fromstring(urdf)
    reader = _Reader(spec, root, collision_bits)
    if base_link not in reader.links:
        raise InvalidConfig(
            f"URDF has no link {base_link!r}; it has {', '.join(sorted(reader.links))}"
        )
    reader.add(base_link, spec.worldbody, world_T_base)
    return reader.result
