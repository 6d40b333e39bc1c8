"""The label of any try of one robot: which rule, which gripper."""

from __future__ import annotations

from selfgrasp_nodes.errors import EmptyObservation
from selfgrasp_nodes.labeling.options import LabelOptions
from selfgrasp_nodes.labeling.rules import GraspRule
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.types import Execution, Observation, Outcome, OutcomeCode, Primitive


class Labels:
    """Labels grasps and pushes of one robot; the label node and the fast loop use it.

    Attributes:
        robot: Whose grippers did it.
        rule: The rules' parameters and versions.
    """

    def __init__(self, robot: RobotSpec, options: LabelOptions | None = None) -> None:
        """Take the parameters, or those of ``config/labeling.yaml``."""
        self.robot = robot
        self.rule = GraspRule(options)

    def label(
        self,
        execution: Execution,
        before: Observation | None = None,
        after: Observation | None = None,
    ) -> Outcome:
        """The outcome of a try.

        Args:
            execution: As it ran; its candidate says which primitive and which arm.
            before: What was decided on; a push needs it.
            after: What was seen when the arm was out of view; a push needs it.

        Raises:
            EmptyObservation: If a push lacks an observation or a heightmap.
            UnknownName: If the robot has no such arm.
        """
        candidate = execution.candidate
        if candidate.primitive == Primitive.GRASP:
            return self.rule.label_grasp(execution, self.robot.arm(candidate.arm).gripper)
        if execution.code != OutcomeCode.UNKNOWN:
            version = self.rule.options.push.version
            return Outcome(execution.code, 1.0, execution.error, version)
        if before is None or after is None:
            raise EmptyObservation(
                "a push is labelled by what changed: it needs an observation before and after it"
            )
        return self.rule.label_push(before, after)

    def changed(self, before: Observation, after: Observation) -> tuple[bool, float]:
        """Whether the table changed between two observations, and the area [m^2].

        Raises:
            EmptyObservation: If one of them has no heightmap.
            InvalidImage: If their heightmaps cover different cells.
        """
        return self.rule.changed(before, after)
