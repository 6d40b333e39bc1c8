"""Plans in MoveIt's place: the same questions, answered by the embedded planner.

What it shall do wrong stands in the file that MOVEIT_DOUBLE names, and is read for each
plan; what it was asked is appended to that file's neighbour ``asked.jsonl``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.motion.options import load_options
from selfgrasp_nodes.robots import load_robot


class Double:
    def __init__(self, mode_file: str = ""):
        self.file = Path(mode_file or os.environ["MOVEIT_DOUBLE"])
        self.robot = load_robot(self.content["robot"])
        self.planner = EmbeddedPlanner(self.robot, load_options(robot=self.robot.name))
        self.objects: dict = {}

    @property
    def content(self) -> dict:
        return json.loads(self.file.read_text())

    @property
    def mode(self) -> str:
        return self.content.get("mode", "")

    def note(self, **asked) -> None:
        with (self.file.parent / "asked.jsonl").open("a") as file:
            file.write(json.dumps({"pid": os.getpid(), **asked}) + "\n")

    def take(self, message) -> None:
        if message.operation == message.REMOVE:
            self.objects.pop(message.id)
        else:
            self.objects[message.id] = message
        self.note(object=message.id, removed=message.operation == message.REMOVE)

    def plan(self, group, positions, goal, pipeline, planner, velocity, attached):
        """(error code, JointTrajectory) of one plan."""
        arm = self.robot.arm(group)
        self.note(
            group=group,
            pipeline=pipeline,
            planner=planner,
            velocity=velocity,
            objects=sorted(self.objects),
            attached=[a.object.id for a in attached],
            start=[positions[j] for j in arm.joints],
            others=sorted(set(positions) - set(arm.joints)),
        )
        if self.mode == "fail":
            return -12, JointTrajectory()
        q = np.array([positions[j] for j in arm.joints])
        end = np.array([goal[j] for j in arm.joints])
        if self.mode == "elsewhere":
            end = end + 0.1
        if pipeline == "ompl":
            path = self.planner.plan_free(arm.name, q, end, scale=velocity)
        else:
            path = self.planner.plan_linear(arm.name, q, self.planner.fk(arm.name, end))
        return 1, self._message(path)

    def _message(self, path) -> JointTrajectory:
        joints = path.joints[::-1]  # any order is right
        message = JointTrajectory(joint_names=list(joints))
        faster = 2.0 if self.mode == "fast" else 1.0
        times = path.time / faster
        for time, q, v in zip(times, path.positions, path.velocities * faster, strict=True):
            point = JointTrajectoryPoint(positions=q[::-1].tolist(), velocities=v[::-1].tolist())
            point.time_from_start.sec = int(time)
            point.time_from_start.nanosec = round((time - int(time)) * 1e9)
            message.points.append(point)
        if self.mode == "short":
            message.points = message.points[:1]
        return message
