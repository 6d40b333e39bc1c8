"""The model of a robot cell: robot, table, bin, border and the objects of a scene.

Collision bits: objects and the table's plane use bit 0; each arm has a bit of
its own, so that arms meet objects and each other but never themselves. The arm
meets the table as a box of the table's real size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import mujoco
import numpy as np

from selfgrasp_nodes.robots import ArmSpec, BinSpec, RobotSpec
from selfgrasp_nodes.robots.urdf import expand_urdf
from selfgrasp_nodes.simulation.cameras import add_camera, add_lights
from selfgrasp_nodes.simulation.convert import VISUAL_GROUP, Converted, add_urdf
from selfgrasp_nodes.simulation.objects import ContactOptions
from selfgrasp_nodes.simulation.scene import TABLE_FRICTION, Scene, add_table

PAD_FRICTION = 0.8
"""Of the rubber finger pads; bounded by 1.0. The larger coefficient of a contact counts."""

ARMATURE_PER_EFFORT = 0.01
"""Rotor inertia seen through the gear [kg m^2] for each N m of a joint's torque limit: a
UR5's large joints (150 N m) then carry 1.5, its wrists (28 N m) 0.28."""

STIFFNESS_PER_EFFORT = 200.0
"""Position gain of a joint's servo [1/rad] for each N m of its torque limit."""

GRIPPER_STIFFNESS = 50.0
"""Position gain of a gripper's servo [1/rad or 1/m] relative to its largest effort."""

OBJECT_BIT = 1


@dataclass(frozen=True)
class PhysicsOptions:
    """Numerics of the world; the defaults come from the sweep in ``docs/physics.md``.

    Attributes:
        timestep: [s].
        cone: Friction cones.
        solver: Of the constraint problem.
        integrator: ``implicitfast`` integrates the servos' damping implicitly.
        impratio: Stiffness of friction against that of normal forces.
        noslip_iterations: Of the pass that removes what creep is left; 0 is off.
        iterations: At most, of the solver.
        tolerance: At which the solver stops.
        sleep: Objects at rest are not simulated until something touches them.
        friction_scale: Multiplies every friction coefficient.
        contact: How objects and pads touch.
    """

    timestep: float = 0.002
    cone: Literal["elliptic", "pyramidal"] = "elliptic"
    solver: Literal["newton", "cg"] = "newton"
    integrator: Literal["implicitfast", "euler", "implicit"] = "implicitfast"
    impratio: float = 30.0
    noslip_iterations: int = 0
    iterations: int = 20
    tolerance: float = 1e-6
    sleep: bool = True
    friction_scale: float = 1.0
    contact: ContactOptions = field(default_factory=ContactOptions)


@dataclass(frozen=True)
class ArmModel:
    """Names in the model of what belongs to one arm.

    Attributes:
        actuators: Servos of the joints, in the order of ``ArmSpec.joints``.
        gains: (position, velocity) gain of each servo.
        efforts: Largest torque of each joint.
        tool: Body of the tool flange; everything below it weighs on the wrist.
        gripper_actuator: Servo of the gripper's joint.
        gripper_gains: (position, velocity) gain of it.
        gripper_speed: Largest speed of that joint.
        followers: (joint, multiplier, offset) of the joints that mimic it.
        fingers: For each of the two fingers the bodies that it is made of.
    """

    actuators: tuple[str, ...]
    gains: tuple[tuple[float, float], ...]
    efforts: tuple[float, ...]
    tool: str
    gripper_actuator: str
    gripper_gains: tuple[float, float]
    gripper_speed: float
    followers: tuple[tuple[str, float, float], ...]
    fingers: tuple[frozenset[str], ...]


@dataclass(frozen=True)
class CellModel:
    """A robot cell without objects.

    Attributes:
        spec: Add a scene's objects to a copy of it and compile.
        arms: By name.
    """

    spec: mujoco.MjSpec
    arms: dict[str, ArmModel]


def build_cell(robot: RobotSpec, physics: PhysicsOptions) -> CellModel:
    """Robot, table, bin and border of a cell.

    Raises:
        InvalidConfig: If the description names joints or links that the URDF lacks.
    """
    spec = mujoco.MjSpec()
    spec.modelname = robot.name
    _numerics(spec, physics)
    _furniture(spec, robot, physics)
    urdf = expand_urdf(robot)
    bits = _CollisionBits(robot, urdf)
    converted = add_urdf(spec, urdf, robot.base_link, robot.world_T_base.matrix, bits.of)
    add_lights(spec)
    for camera in robot.rendered_cameras:
        body = None if camera.parent == "world" else spec.body(camera.parent)
        add_camera(spec, camera, body)
    for name in converted.mimics:
        equality = spec.equality(name)
        # As stiff as the time step allows: the linkage of a gripper is rigid.
        equality.solref = [2 * physics.timestep, 1.0]
        equality.solimp = [0.99, 0.999, 0.001, 0.5, 2.0]
    arms = {arm.name: _add_drives(spec, arm, converted) for arm in robot.arms}
    for arm in arms.values():
        for finger in arm.fingers:
            _finger_contacts(spec, finger, physics)
    return CellModel(spec, arms)


