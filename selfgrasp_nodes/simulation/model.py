"""The model of a robot cell: robot, furniture and the objects of a scene."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import mujoco
import numpy as np

from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.robots import ArmSpec, RobotSpec
from selfgrasp_nodes.robots.urdf import expand_urdf
from selfgrasp_nodes.simulation.cameras import add_camera, add_lights
from selfgrasp_nodes.simulation.convert import Converted, add_urdf
from selfgrasp_nodes.simulation.furniture import CollisionBits, add_furniture
from selfgrasp_nodes.simulation.objects import ContactOptions
from selfgrasp_nodes.simulation.scene import Scene

PAD_FRICTION = 0.8
"""Of the rubber finger pads; bounded by 1.0. The larger coefficient of a contact counts."""

ARMATURE_PER_EFFORT = 0.01
"""Rotor inertia seen through the gear [kg m^2] for each N m of a joint's torque limit: a
UR5's large joints (150 N m) then carry 1.5, its wrists (28 N m) 0.28."""

STIFFNESS_PER_EFFORT = 200.0
"""Position gain of a joint's servo [1/rad] for each N m of its torque limit."""

GRIPPER_STIFFNESS = 50.0
"""Position gain of a gripper's servo [1/rad or 1/m] relative to its largest effort."""


PHYSICS_VERSION = 2
"""Raised when the same world and commands no longer give the same motion; what keeps results
compares it. 2: steps that the solver fails in are made again, Euler's integrator."""


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
    integrator: Literal["implicitfast", "euler", "implicit"] = "euler"
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
    add_furniture(spec, robot, physics.friction_scale)
    urdf = expand_urdf(robot)
    bits = CollisionBits(robot, urdf)
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


def compile_scene(
    cell: CellModel, robot: RobotSpec, scene: Scene, physics: PhysicsOptions
) -> tuple[mujoco.MjModel, list[str]]:
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


def _add_drives(spec: mujoco.MjSpec, arm: ArmSpec, converted: Converted) -> ArmModel:
    joints = converted.joints
    missing = [n for n in (*arm.joints, arm.gripper.joint) if n not in joints]
    missing += [] if arm.tip_link in converted.parents else [arm.tip_link]
    if missing:
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
