"""Labels tries from the robot's own sensors: a service, and a topic of what it said."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from selfgrasp.msg import Outcome as OutcomeMsg
from selfgrasp.srv import Label

from selfgrasp_nodes.errors import InvalidCandidate, Unavailable, UnknownName
from selfgrasp_nodes.labeling.rules import GraspRule
from selfgrasp_nodes.nodes import conversions, qos, trial_messages
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.params import Param
from selfgrasp_nodes.nodes.sensors import ArmSensors
from selfgrasp_nodes.nodes.status import set_ok
from selfgrasp_nodes.types import Candidate, Execution, Observation, Phase, Primitive, SensorTrace


class LabelNode(BaseNode):
    """Joint states, gripper and wrench in; outcomes out. Never simulator truth."""

    NAME = "label"
    PARAMETERS = (
        Param("rule_file", "", "YAML with the rule's parameters; empty: config/labeling.yaml"),
        Param("history", 60.0, "How much of the sensors is kept [s]", low=5.0, high=600.0),
        Param("timeout", 5.0, "Wall-clock limit for samples to arrive [s]", low=0.1, high=30.0),
    )

    def __init__(self, **options: Any):
        """Read the rule and begin to listen."""
        super().__init__(**options)
        self.rule = GraspRule.from_file(self.values["rule_file"] or None)
        self.declare_digest(self.rule.options)
        self._sensors = {
            arm.name: ArmSensors(self, arm, history=self.values["history"])
            for arm in self.robot.arms
        }
        self._topic = self.create_publisher(OutcomeMsg, "outcomes", qos.EVENT)
        self._labels = 0
        self._lock = threading.Lock()
        self.serve(Label, "label", self._label)

    def diagnose(self) -> tuple[str, dict[str, object]]:
        """Which sensors speak."""
        silent = [name for name, arm in self._sensors.items() if arm.newest is None]
        problem = f"no joint states yet of arm {', '.join(silent)}" if silent else ""
        return problem, {"labels": self._labels}

    def _label(self, request: Label.Request, response: Label.Response) -> None:
        versions = {self.rule.options.grasp.version, self.rule.options.push.version}
        if request.rule_version and request.rule_version not in versions:
            raise UnknownName("rule version", request.rule_version, versions)
        candidate = conversions.candidate(request.candidate)
        phases = tuple(trial_messages.phase(item) for item in request.phases)
        if candidate.primitive == Primitive.PUSH:
            outcome = self.rule.label_push(
                *(
                    self._observed(name, maps)
                    for name, maps in (("before", request.before), ("after", request.after))
                )
            )
        else:
            trace = self._trace(candidate, phases)
            arm = self.robot.arm(candidate.arm)
            outcome = self.rule.label_grasp(Execution(candidate, phases, trace), arm.gripper)
            response.trace = trial_messages.trace_message(trace, arm.joints)
        response.outcome = conversions.outcome_message(outcome)
        self._topic.publish(response.outcome)
        with self._lock:
            self._labels += 1
        self.get_logger().info(f"{request.trial_id}: {outcome.code.name}: {outcome.reason}")
        set_ok(response)

    def _trace(self, candidate: Candidate, phases: tuple[Phase, ...]) -> SensorTrace:
        """The sensors' history during the phases, to the gripper's first word after them.

        Waits for the last sample to arrive. A gripper that speaks seldom may lose something
        after its last word: its next one is waited for, unless it is silent.

        Raises:
            InvalidCandidate: If there are no phases.
            Unavailable: If there is no sample of that time.
        """
        if not phases:
            raise InvalidCandidate("a grasp is labelled by its phases, and none were given")
        sensors = self._sensors[self.robot.arm(candidate.arm).name]
        end = phases[-1].end
        silent = end + round(self.rule.options.grasp.silence * 1e9)
        limit = time.monotonic() + self.values["timeout"]
        while (word := sensors.first_word(end)) is None and time.monotonic() < limit:
            now = 0 if sensors.newest is None else sensors.newest.time
            if now >= silent:
                break
            sensors.wait_newer(now, 0.05)
        trace = sensors.trace(phases[0].start, end if word is None else word)
        if trace is None or not np.any(trace.time >= phases[-1].start):
            raise Unavailable(
                f"no samples of arm {sensors.arm.name!r} at the time of the try; do "
                "joint_states, gripper state and wrench arrive, and is the history long enough?"
            )
        return trace

    def _observed(self, name: str, maps: list) -> Observation:
        if not maps:
            raise InvalidCandidate(
                f"a push is labelled by what changed, and the heightmap {name} it is missing"
            )
        heightmap = conversions.heightmap(maps[0])
        return Observation(name, conversions.stamp(maps[0].header.stamp), {}, heightmap)
