"""One arm of the world in lockstep, as the motion runner drives it."""

from __future__ import annotations

from selfgrasp_nodes.errors import ExecutionFailed
from selfgrasp_nodes.motion.port import ArmSample, Watch
from selfgrasp_nodes.motion.stall import FingerWatch
from selfgrasp_nodes.simulation.world import World
from selfgrasp_nodes.types import Trajectory

SAMPLE_PERIOD = 0.01
"""Time between samples of the sensors [s], as a robot's state broadcaster gives them."""

SETTLE_TIME = 0.02
"""The servos trail their setpoint by about this much [s]."""

GRIPPER_TIMEOUT = 3.0
"""Longest time that the fingers may move [s]."""


class LockstepPort:
    """Steps the world while something runs; see ``motion.port.ArmPort``."""

    def __init__(self, world: World, arm: str):
        self._world = world
        self._arm = arm
        self._stride = max(1, round(SAMPLE_PERIOD / world.timestep))
        self._fingers = FingerWatch(world.robot.arm(arm).gripper)
        self._last: ArmSample | None = None

    def sample(self) -> ArmSample:
        """The sensors now; read once for each moment, as a topic would be."""
        world = self._world
        if self._last is None or self._last.time != world.time:
            q, _, effort = world.joint_state(self._arm)
            width, force = world.gripper_state(self._arm)
            wrench = world.wrench(self._arm)
            self._last = ArmSample(world.time, q, effort, width, force, wrench)
        return self._last

    def run_trajectory(self, trajectory: Trajectory, watch: Watch) -> None:
        """Follow it to its end."""
        self._world.follow(self._arm, trajectory)
        while self._world.moving(self._arm):
            self._advance(watch)
        self.wait(SETTLE_TIME, watch)

    def start_gripper(self, width: float, force: float) -> None:
        """Begin to move the fingers."""
        self._fingers.start(width)
        self._world.command_gripper(self._arm, width, force)

    def wait_gripper(self, watch: Watch) -> None:
        """Step until the fingers are there or have stalled.

        Raises:
            ExecutionFailed: If they still move after ``GRIPPER_TIMEOUT``.
        """
        deadline = self._world.time + GRIPPER_TIMEOUT * 1e9
        while not self._fingers.done(self.sample()):
            if self._world.time > deadline:
                raise ExecutionFailed(f"the fingers still move after {GRIPPER_TIMEOUT} s")
            self._advance(watch)

    def wait(self, duration: float, watch: Watch) -> None:
        """Step for a duration [s]."""
        end = self._world.time + duration * 1e9
        while self._world.time < end:
            self._advance(watch)

    def stop(self) -> None:
        """Bring the arm to rest; takes effect while the world is stepped."""
        self._world.stop(self._arm)

    def _advance(self, watch: Watch) -> None:
        self._world.step(self._stride)
        try:
            watch(self.sample())
        except BaseException:
            self.stop()
            raise
