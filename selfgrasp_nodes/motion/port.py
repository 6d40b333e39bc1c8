"""What the runner needs of an arm: the robot behind ROS, or the world in lockstep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from selfgrasp_nodes.types import Trajectory


@dataclass(frozen=True)
class ArmSample:
    """What an arm's sensors say at one time.

    Attributes:
        time: [ns].
        q: (J,) joint positions [rad].
        effort: (J,) joint efforts [N m]; NaN where not measured.
        width: Opening of the gripper [m].
        force: Of its motor [N]; NaN where not measured.
        wrench: (6,) force [N] and torque [N m] at the wrist; NaN where not measured.
        gripper_time: When width and force were read [ns]; None: at ``time``.
        wrench_time: When the wrench was read [ns]; None: at ``time``.
    """

    time: int
    q: np.ndarray
    effort: np.ndarray
    width: float
    force: float
    wrench: np.ndarray
    gripper_time: int | None = None
    wrench_time: int | None = None


Watch = Callable[[ArmSample], None]
"""Called with every new sample while something runs; what it raises stops the arm."""


class ArmPort(Protocol):
    """One arm with its gripper.

    Whatever blocks calls ``watch`` with each new sample, at 50 Hz or more of the
    arm's time and at least every 50 ms of wall time (the last sample again
    where no new one came). When ``watch`` raises, the port stops arm and
    gripper at once and lets the error through. A sensor or controller that
    does not answer ends in ``Unavailable`` after a wall-clock limit, an aborted
    motion in ``ExecutionFailed``.
    """

    def sample(self) -> ArmSample:
        """The newest sample."""
        ...

    def run_trajectory(self, trajectory: Trajectory, watch: Watch) -> None:
        """Run a trajectory to its end."""
        ...

    def start_gripper(self, width: float, force: float) -> None:
        """Begin to move the fingers to an opening [m] with at most a force [N]."""
        ...

    def wait_gripper(self, watch: Watch) -> None:
        """Wait until the fingers are where they were sent, or have stalled."""
        ...

    def wait(self, duration: float, watch: Watch) -> None:
        """Hold still [s]."""
        ...

    def stop(self) -> None:
        """Bring the arm to rest within 0.1 s; safe to call from any thread."""
        ...
