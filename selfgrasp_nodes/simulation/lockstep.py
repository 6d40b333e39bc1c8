"""An arm of the world in lockstep, as motion's runner needs it."""

from __future__ import annotations

import numpy as np

from selfgrasp_nodes.errors import ExecutionFailed
from selfgrasp_nodes.motion.port import ArmSample, Watch
from selfgrasp_nodes.motion.stall import FingerWatch
from selfgrasp_nodes.simulation.world import World
from selfgrasp_nodes.types import Trajectory

PERIOD = 0.01
"""Between samples [s]."""

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
        self._fingers = FingerWatch(world.robot.arm(arm).gripper)
        self._last: ArmSample | None = None

    def sample(self) -> ArmSample:
        """The sensors now; read once for each moment, as from a topic."""
        world, arm = self._world, self._arm
        if self._last is None or self._last.time != world.time:
            q, _, effort = world.joint_state(arm)
            width, force = world.gripper_state(arm)
            self._last = ArmSample(
                world.time, np.array(q), np.array(effort), width, force, world.wrench(arm)
            )
        return self._last

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
        self._fingers.start(width)
        self._world.command_gripper(self._arm, width, force)

    def wait_gripper(self, watch: Watch) -> None:
        """Until the fingers are there, or stand still.

        Raises:
            ExecutionFailed: If they do neither within 5 s.
        """
        limit = self._world.time + round(_GRIPPER_LIMIT * 1e9)
        while self._world.time < limit:
            if self._fingers.done(self._step(watch)):
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
