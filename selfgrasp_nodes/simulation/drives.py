"""What the robot's controllers do at every step of the world.

:class:`ArmDrive` interpolates trajectories for the joint servos as an arm's
controller does; :class:`GripperDrive` closes a gripper at its speed until the
commanded force.
"""

from __future__ import annotations

import math

import mujoco
import numpy as np

from selfgrasp_nodes.errors import ExecutionFailed
from selfgrasp_nodes.robots import ArmSpec
from selfgrasp_nodes.robots import gripper as kinematics
from selfgrasp_nodes.simulation.model import ArmModel
from selfgrasp_nodes.types import Trajectory

STOP_TIME = 0.06
"""Within which a stopped arm comes to rest [s]."""
START_TOLERANCE = 0.05
"""Largest distance of a trajectory's first point from where the arm is [rad]."""


class ArmDrive:
    """Setpoints of one arm's joint servos.

    Attributes:
        reference: (J,) joint positions that are commanded now [rad].
        velocity: (J,) their rate [rad/s].
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, arm: ArmSpec, parts: ArmModel):
        self.arm = arm
        self.dt = model.opt.timestep
        self.qpos = np.array([model.joint(n).qposadr[0] for n in arm.joints])
        self.dofs = np.array([model.joint(n).dofadr[0] for n in arm.joints])
        ids = [model.actuator(n).id for n in parts.actuators]
        self._ctrl = data.ctrl[ids[0] : ids[0] + len(ids)]  # servos of an arm are neighbours
        # A velocity feed-forward as a lead of the position: k (q + (d/k) qd - q_is) - d qd_is.
        # The servo sees the position at a step's begin and is to arrive at its end: one step less.
        lead = np.array([damping / stiffness for stiffness, damping in parts.gains])
        self._lead = lead - self.dt
        self._limits = np.array(arm.velocity_limits)
        self._accelerations = np.array(arm.acceleration_limits)
        self.hold(data.qpos[self.qpos])

    def hold(self, q: np.ndarray) -> None:
        """Stay at joint positions [rad] from now on."""
        self.reference = np.array(q, float)
        self.velocity = np.zeros(len(self.reference))
        self._rows = np.zeros((0, len(self.reference)))
        self._speeds = self._rows
        self._commands = self._rows
        self._next = 0
        self._target: np.ndarray | None = None
        self._ctrl[:] = self.reference

    @property
    def moving(self) -> bool:
        """Whether the setpoint still moves."""
        return self._next < len(self._rows) or self._target is not None

    def follow(self, trajectory: Trajectory) -> None:
        """Run a trajectory from the next step on.

        Positions are interpolated by cubics through the points and velocities.

        Raises:
            ExecutionFailed: If joints differ, numbers are not finite, it begins
                elsewhere than the arm is, or it is faster than the joints.
        """
        order = self._columns(trajectory.joints)
        time = np.asarray(trajectory.time, float)
        q = np.asarray(trajectory.positions, float)[:, order]
        qd = np.asarray(trajectory.velocities, float)[:, order]
        if not (np.isfinite(q).all() and np.isfinite(qd).all() and np.isfinite(time).all()):
            raise ExecutionFailed(f"{self.arm.name}: trajectory has numbers that are not finite")
        if len(time) == 0:
            return
        if (np.diff(time) <= 0).any():
            raise ExecutionFailed(f"{self.arm.name}: trajectory times must increase")
        gap = np.abs(q[0] - self.reference).max()
        if gap > START_TOLERANCE:
            raise ExecutionFailed(
                f"{self.arm.name}: trajectory begins {gap:.3f} rad from where the arm is "
                f"(allowed: {START_TOLERANCE}); plan from its present joints"
            )
        rows, speeds = sample(time, q, qd, self.dt)
        ratio = (np.abs(speeds) / self._limits).max()
        if ratio > 1.02:
            raise ExecutionFailed(
                f"{self.arm.name}: trajectory needs {ratio:.2f} times the joints' largest speed; "
                "time it more slowly"
            )
        self._run(rows, speeds)

    def stream(self, q: np.ndarray, qd: np.ndarray | None) -> None:
        """Move the setpoint to ``q`` [rad], within the joints' speed and acceleration.

        ``qd`` [rad/s] is where the stream goes on: without it the arm stops at ``q``.

        Raises:
            ExecutionFailed: If a number is not finite or the size is wrong.
        """
        q = np.asarray(q, float)
        if q.shape != self.reference.shape or not np.isfinite(q).all():
            raise ExecutionFailed(f"{self.arm.name}: needs {len(self.reference)} finite joints")
        self._rows = self._rows[:0]
        self._next = 0
        self._target = q
        self._feed = np.zeros_like(q) if qd is None else np.asarray(qd, float)
        self._feed = np.clip(self._feed, -self._limits, self._limits)

    def stop(self) -> None:
        """Come to rest within :data:`STOP_TIME`, on the way that it goes now."""
        steps = max(round(STOP_TIME / self.dt), 1)
        left = 1 - np.arange(1, steps + 1) / steps
        speeds = left[:, None] * self.velocity
        self._run(self.reference + np.cumsum(speeds, axis=0) * self.dt, speeds)

    def update(self) -> None:
        """Set the servos for the next step."""
        if self._next < len(self._rows):
            k = self._next
            self._ctrl[:] = self._commands[k]
            self.reference, self.velocity = self._rows[k], self._speeds[k]
            self._next = k + 1
        elif self._target is not None:
            self._approach()

    def _approach(self) -> None:
        """One step towards a streamed target, within speed and acceleration limits."""
        assert self._target is not None
        left = self._target - self.reference
        brake = np.sqrt(2 * self._accelerations * np.abs(left))
        # Never past the target within one step, never faster than it can brake.
        speed = np.minimum(np.minimum(brake, self._limits), np.abs(left) / self.dt)
        change = self._accelerations * self.dt
        wanted = np.sign(left) * speed + np.where(np.abs(left) < 1e-6, self._feed, 0.0)
        self.velocity = np.clip(wanted, self.velocity - change, self.velocity + change)
        self.reference = self.reference + self.velocity * self.dt
        if np.abs(self.velocity).max() < 1e-6 and np.abs(left).max() < 1e-6:
            self.reference, self.velocity = self._target.copy(), np.zeros_like(left)
            self._target = None
        self._ctrl[:] = self.reference + self._lead * self.velocity

    def _run(self, rows: np.ndarray, speeds: np.ndarray) -> None:
        self._target = None
        self._rows, self._speeds, self._next = rows, speeds, 0
        self._commands = rows + self._lead * speeds

    def _columns(self, joints: tuple[str, ...]) -> list[int]:
        if sorted(joints) != sorted(self.arm.joints):
            raise ExecutionFailed(
                f"{self.arm.name}: trajectory is for joints {', '.join(joints)}; "
                f"expected {', '.join(self.arm.joints)}"
            )
        return [list(joints).index(name) for name in self.arm.joints]


def sample(
    time: np.ndarray, q: np.ndarray, qd: np.ndarray, dt: float
) -> tuple[np.ndarray, np.ndarray]:
    """A trajectory at every step: cubic Hermite interpolation.

    Args:
        time: (N,) increasing [s].
        q: (N, J) positions.
        qd: (N, J) velocities.
        dt: Step [s].

    Returns:
        Positions and velocities, (K, J) each, at dt, 2 dt, ... and the end.
    """
    count = max(math.ceil(round((time[-1] - time[0]) / dt, 9)), 1)
    t = np.minimum(time[0] + dt * np.arange(1, count + 1), time[-1])
    if len(time) == 1:
        return np.repeat(q, count, axis=0), np.zeros((count, q.shape[1]))
    k = np.clip(np.searchsorted(time, t, side="right") - 1, 0, len(time) - 2)
    h = (time[k + 1] - time[k])[:, None]
    s = (t - time[k])[:, None] / h
    p0, p1, v0, v1 = q[k], q[k + 1], qd[k] * h, qd[k + 1] * h
    a, b = 2 * p0 - 2 * p1 + v0 + v1, -3 * p0 + 3 * p1 - 2 * v0 - v1
    rows = ((a * s + b) * s + v0) * s + p0
    speeds = ((3 * a * s + 2 * b) * s + v0) / h
    return rows, speeds


class GripperDrive:
    """A gripper's motor: runs at its speed, pushes with the commanded force at most.

    The pads' force follows from the motor's torque by virtual work: torque =
    force * d(width)/d(joint).

    Attributes:
        target: Opening that is commanded [m].
        force: Largest force that is commanded [N].
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, arm: ArmSpec, parts: ArmModel):
        gripper = arm.gripper
        self.spec = gripper
        self.model, self.data = model, data
        self.dt = model.opt.timestep
        joint = model.joint(gripper.joint)
        self.qpos, self.dof = int(joint.qposadr[0]), int(joint.dofadr[0])
        self.actuator = model.actuator(parts.gripper_actuator).id
        self.followers = [
            (int(model.joint(name).qposadr[0]), factor, offset)
            for name, factor, offset in parts.followers
        ]
        self._stiffness, damping = parts.gripper_gains
        self._lead = damping / self._stiffness
        self._joint_speed = parts.gripper_speed
        self._prepare()
        self.place(kinematics.width_from_joint(gripper, data.qpos[self.qpos]))

    def place(self, width: float) -> None:
        """Put the fingers at an opening [m] at once (reset only)."""
        joint = kinematics.joint_from_width(self.spec, width)
        self.data.qpos[self.qpos] = joint
        for address, factor, offset in self.followers:
            self.data.qpos[address] = factor * joint + offset
        self._reference = joint
        self.command(width, self.spec.force_max)
        self.update()

    def command(self, width: float, force: float) -> None:
        """Go to an opening [m] with at most this force [N] (0: the largest).

        Both are clipped to what the gripper can do.

        Raises:
            ExecutionFailed: If a number is not finite.
        """
        if not (math.isfinite(width) and math.isfinite(force)):
            raise ExecutionFailed(f"gripper command is not finite: width {width}, force {force}")
        gripper = self.spec
        self.target = min(max(width, gripper.width_min), gripper.width_max)
        force = force if force > 0 else gripper.force_max
        self.force = min(max(force, gripper.force_min), gripper.force_max)
        self._target = kinematics.joint_from_width(gripper, self.target)

    def width(self) -> float:
        """Opening now [m]."""
        return self._width(float(self.data.qpos[self.qpos]))

    def lever(self) -> float:
        """|d(width)/d(joint)| now [m/rad, or m/m]."""
        return self._lever(float(self.data.qpos[self.qpos]))

    def update(self) -> None:
        """Set the servo and its limit for the next step."""
        q = float(self.data.qpos[self.qpos])
        lever = self._lever(q)
        limit = self.force * lever
        speed = min(self.spec.speed / lever, self._joint_speed)
        left = self._target - self._reference
        step = min(max(left, -speed * self.dt), speed * self.dt)
        # When something blocks the fingers the setpoint waits where the motor gives
        # all it may, so that they turn back at once when they are told to open.
        leash = 2 * limit / self._stiffness
        self._reference = min(max(self._reference + step, q - leash), q + leash)
        self.data.ctrl[self.actuator] = self._reference + self._lead * step / self.dt
        self.model.actuator_forcerange[self.actuator] = (-limit, limit)

    # The law of robots.gripper once more, with its constants computed beforehand: it runs at
    # every step. A test compares the two.

    def _prepare(self) -> None:
        gripper = self.spec
        span = gripper.joint_open - gripper.joint_closed
        stroke = gripper.width_max - gripper.width_min
        self._slope = stroke / span
        self._low, self._high = sorted((gripper.joint_closed, gripper.joint_open))
        if gripper.kind == "arc":
            sine = math.sin(gripper.angle_closed)
            sweep = math.asin(sine + stroke / 2 / gripper.link_length) - gripper.angle_closed
            self._sine, self._turn = sine, sweep / span

    def _angle(self, q: float) -> float:
        return self.spec.angle_closed + self._turn * (q - self.spec.joint_closed)

    def _width(self, q: float) -> float:
        gripper = self.spec
        if gripper.kind == "prismatic":
            return gripper.width_min + self._slope * (q - gripper.joint_closed)
        rise = math.sin(self._angle(q)) - self._sine
        return gripper.width_min + 2 * gripper.link_length * rise

    def _lever(self, q: float) -> float:
        gripper = self.spec
        if gripper.kind == "prismatic":
            return abs(self._slope)
        q = min(max(q, self._low), self._high)
        return abs(2 * gripper.link_length * math.cos(self._angle(q)) * self._turn)
