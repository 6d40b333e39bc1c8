"""Physics checks with the real gripper: force, slip and creep of what it holds."""

from __future__ import annotations

import mujoco
import numpy as np

from selfgrasp_nodes.robots import ArmSpec, RobotSpec
from selfgrasp_nodes.robots import gripper as kinematics
from selfgrasp_nodes.simulation.check import GRAVITY, Check, quiet_world
from selfgrasp_nodes.simulation.model import PAD_FRICTION, PhysicsOptions
from selfgrasp_nodes.simulation.objects import ObjectSpec
from selfgrasp_nodes.simulation.world import World


def _gripped(
    robot: RobotSpec, physics: PhysicsOptions, arm: ArmSpec, force: float
) -> tuple[World, ObjectSpec]:
    """A world in which the gripper holds a block in the air by friction.

    The block is closed upon without gravity; then gravity comes on.
    """
    width = (arm.gripper.width_min + arm.gripper.width_max) / 2
    block = ObjectSpec("cube", size=(0.05, width, 0.05), friction=0.5, density=600.0)
    world = quiet_world(robot, physics, block)
    model, data = world.model, world.data
    world.set_arm(arm.name, arm.ready, min(width + 0.02, arm.gripper.width_max))
    model.opt.gravity[:] = 0
    start = int(model.joint("object_00").qposadr[0])
    world.step(1)  # for the pads' places
    data.qpos[start : start + 3] = _pads(world, arm)
    data.qpos[start + 3 : start + 7] = data.body(arm.tip_link).xquat
    mujoco.mj_forward(model, data)
    world.command_gripper(arm.name, arm.gripper.width_min, force)
    world.step(round(0.6 / world.timestep))
    model.opt.gravity[:] = (0, 0, -GRAVITY)
    world.step(round(0.3 / world.timestep))
    return world, block


def _pads(world: World, arm: ArmSpec) -> np.ndarray:
    """Where the block goes: the middle between the pads once they touch it."""
    width = (arm.gripper.width_min + arm.gripper.width_max) / 2
    tool = world.data.body(arm.tip_link)
    depth = kinematics.tcp_distance(arm.gripper, width)
    return tool.xpos + depth * tool.xmat.reshape(3, 3)[:, 2]


def _pad_force(world: World, arm: str) -> float:
    """Mean normal force of an arm's two fingers on the first object [N]."""
    total = 0.0
    block = world.model.body("object_00").id
    fingers = frozenset().union(*world.finger_bodies(arm))
    wrench = np.zeros(6)
    for index in range(world.data.ncon):
        pair = {int(world.model.geom_bodyid[g]) for g in world.data.contact.geom[index]}
        if block in pair and pair & fingers:
            mujoco.mj_contactForce(world.model, world.data, index, wrench)
            total += wrench[0]
    return total / 2


def squeeze_force(robot: RobotSpec, physics: PhysicsOptions, arm: ArmSpec) -> Check:
    """Normal force at the pads against the commanded one, over the gripper's range."""
    worst, detail = 0.0, []
    gripper = arm.gripper
    for share in (0.1, 0.5, 1.0):
        force = max(gripper.force_min, share * gripper.force_max)
        world, _ = _gripped(robot, physics, arm, force)
        measured = _pad_force(world, arm.name)
        worst = max(worst, abs(measured / force - 1))
        detail.append(f"{force:.0f} N: {measured:.2f} N")
    return Check(f"{arm.name}: pad force against command", worst, 0.05, "", "; ".join(detail))


def slip(robot: RobotSpec, physics: PhysicsOptions, arm: ArmSpec) -> Check:
    """Weight under which a squeezed block slips, against 2 mu F.

    Gravity grows until the block moves at more than 5 mm/s against the gripper:
    across the fingers, where F is the commanded force, and along the approach,
    where F is what the pads measure (the pads of a gripper with arcs tighten
    when their load pulls them outward).
    """
    mu = PAD_FRICTION * physics.friction_scale
    worst, detail = 0.0, []
    for share in (0.1, 0.5):
        force = max(arm.gripper.force_min, share * arm.gripper.force_max)
        for axis, along in ((0, "across"), (2, "along")):
            weight, pads = _slip_weight(robot, physics, arm, force, axis)
            expected = 2 * mu * (force if axis == 0 else pads)
            worst = max(worst, abs(weight / expected - 1) if expected > 0 else np.inf)
            detail.append(f"{force:.0f} N {along}: {weight:.1f} N of {expected:.1f} N")
    return Check(f"{arm.name}: slip weight against 2 mu F", worst, 0.10, "", "; ".join(detail))


def _slip_weight(
    robot: RobotSpec, physics: PhysicsOptions, arm: ArmSpec, force: float, axis: int
) -> tuple[float, float]:
    """Weight [N] along an axis of the tool at which the block slips, and the pads' force then."""
    world, block = _gripped(robot, physics, arm, force)
    body, tool = world.data.body("object_00"), world.data.body(arm.tip_link)
    direction = tool.xmat.reshape(3, 3)[:, axis].copy()
    expected = 2 * PAD_FRICTION * physics.friction_scale * force
    steps = max(round(0.02 / world.timestep), 1)
    weight, pads, gap = 0.0, force, direction @ (body.xpos - tool.xpos)
    while weight < 3 * expected:
        weight += expected * steps * world.timestep / 2  # 2 mu F in two seconds
        world.model.opt.gravity[:] = direction * weight / block.mass
        world.step(steps)
        place = direction @ (body.xpos - tool.xpos)
        if place - gap > 0.005 * steps * world.timestep and weight > 0.2 * expected:
            break
        gap, pads = place, _pad_force(world, arm.name)
    return weight, pads


def creep(robot: RobotSpec, physics: PhysicsOptions, arm: ArmSpec) -> Check:
    """How far a held block creeps in ten seconds, at half the largest force."""
    world, _ = _gripped(robot, physics, arm, arm.gripper.force_max / 2)
    body, tool = world.data.body("object_00"), world.data.body(arm.tip_link)
    before = body.xpos - tool.xpos
    world.step(round(10 / world.timestep))
    crept = float(np.linalg.norm(body.xpos - tool.xpos - before))
    return Check(f"{arm.name}: creep of a held block in 10 s", crept * 1e3, 2.0, "mm")