def compile_scene(cell: CellModel, robot: RobotSpec, scene: Scene, physics: PhysicsOptions):
    """The compiled model of a cell with the objects of a scene.

    Returns:
        (model, names of the objects' bodies).
    """
    spec = cell.spec.copy()
    names = scene.add_to_spec(spec, robot.workspace.workspace, physics.contact)
    if physics.friction_scale != 1.0:
        for name in names:
            for geom in spec.body(name).geoms:
                geom.friction[0] *= physics.friction_scale
    return spec.compile(), names


def _numerics(spec: mujoco.MjSpec, physics: PhysicsOptions) -> None:
    option = spec.option
    option.timestep = physics.timestep
    option.cone = getattr(mujoco.mjtCone, f"mjCONE_{physics.cone.upper()}")
    option.solver = getattr(mujoco.mjtSolver, f"mjSOL_{physics.solver.upper()}")
    option.integrator = getattr(mujoco.mjtIntegrator, f"mjINT_{physics.integrator.upper()}")
    option.impratio = physics.impratio
    option.noslip_iterations = physics.noslip_iterations
    option.iterations = physics.iterations
    option.tolerance = physics.tolerance
    # The wrist wrench is computed when it is asked for, not at every step.
    option.disableflags |= mujoco.mjtDisableBit.mjDSBL_SENSOR
    if physics.sleep:
        option.enableflags |= mujoco.mjtEnableBit.mjENBL_SLEEP
    spec.compiler.degree = False
    # Meshes are drawn only; masses and inertias are the description's.
    spec.compiler.boundmass = 1e-6
    spec.compiler.boundinertia = 1e-9


def _furniture(spec: mujoco.MjSpec, robot: RobotSpec, physics: PhysicsOptions) -> None:
    arm_bits = sum(2 << i for i in range(len(robot.arms)))
    friction = [TABLE_FRICTION * physics.friction_scale, 0.003, 0.0001]
    plane = add_table(spec, friction[0])
    plane.contype, plane.conaffinity = 0, OBJECT_BIT
    table = robot.table
    spec.worldbody.add_geom(
        name="table_box",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[*table.center, -table.thickness / 2],
        size=[table.size[0] / 2, table.size[1] / 2, table.thickness / 2],
        contype=0,
        conaffinity=arm_bits,
        friction=friction,
        group=3,
    )
    for index, box in enumerate(robot.bins):
        _bin(spec, f"bin_{index}", box, OBJECT_BIT | arm_bits, friction)
    _border(spec, robot)


def _bin(
    spec: mujoco.MjSpec, name: str, box: BinSpec, conaffinity: int, friction: list[float]
) -> None:
    """Four walls on the table."""
    wall, (x, y, height) = 0.005, box.size
    center = np.array([*box.center, box.floor + height / 2])
    for index, (axis, sign) in enumerate(((0, 1), (0, -1), (1, 1), (1, -1))):
        half = np.array([x / 2 + wall, y / 2 + wall, height / 2])
        half[axis] = wall / 2
        offset = np.zeros(3)
        offset[axis] = sign * (box.size[axis] + wall) / 2
        spec.worldbody.add_geom(
            name=f"{name}/{index}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=center + offset,
            size=half,
            contype=0,
            conaffinity=conaffinity,
            friction=friction,
            rgba=[0.35, 0.37, 0.4, 1],
        )


def _border(spec: mujoco.MjSpec, robot: RobotSpec) -> None:
    """A painted line round the workspace: seen by people and cameras, touched by nothing."""
    line, workspace = 0.004, robot.workspace
    for index, (axis, sign) in enumerate(((0, 1), (0, -1), (1, 1), (1, -1))):
        half = np.array([*workspace.size, 0.0]) / 2 + [line, line, 0.0001]
        half[axis] = line / 2
        pos = np.array([*workspace.center, 0.0001])
        pos[axis] += sign * (workspace.size[axis] + line) / 2
        spec.worldbody.add_geom(
            name=f"border/{index}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=pos,
            size=half,
            contype=0,
            conaffinity=0,
            group=VISUAL_GROUP,
            rgba=[0.45, 0.45, 0.47, 1],
        )


