"""The simulated cell in lockstep: robot, table, objects, sensors; no ROS.

Nothing here helps the robot: what it holds it holds by friction. Methods that
move things at once (``reset``, ``set_arm``, ``remove_object``) are for the time
before a run and after a label.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import mujoco
import numpy as np

from selfgrasp_nodes.errors import ExecutionFailed, UnknownName
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.simulation.board import BoardFixture, add_board
from selfgrasp_nodes.simulation.cameras import CameraRenderer
from selfgrasp_nodes.simulation.drives import ArmDrive, GripperDrive
from selfgrasp_nodes.simulation.model import PhysicsOptions, build_cell, compile_scene
from selfgrasp_nodes.simulation.noise import CameraNoise
from selfgrasp_nodes.simulation.scene import Scene
from selfgrasp_nodes.simulation.stepping import Stepper
from selfgrasp_nodes.simulation.truth import ObjectTruth, object_truth
from selfgrasp_nodes.simulation.wrist import WristSensor
from selfgrasp_nodes.types import Trajectory, View

# MuJoCo would write its warnings to a file in the working folder; World.step raises instead.
mujoco.set_mju_user_warning(logging.getLogger(__name__).debug)


@dataclass(frozen=True)
class WorldOptions:
    """How a world behaves.

    Attributes:
        physics: Numerics and friction.
        noise: Whether sensors are noisy, as the robot's description says.
        board: A calibration board in the cell, or None.
    """

    physics: PhysicsOptions = field(default_factory=PhysicsOptions)
    noise: bool = True
    board: BoardFixture | None = None


class World:
    """A robot cell and the objects of a scene.

    Attributes:
        robot: The cell's description.
        options: As given.
        scene: The scene of the last reset.
        model: MuJoCo's model; a new one after each reset.
        data: Its state.
    """

    def __init__(self, robot: RobotSpec, options: WorldOptions | None = None):
        self.robot = robot
        self.options = options or WorldOptions()
        self._cell = build_cell(robot, self.options.physics)
        if self.options.board is not None:
            add_board(self._cell.spec, self.options.board)
        self._renderer: CameraRenderer | None = None
        self._noises: dict[str, CameraNoise] = {}
        self.reset(Scene("empty", ()), 0)

    def reset(self, scene: Scene, seed: int) -> None:
        """Put a scene on the table, the arms home and the grippers open.

        Args:
            scene: What lies where.
            seed: Of the sensors' noise: equal seeds and calls give equal runs.
        """
        physics = self.options.physics
        self.close()
        self.scene, self._seed = scene, seed
        for noise in self._noises.values():
            noise.reseed(seed)
        self.model, names = compile_scene(self._cell, self.robot, scene, physics)
        self.data = mujoco.MjData(self.model)
        self._stepper = Stepper(self.model, self.data)
        self._rng = np.random.default_rng([seed, 7])
        self._steps = 0
        self._step_ns = round(physics.timestep * 1e9)
        self._bodies = {name: self.model.body(name).id for name in names}
        self._shapes = {
            name: obj.spec.shape for name, obj in zip(names, scene.objects, strict=True)
        }
        self._removed: list[str] = []
        self._arms: dict[str, ArmDrive] = {}
        self._grippers: dict[str, GripperDrive] = {}
        self._wrists: dict[str, WristSensor] = {}
        self._fingers: dict[str, tuple[frozenset[int], ...]] = {}
        for arm in self.robot.arms:
            parts = self._cell.arms[arm.name]
            self.data.qpos[[self.model.joint(n).qposadr[0] for n in arm.joints]] = arm.home
            self._arms[arm.name] = ArmDrive(self.model, self.data, arm, parts)
            self._grippers[arm.name] = GripperDrive(self.model, self.data, arm, parts)
            self._grippers[arm.name].place(arm.gripper.width_max)
            self._wrists[arm.name] = WristSensor(self.model, self.data, parts.tool)
            self._fingers[arm.name] = tuple(
                frozenset(self.model.body(link).id for link in finger) for finger in parts.fingers
            )
        self._drives: list[ArmDrive | GripperDrive] = [
            *self._arms.values(),
            *self._grippers.values(),
        ]
        mujoco.mj_forward(self.model, self.data)

    # -- time

    @property
    def time(self) -> int:
        """Simulated time since the reset [ns]."""
        return self._steps * self._step_ns

    @property
    def timestep(self) -> float:
        """Length of a step [s]."""
        return self.options.physics.timestep

    def step(self, n: int = 1) -> None:
        """Advance by n steps.

        Raises:
            ExecutionFailed: If the simulation became unstable (it then needs a reset).
        """
        drives, stepper = self._drives, self._stepper
        for _ in range(n):
            for drive in drives:
                drive.update()
            stepper.step()
        self._steps += n
        if stepper.failed:
            raise ExecutionFailed("the simulation became unstable; reset it")

    # -- commands

    def command_joints(
        self, arm: str, q: Sequence[float] | np.ndarray, qd: Sequence[float] | None = None
    ) -> None:
        """Move an arm's setpoint to joint positions, no faster than its joints may.

        Args:
            arm: Its name.
            q: (J,) [rad].
            qd: (J,) speed at which the setpoint moves on when it is there [rad/s].
        """
        feed = None if qd is None else np.asarray(qd, float)
        self._arm(arm).stream(np.asarray(q, float), feed)

    def follow(self, arm: str, trajectory: Trajectory) -> None:
        """Start a trajectory; it runs while the world is stepped (see :meth:`moving`).

        Raises:
            ExecutionFailed: If it does not fit the arm (see ``ArmDrive.follow``).
        """
        self._arm(arm).follow(trajectory)

    def moving(self, arm: str) -> bool:
        """Whether the arm's setpoint still moves."""
        return self._arm(arm).moving

    def setpoint(self, arm: str) -> tuple[np.ndarray, np.ndarray]:
        """Joint positions [rad] and velocities [rad/s] that are commanded now."""
        drive = self._arm(arm)
        return drive.reference.copy(), drive.velocity.copy()

    def stop(self, arm: str) -> None:
        """Bring an arm to rest within ``drives.STOP_TIME``."""
        self._arm(arm).stop()

    def command_gripper(self, arm: str, width: float, force: float = 0.0) -> None:
        """Go to an opening [m] with at most this force [N] (0: the largest)."""
        self._arm(arm)
        self._grippers[arm].command(width, force)

    # -- sensors

    def joint_state(self, arm: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions [rad], velocities [rad/s] and efforts [N m], (J,) each, noisy."""
        drive = self._arm(arm)
        data, dofs = self.data, drive.dofs
        effort = data.qfrc_actuator[dofs] + data.qfrc_gravcomp[dofs]
        readings = data.qpos[drive.qpos], data.qvel[dofs], effort
        if not self.options.noise:
            return readings
        noise = self._rng.standard_normal((3, len(dofs)))
        sigma = drive.arm.joint_noise
        q, qd, effort = (r + s * n for r, s, n in zip(readings, sigma, noise, strict=True))
        return q, qd, effort

    def gripper_state(self, arm: str) -> tuple[float, float]:
        """Opening [m] and force as the motor sees it [N], noisy.

        The force is NaN where the gripper does not measure it.
        """
        self._arm(arm)
        drive = self._grippers[arm]
        gripper = drive.spec
        width = drive.width()
        force = abs(float(self.data.actuator_force[drive.actuator])) / drive.lever()
        if self.options.noise:
            noise = self._rng.standard_normal(2)
            width += gripper.width_noise * noise[0]
            force = abs(force + gripper.force_noise * noise[1])
        return width, force if gripper.measures_force else float("nan")

    def gripper_motor(self, arm: str) -> tuple[float, float, float]:
        """Opening [m], its speed [m/s] and the commanded opening [m].

        As the gripper's own controller knows them: without the noise of what it reports.
        """
        self._arm(arm)
        drive = self._grippers[arm]
        width = drive.width()
        speed = abs(float(self.data.qvel[drive.dof])) * drive.lever()
        return width, speed, drive.target

    def wrench(self, arm: str) -> np.ndarray:
        """Force [N] and torque [N m] on the tool, (6,), in the flange's frame, noisy.

        What the world does to gripper and payload: the gripper's own weight is
        taken off, as a controller does that knows its payload. A hanging weight
        pulls along the world's -z.
        """
        spec = self._arm(arm).arm
        wrench = self._wrists[arm].read()
        if self.options.noise:
            wrench[:3] += spec.wrench_noise[0] * self._rng.standard_normal(3)
            wrench[3:] += spec.wrench_noise[1] * self._rng.standard_normal(3)
        return wrench

    def render(self, camera: str = "") -> View:
        """What a camera sees now, noisy.

        Raises:
            UnknownName: If there is no such camera.
        """
        spec = self.robot.camera(camera)
        if self._renderer is None:
            self._renderer = CameraRenderer(self.model, self.robot.rendered_cameras)
        view = self._renderer.view(self.data, spec.name, self.time)
        return self.add_camera_noise(view) if self.options.noise else view

    def world_T_camera(self, camera: str = "") -> np.ndarray:
        """Pose of a camera's optical frame now, 4 x 4; without a picture.

        Raises:
            UnknownName: If there is no such camera.
        """
        spec = self.robot.camera(camera)
        if self._renderer is None:
            self._renderer = CameraRenderer(self.model, self.robot.rendered_cameras)
        return self._renderer.world_T_camera(self.data, spec.name)

    def add_camera_noise(self, view: View) -> View:
        """A view as the camera's own noise leaves it (:meth:`render` does so already)."""
        noise = self._noises.get(view.camera)
        if noise is None:
            noise = CameraNoise(self.robot.camera(view.camera), self._seed)
            self._noises[view.camera] = noise
        color, depth = noise.apply(view.color, view.depth)
        return replace(view, color=color, depth=depth)

    # -- truth, reset and put-away

    def truth(self) -> list[ObjectTruth]:
        """Every object that was not removed; for evaluation only."""
        present = {
            name: (body, self._shapes[name])
            for name, body in self._bodies.items()
            if name not in self._removed
        }
        return object_truth(self.model, self.data, present, self._fingers)

    def object_speed(self) -> float:
        """Speed of the fastest object that was not removed [m/s or rad/s]."""
        dofs = [
            self.model.joint(name).dofadr[0] for name in self._bodies if name not in self._removed
        ]
        if not dofs:
            return 0.0
        return float(np.abs(self.data.qvel[np.add.outer(dofs, np.arange(6))]).max())

    def finger_bodies(self, arm: str) -> tuple[frozenset[int], ...]:
        """Ids of the model's bodies that make up each finger of an arm's gripper."""
        self._arm(arm)
        return self._fingers[arm]

    def set_arm(
        self, arm: str, q: Sequence[float] | np.ndarray, width: float | None = None
    ) -> None:
        """Put an arm at joint positions [rad] at once, at rest; reset and put-away only.

        Args:
            arm: Its name.
            q: (J,) [rad].
            width: Opening of the gripper [m]; as it is where None.
        """
        drive = self._arm(arm)
        self.data.qpos[drive.qpos] = q
        self.data.qvel[drive.dofs] = 0
        drive.hold(np.asarray(q, float))
        if width is not None:
            self._grippers[arm].place(width)
            self.data.qvel[self._grippers[arm].dof] = 0
        mujoco.mj_forward(self.model, self.data)

    def remove_object(self, name: str) -> None:
        """Take an object out of the world at once; reset and put-away only.

        Raises:
            UnknownName: If there is no such object (any more).
        """
        if name not in self._bodies or name in self._removed:
            raise UnknownName("object", name, set(self._bodies) - set(self._removed))
        self._removed.append(name)
        joint = self.model.joint(name)
        start, dof = int(joint.qposadr[0]), int(joint.dofadr[0])
        # Far off on the table's plane, at rest: out of every camera's sight.
        self.data.qpos[start : start + 7] = (20 + len(self._removed), 20, 0.1, 1, 0, 0, 0)
        self.data.qvel[dof : dof + 6] = 0
        # What leant on it must wake and fall: the smallest motion does that.
        for other in self._bodies:
            address = int(self.model.joint(other).dofadr[0])
            if not self.data.qvel[address : address + 6].any():
                self.data.qvel[address + 2] = -1e-9
        mujoco.mj_forward(self.model, self.data)

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _arm(self, name: str) -> ArmDrive:
        try:
            return self._arms[name]
        except KeyError:
            raise UnknownName("arm", name, self._arms) from None
