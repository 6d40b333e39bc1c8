"""A robot cell's drivers as a process of its own, which fail as they are told.

The simulated cell behind the interfaces that a robot's drivers have. A text on
``fault`` says how they fail from now on, an empty one that all is well again;
``fault/now`` repeats it when it holds.

    python faulty_robot.py --ros-args -p robot:=ur5_rg2 -p objects:=3
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

from control_msgs.action import FollowJointTrajectory
from rclpy.action import GoalResponse
from std_msgs.msg import String

from selfgrasp_nodes.nodes import qos, sim_node
from selfgrasp_nodes.nodes.sim_arm import ArmController
from selfgrasp_nodes.nodes.sim_gripper import GripperController

FAULTS = (
    "",
    "reject",  # the trajectory controller takes no goal
    "abort",  # it aborts each trajectory in its middle
    "protective stop",  # the arm stops in the middle, and its goal stays as it is
    "joints silent",  # the driver loses the robot: no joint states, no answers
    "gripper silent",  # the gripper takes a command and never answers
    "no pictures",  # the camera is unplugged
)


class FaultyArm(ArmController):
    def __init__(self, node: Any, *arguments: Any) -> None:
        super().__init__(node, *arguments)
        self.server.register_goal_callback(self._take)

    def _take(self, request: Any) -> GoalResponse:
        rejects = self._node.fault == "reject"
        return GoalResponse.REJECT if rejects else GoalResponse.ACCEPT

    def _execute(self, goal: Any) -> FollowJointTrajectory.Result:
        fault, name = self._node.fault, self._arm.name
        if fault not in ("abort", "protective stop", "joints silent"):
            return super()._execute(goal)
        points = goal.request.trajectory.points
        end = points[-1].time_from_start if points else None
        half = 0.5 * (end.sec + 1e-9 * end.nanosec) if end else 0.0
        stopper = threading.Timer(half, lambda: self._loop.post(lambda w: w.stop(name)))
        stopper.start()
        result = super()._execute(goal) if fault == "abort" else self._hang(goal)
        stopper.cancel()
        if fault == "abort" and result.error_string:
            result.error_code = result.PATH_TOLERANCE_VIOLATED
            result.error_string = "aborted due to path tolerance violation"
        return result

    def _hang(self, goal: Any) -> FollowJointTrajectory.Result:
        """Begin, and leave it at that until it is cancelled."""
        from selfgrasp_nodes.nodes import trial_messages

        trajectory = trial_messages.trajectory(goal.request.trajectory)
        self._loop.do(lambda world: world.follow(self._arm.name, trajectory))
        if self._node.fault == "joints silent":
            self._node.silent = True
        fault, result = self._node.fault, FollowJointTrajectory.Result()
        while self._node.fault == fault:
            if goal.is_cancel_requested and fault != "joints silent":
                return self._cancel_done(goal, result)
            time.sleep(0.01)
        return self._abort(goal, result, result.PATH_TOLERANCE_VIOLATED, "connection lost")


class FaultyGripper(GripperController):
    def _execute(self, goal: Any) -> Any:
        while self._node.fault == "gripper silent" and not goal.is_cancel_requested:
            time.sleep(0.01)
        return super()._execute(goal)


class FaultyRobot(sim_node.SimNode):
    fault, silent = "", False

    def __init__(self, **options: Any) -> None:
        sim_node.ArmController = FaultyArm  # type: ignore[misc]
        sim_node.GripperController = FaultyGripper  # type: ignore[misc]
        super().__init__(**options)
        self._echo = self.create_publisher(String, "fault/now", qos.LATCHED)
        self.create_subscription(
            String, "fault", self._take_fault, qos.LATCHED, callback_group=self.group
        )

    def _take_fault(self, message: String) -> None:
        assert message.data in FAULTS
        self.fault, self.silent = message.data, False
        self._echo.publish(message)

    def _publish_state(self, now: int) -> None:
        if not self.silent:
            super()._publish_state(now)


class Unplugged(sim_node.SimCameras):
    def request(self, camera: str) -> None:
        if self._node.fault != "no pictures":
            super().request(camera)


if __name__ == "__main__":
    from selfgrasp_nodes.nodes import main

    sim_node.SimCameras = Unplugged  # type: ignore[misc]
    main.NODES["sim"] = (__name__, "FaultyRobot")
    os._exit(main.main(["sim", *sys.argv[1:]]))