class _CollisionBits:
    """Which geoms of a robot meet what."""

    def __init__(self, robot: RobotSpec, urdf: str):
        # Links are told apart by their joints: what hangs from an arm's first joint is the arm.
        from xml.etree import ElementTree

        root = ElementTree.fromstring(urdf)
        converted = Converted()
        child_of = {}
        for joint in root.findall("joint"):
            parent, child = joint.find("parent"), joint.find("child")
            if parent is not None and child is not None:
                converted.parents[child.get("link", "")] = parent.get("link", "")
                child_of[joint.get("name", "")] = child.get("link", "")
        self.members = [
            converted.below(child_of[arm.joints[0]]) if arm.joints[0] in child_of else set()
            for arm in robot.arms
        ]

    def of(self, link: str) -> tuple[int, int]:
        """(contype, conaffinity) of a link's geoms."""
        for index, members in enumerate(self.members):
            if link in members:
                others = sum(2 << i for i in range(len(self.members)) if i != index)
                return 2 << index, OBJECT_BIT | others
        return 0, OBJECT_BIT


def _add_drives(spec: mujoco.MjSpec, arm: ArmSpec, converted: Converted) -> ArmModel:
    joints = converted.joints
    missing = [n for n in (*arm.joints, arm.gripper.joint) if n not in joints]
    missing += [] if arm.tip_link in converted.parents else [arm.tip_link]
    if missing:
        from selfgrasp_nodes.errors import InvalidConfig

        raise InvalidConfig(
            f"arm {arm.name!r}: the URDF has no {', '.join(missing)}; "
            f"its joints: {', '.join(sorted(joints))}"
        )
    gains = []
    for name in arm.joints:
        effort = joints[name].effort
        inertia = ARMATURE_PER_EFFORT * effort
        stiffness = STIFFNESS_PER_EFFORT * effort
        # Critically damped for twice the rotor's own inertia, a middling load.
        damping = 2 * np.sqrt(stiffness * 2 * inertia)
        spec.joint(name).armature = inertia
        _servo(spec, f"{name}_servo", name, stiffness, damping, effort)
        gains.append((stiffness, float(damping)))
    gripper = joints[arm.gripper.joint]
    followers = tuple(
        (j.name, j.mimic[1], j.mimic[2])
        for j in joints.values()
        if j.mimic is not None and j.mimic[0] == gripper.name
    )
    stiffness = GRIPPER_STIFFNESS * gripper.effort * (1 if arm.gripper.kind == "arc" else 10)
    inertia = stiffness / 300.0**2  # the servo's own frequency is 300 rad/s
    damping = 2 * np.sqrt(stiffness * inertia)
    spec.joint(gripper.name).armature = inertia
    _servo(spec, f"{gripper.name}_servo", gripper.name, stiffness, damping, gripper.effort)
    first = [gripper.child] + [
        joints[name].child
        for name, _, _ in followers
        if converted.parents[joints[name].child] == converted.parents[gripper.child]
    ]
    return ArmModel(
        actuators=tuple(f"{name}_servo" for name in arm.joints),
        gains=tuple(gains),
        efforts=tuple(joints[name].effort for name in arm.joints),
        tool=arm.tip_link,
        gripper_actuator=f"{gripper.name}_servo",
        gripper_gains=(float(stiffness), float(damping)),
        gripper_speed=gripper.velocity,
        followers=followers,
        fingers=tuple(frozenset(converted.below(link)) for link in first),
    )


def _servo(
    spec: mujoco.MjSpec, name: str, joint: str, stiffness: float, damping: float, limit: float
) -> None:
    """A position servo: force = stiffness (ctrl - q) - damping qd, limited."""
    actuator = spec.add_actuator(
        name=name, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT, forcerange=[-limit, limit]
    )
    actuator.gaintype = mujoco.mjtGain.mjGAIN_FIXED
    actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    actuator.gainprm[0] = stiffness
    actuator.biasprm[1], actuator.biasprm[2] = -stiffness, -damping


def _finger_contacts(spec: mujoco.MjSpec, finger: frozenset[str], physics: PhysicsOptions) -> None:
    contact = physics.contact
    for link in finger:
        for geom in spec.body(link).geoms:
            if geom.conaffinity:
                geom.friction = [
                    PAD_FRICTION * physics.friction_scale,
                    contact.torsional,
                    contact.rolling,
                ]
                geom.condim = contact.condim
                geom.solref, geom.solimp = list(contact.solref), list(contact.solimp)
