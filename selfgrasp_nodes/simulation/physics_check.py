"""Is the simulated physics honest? Measured, with the gripper and arm of the cell.

Every check runs the world that trials run in, with the same time step and
solver settings, and compares with what Coulomb's law or the robot's data sheet
says. ``selfgrasp check --physics`` prints them; the tests hold them.
"""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np

from selfgrasp_nodes.robots import ArmSpec, RobotSpec
from selfgrasp_nodes.simulation.check import GRAVITY, Check, place_objects, quiet_world
from selfgrasp_nodes.simulation.grip_check import creep, slip, squeeze_force
from selfgrasp_nodes.simulation.model import PhysicsOptions
from selfgrasp_nodes.simulation.objects import DENSITY_RANGE, FRICTION_RANGE, ObjectSpec
from selfgrasp_nodes.simulation.world import World, WorldOptions
from selfgrasp_nodes.types import Trajectory


def physics_checks(robot: RobotSpec, physics: PhysicsOptions | None = None) -> list[Check]:
    """All checks for a robot's cell.

    Args:
        robot: The cell.
        physics: Numerics; the defaults where None.
    """
    physics = physics or PhysicsOptions()
    checks = [check(robot, physics) for check in CELL_CHECKS.values()]
    for arm in robot.arms:
        checks += [check(robot, physics, arm) for check in ARM_CHECKS.values()]
    return checks


def slope(robot: RobotSpec, physics: PhysicsOptions) -> Check:
    """Angle at which a block begins to slide, against atan(mu).

    The table stays; gravity is tilted instead, along x and along a diagonal, for
    the smallest, middle and largest friction of the objects.
    """
    worst, detail = 0.0, []
    world = World(robot, WorldOptions(physics=physics, noise=False))
    for friction in (FRICTION_RANGE[0], float(np.mean(FRICTION_RANGE)), FRICTION_RANGE[1]):
        mu = friction * physics.friction_scale
        for heading in (0.0, np.pi / 4):
            expected = np.arctan(mu)
            low, high = 0.8 * expected, 1.2 * expected
            while high - low > 0.004 * expected:
                middle = (low + high) / 2
                if _slides(world, friction, middle, heading):
                    high = middle
                else:
                    low = middle
            error = abs((low + high) / 2 / expected - 1)
            worst = max(worst, error)
            detail.append(f"mu {mu:.2f}: {error:.1%}")
    return Check("slope angle against atan(mu)", worst, 0.05, "", "; ".join(detail))


def _slides(world: World, friction: float, angle: float, heading: float) -> bool:
    """Whether a flat block gathers speed on a slope."""
    # The flattest block: it slides before it tips, whatever the friction.
    place_objects(world, ObjectSpec("plank", friction=friction))
    model, data = world.model, world.data
    model.opt.gravity[:] = GRAVITY * np.array(
        [np.sin(angle) * np.cos(heading), np.sin(angle) * np.sin(heading), -np.cos(angle)]
    )
    dof = int(model.joint("object_00").dofadr[0])
    world.step(round(0.3 / world.timestep))
    early = np.linalg.norm(data.qvel[dof : dof + 2])
    world.step(round(0.5 / world.timestep))
    late = np.linalg.norm(data.qvel[dof : dof + 2])
    # Creep has a steady speed; a sliding block accelerates: 0.02 m/s^2 tells them apart.
    return bool(late - early > 0.01)


def tracking(robot: RobotSpec, physics: PhysicsOptions, arm: ArmSpec) -> Check:
    """Largest error of the tool while the arm runs from home to ready and back, fast.

    Quintic motion of all joints at once, at 90 % of the speed and acceleration
    that the description allows. The bound is 5 mm on the way and the detail says
    the error at rest.
    """
    world = quiet_world(robot, physics)
    start, goal = np.array(arm.home), np.array(arm.ready)
    world.set_arm(arm.name, start)
    worst = 0.0
    reference = mujoco.MjData(world.model)
    for a, b in ((start, goal), (goal, start)):
        world.follow(arm.name, quintic(arm, a, b, 0.9))
        while world.moving(arm.name):
            aim, _ = world.setpoint(arm.name)
            worst = max(worst, _tool_error(world, arm, aim, reference))
            world.step(1)
    world.step(round(0.05 / world.timestep))
    rest = _tool_error(world, arm, start, reference)
    detail = f"{rest * 1e3:.2f} mm at 50 ms after the end"
    return Check(f"{arm.name}: tool error on a fast trajectory", worst * 1e3, 5.0, "mm", detail)


def _tool_error(world: World, arm: ArmSpec, q: np.ndarray, scratch: mujoco.MjData) -> float:
    """Distance between the tool and where joints ``q`` would have it [m]."""
    addresses = [int(world.model.joint(n).qposadr[0]) for n in arm.joints]
    places = []
    for joints in (world.data.qpos[addresses], q):
        scratch.qpos[:] = world.data.qpos
        scratch.qpos[addresses] = joints
        mujoco.mj_kinematics(world.model, scratch)
        places.append(scratch.body(arm.tip_link).xpos.copy())
    return float(np.linalg.norm(places[0] - places[1]))


