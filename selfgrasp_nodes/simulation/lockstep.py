"""An arm of the world in lockstep, as motion's runner needs it."""

from __future__ import annotations

from collections import deque

import numpy as np

from selfgrasp_nodes.errors import ExecutionFailed
from selfgrasp_nodes.motion.port import ArmSample, Watch
from selfgrasp_nodes.simulation.world import World
from selfgrasp_nodes.types import Trajectory

PERIOD = 0.01
"""Between samples [s]."""

_WINDOW = 4  # samples between the two that are compared for a stall
_SMOOTH = 3  # samples that are averaged against the sensor's noise
_STILL = 0.002  # the fingers moved less than this within the window [m]
_REACHED = 0.002  # and this near they are where they were sent [m]
_SETTLE_LIMIT = 0.5  # of the servo's lag after a trajectory [s]
_LAG = 0.005  # joint error at which a trajectory has ended [rad]
_GRIPPER_LIMIT = 5.0  # longest wait for the fingers [s]


class LockstepPort:
    """See :class:`selfgrasp_nodes.motion.port.ArmPort`; every wait steps the world."""

    def __init__(self, world: World, arm: str = "", period: float = PERIOD):
        """Attach to an arm.

        Args:
            world: Stepped by nobody else while something runs.
            arm: Its name; the first one where empty.
            period: Between samples [s].
        """
        self._world = world
        self._arm = world.robot.arm(arm).name
        self._steps = max(1, round(period / world.timestep))
        self._target: float | None = None

    def sample(self) -> ArmSample:
        """The sensors now."""
        world, arm = self._world, self._arm
        q, _, effort = world.joint_state(arm)
        width, force = world.gripper_state(arm)
        return ArmSample(
            world.time, np.array(q), np.array(effort), width, force, world.wrench(arm)
        )

    def run_trajectory(self, trajectory: Trajectory, watch: Watch) -> None:
        """Run to the end, and until the servos have caught up."""
        self._world.follow(self._arm, trajectory)
        while self._world.moving(self._arm):
            self._step(watch)
        limit = self._world.time + round(_SETTLE_LIMIT * 1e9)
        goal = trajectory.positions[-1]
        while np.abs(self._step(watch).q - goal).max() > _LAG and self._world.time < limit:
            pass

    def start_gripper(self, width: float, force: float) -> None:
        """Command the fingers."""
        self._target = width
        self._world.command_gripper(self._arm, width, force)

    def wait_gripper(self, watch: Watch) -> None:
        """Until the fingers are there, or stand still.

        Raises:
            ExecutionFailed: If they do neither within 5 s.
        """
        widths: deque[float] = deque(maxlen=_WINDOW + _SMOOTH)
        limit = self._world.time + round(_GRIPPER_LIMIT * 1e9)
        while self._world.time < limit:
            widths.append(self._step(watch).width)
            recent = np.mean(list(widths)[-_SMOOTH:])
            if self._target is not None and len(widths) >= _SMOOTH:
                if abs(recent - self._target) < _REACHED:
                    return
                earlier = np.mean(list(widths)[:_SMOOTH])
                if len(widths) == widths.maxlen and abs(recent - earlier) < _STILL:
                    return
        raise ExecutionFailed(f"{self._arm}: the fingers neither arrived nor stalled within 5 s")

    def wait(self, duration: float, watch: Watch) -> None:
        """Hold still [s]."""
        end = self._world.time + round(duration * 1e9)
        while self._world.time < end:
            self._step(watch)

    def stop(self) -> None:
        """Bring the arm to rest; it takes ``drives.STOP_TIME`` of stepping."""
        self._world.stop(self._arm)

    def _step(self, watch: Watch) -> ArmSample:
        self._world.step(self._steps)
        sample = self.sample()
        try:
            watch(sample)
        except BaseException:
            self.stop()
            while self._world.moving(self._arm):
                self._world.step(1)
            raise
        return sample
