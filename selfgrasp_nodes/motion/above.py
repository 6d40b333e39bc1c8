"""A try that begins above its candidate: what a simulated arm that is put there plans."""

from __future__ import annotations

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.motion.candidates import check_candidate, executed
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.motion.primitives import Move, candidate_steps
from selfgrasp_nodes.motion.program import Program, plan_candidate
from selfgrasp_nodes.robots import ArmSpec
from selfgrasp_nodes.robots.gripper import tip_T_tcp
from selfgrasp_nodes.types import Candidate, Heightmap


def plan_from_above(
    planner: EmbeddedPlanner, candidate: Candidate, arm: ArmSpec, heightmap: Heightmap | None
) -> Program:
    """Plan a try from where its descent begins; no way there, none to the bin.

    Args:
        planner: With the heightmap as its obstacles.
        candidate: As a policy proposed it.
        arm: That acts.
        heightmap: What lies under the hand.

    Raises:
        InvalidCandidate: If the candidate makes no sense.
        PlanningFailed: If the arm cannot do it.
    """
    options = planner.options
    check_candidate(candidate, planner.robot, arm)
    ready = executed(candidate, arm, options)
    steps = candidate_steps(ready, planner.robot, arm, options, heightmap)
    above = next(step for step in steps if isinstance(step, Move))
    tip = above.world_T_tcp @ geometry.inverse(tip_T_tcp(arm.gripper, above.width))
    hover = planner.ik(arm.name, tip, np.asarray(arm.ready, float))
    return plan_candidate(planner, ready, hover, options, heightmap, whole=False)