def quintic(arm: ArmSpec, start: np.ndarray, goal: np.ndarray, share: float) -> Trajectory:
    """A rest-to-rest motion with a share of the arm's largest speed and acceleration."""
    way = np.abs(goal - start)
    by_speed = (1.875 * way / (share * np.array(arm.velocity_limits))).max()
    by_acceleration = np.sqrt((5.7735 * way / (share * np.array(arm.acceleration_limits))).max())
    duration = max(by_speed, by_acceleration, 0.1)
    s = np.linspace(0, 1, 60)
    shape = 10 * s**3 - 15 * s**4 + 6 * s**5
    rate = (30 * s**2 - 60 * s**3 + 30 * s**4) / duration
    return Trajectory(
        arm.joints,
        s * duration,
        start + np.outer(shape, goal - start),
        np.outer(rate, goal - start),
    )


def joint_speeds(robot: RobotSpec, physics: PhysicsOptions) -> Check:
    """Largest speed of any joint as a share of its limit, told to go to ``ready`` at once."""
    world = quiet_world(robot, physics)
    worst = 0.0
    for arm in robot.arms:
        world.command_joints(arm.name, arm.ready)
        for _ in range(round(1.5 / world.timestep)):
            world.step(1)
            speed = np.abs(world.joint_state(arm.name)[1]) / np.array(arm.velocity_limits)
            worst = max(worst, float(speed.max()))
    return Check("joint speed against its limit", worst, 1.1, "", "step command to ready")


def bounds(robot: RobotSpec, physics: PhysicsOptions) -> Check:
    """Number of coefficients of the compiled model that leave their honest range."""
    specs = [
        ObjectSpec("cube", friction=f, density=d)
        for f, d in zip(FRICTION_RANGE, DENSITY_RANGE, strict=True)
    ]
    world = quiet_world(robot, physics, *specs)
    model = world.model
    bad = []
    for arm in robot.arms:
        for finger in world.finger_bodies(arm.name):
            for geom in range(model.ngeom):
                if int(model.geom_bodyid[geom]) in finger and model.geom_friction[geom, 0] > 1.0:
                    bad.append(f"friction of {model.geom(geom).name}")
        if arm.gripper.force_max > 40.0:
            bad.append(f"force of {arm.gripper.name}")
    for name, spec in zip(world.scene.names(), specs, strict=True):
        body = model.body(name)
        mass = float(body.mass[0])
        if abs(mass - spec.mass) > 1e-6 or not 400 <= spec.density <= 800:
            bad.append(f"mass of {name}")
        friction = model.geom_friction[int(body.geomadr[0]), 0] / physics.friction_scale
        if not 0.4 - 1e-9 <= friction <= 0.8 + 1e-9:
            bad.append(f"friction of {name}")
        if model.body_gravcomp[body.id] != 0:
            bad.append(f"gravity compensation of {name}")
    return Check("coefficients out of bounds", len(bad), 0, "", ", ".join(bad))


def no_magic(robot: RobotSpec, physics: PhysicsOptions) -> Check:
    """Number of constraints, tendons or actuators of the compiled model that touch an object."""
    world = quiet_world(robot, physics, ObjectSpec("cube"), ObjectSpec("arch"))
    model = world.model
    objects = {model.body(name).id for name in world.scene.names()}
    joint = mujoco.mjtObj.mjOBJ_JOINT
    touched = int(model.ntendon) + int(model.nmocap)
    for index in range(model.neq):
        ids = [int(model.eq_obj1id[index]), int(model.eq_obj2id[index])]
        if int(model.eq_type[index]) == mujoco.mjtEq.mjEQ_JOINT:
            bodies = {int(model.jnt_bodyid[i]) for i in ids if i >= 0}
        elif int(model.eq_objtype[index]) == mujoco.mjtObj.mjOBJ_BODY:
            bodies = set(ids)
        else:
            bodies = objects  # any other kind counts as magic
        touched += bool(bodies & objects)
    for index in range(model.nu):
        kind = int(model.actuator_trntype[index])
        target = int(model.actuator_trnid[index, 0])
        robot_joint = kind == mujoco.mjtTrn.mjTRN_JOINT and (
            int(model.jnt_bodyid[target]) not in objects
        )
        touched += not robot_joint
    names = [mujoco.mj_id2name(model, joint, i) for i in range(model.njnt)]
    free = sum(int(t) == mujoco.mjtJoint.mjJNT_FREE for t in model.jnt_type)
    touched += abs(free - len(objects))  # every object is free, nothing else is
    return Check(
        "constraints or actuators that touch an object", touched, 0, "", f"{len(names)} joints"
    )


CELL_CHECKS: dict[str, Callable[[RobotSpec, PhysicsOptions], Check]] = {
    "slope": slope,
    "bounds": bounds,
    "no_magic": no_magic,
    "joint_speeds": joint_speeds,
}
ARM_CHECKS: dict[str, Callable[[RobotSpec, PhysicsOptions, ArmSpec], Check]] = {
    "squeeze_force": squeeze_force,
    "slip": slip,
    "creep": creep,
    "tracking": tracking,
}
