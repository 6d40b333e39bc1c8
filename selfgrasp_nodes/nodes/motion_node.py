"""Executes candidates: plans, moves, closes, lifts, puts away; one queue an arm."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from selfgrasp.msg import Heightmap as HeightmapMsg
from selfgrasp.srv import PutAway

from selfgrasp_nodes.errors import SelfGraspError, UnknownName
from selfgrasp_nodes.motion.leases import Leases
from selfgrasp_nodes.motion.options import load_options
from selfgrasp_nodes.motion.space import ArmSpace
from selfgrasp_nodes.nodes import conversions, qos
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.execute_server import ExecuteServer
from selfgrasp_nodes.nodes.motion_jobs import Lane
from selfgrasp_nodes.nodes.move_arm import MoveArmServer
from selfgrasp_nodes.nodes.params import Param
from selfgrasp_nodes.nodes.planner_backend import BACKENDS, make_planner
from selfgrasp_nodes.nodes.ros_arm import RosArm
from selfgrasp_nodes.nodes.status import set_ok
from selfgrasp_nodes.types import Heightmap, OutcomeCode

_KEPT_MAPS = 4


class MotionNode(BaseNode):
    """Candidates in; joint trajectories and gripper commands out."""

    NAME = "motion"
    PARAMETERS = (
        Param("motion_file", "", "YAML with the options of motion; empty: config/motion.yaml"),
        Param("planner", "", "Sampling-based planner of OMPL; empty: that of the file"),
        Param(
            "backend",
            "embedded",
            "Who plans: embedded, or MoveIt (moveit takes moveit_py, else a running move_group)",
            choices=BACKENDS,
        ),
        Param(
            "workspace_confirmed",
            True,
            "Execute candidates; false refuses them until `selfgrasp trace` was confirmed",
            live=True,
        ),
        Param("controller_timeout", 5.0, "Wall-clock limit for a controller [s]", low=0.5),
        Param("sensor_timeout", 2.0, "Joint states silent for so long stop a motion [s]", low=0.1),
        Param("still_timeout", 5.0, "Standing still within a motion that stops it [s]", low=0.5),
        Param("slowest_factor", 20.0, "Real over simulated time at which it is given up", low=1.0),
        Param("label_timeout", 20.0, "Longest hold at the end of the lift [s]", low=0.5),
        Param("queue_timeout", 120.0, "Longest wait behind another goal [s]", low=1.0),
        Param("feedback_period", 0.2, "Between two feedbacks without news [s]", low=0.02),
    )

    def __init__(self, **options: Any):
        """Load the planner and offer the actions."""
        super().__init__(**options)
        values = self.values
        changes = {"planner": {"name": values["planner"]}} if values["planner"] else {}
        loaded = load_options(values["motion_file"] or None, self.robot.name, **changes)
        self.options = loaded.slowed(self.robot.speed_scale)
        self.declare_digest(self.options)
        self.planner = make_planner(self, self.options, str(values["backend"]))
        leases = Leases() if len(self.robot.arms) > 1 else None
        self.lanes = {
            arm.name: Lane(
                RosArm(self, arm),
                arm,
                self.planner,
                self.options,
                ArmSpace(leases, arm.name, self.planner) if leases else None,
            )
            for arm in self.robot.arms
        }
        self._maps: OrderedDict[str, Heightmap] = OrderedDict()
        self.create_subscription(
            HeightmapMsg, "heightmap", self._take_map, qos.LATCHED, callback_group=self.group
        )
        self.serve(PutAway, "put_away", self._put_away)
        self._execute_server = ExecuteServer(self)
        self._mover = MoveArmServer(self)

    def close(self) -> None:
        """Stop the arms."""
        for lane in self.lanes.values():
            for job in lane.all():
                job.cancel()
            lane.port.stop()
        self.planner.close()
        super().close()

    def diagnose(self) -> tuple[str, dict[str, object]]:
        """Which arms are heard."""
        silent = [n for n, lane in self.lanes.items() if lane.port.sensors.newest is None]
        problem = f"no joint states yet of arm {', '.join(silent)}" if silent else ""
        server = self._execute_server
        return problem, {"executions": server.executions, "plan_ms": server.plan_ms}

    def arms_now(self, leave_out: str) -> dict[str, tuple[np.ndarray, float]]:
        """Where the other arms are to be taken to be: joint positions and opening.

        An arm that rests is where it is. One that works is taken to be at home, where
        it will go: what keeps it and this one apart meanwhile are their leases.
        """
        found = {}
        for name, lane in self.lanes.items():
            sample = lane.port.sensors.newest
            if name == leave_out or sample is None:
                continue
            q = np.asarray(lane.arm.home, float) if lane.load else sample.q
            found[name] = (q, sample.width)
        return found

    def _take_map(self, message: HeightmapMsg) -> None:
        try:
            self._maps[message.observation_id] = conversions.heightmap(message)
        except SelfGraspError as error:
            self.get_logger().warning(f"heightmap left out: {error}")
        while len(self._maps) > _KEPT_MAPS:
            self._maps.popitem(last=False)

    def heightmap(self, observation_id: str) -> Heightmap | None:
        """That of the observation; the newest where it is not known."""
        if observation_id in self._maps:
            return self._maps[observation_id]
        return next(reversed(self._maps.values()), None)

    def _put_away(self, request: PutAway.Request, response: PutAway.Response) -> None:
        outcome = conversions.outcome(request.outcome)
        for lane in self.lanes.values():
            job = lane.find(request.trial_id)
            if job is not None:
                job.decide(outcome.code == OutcomeCode.SUCCESS, outcome)
                set_ok(response)
                return
        waiting = [job.trial_id for lane in self.lanes.values() for job in lane.all()]
        raise UnknownName("execution that waits", request.trial_id, waiting)
