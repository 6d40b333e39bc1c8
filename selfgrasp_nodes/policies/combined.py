"""Antipodal grasps, and a push where there is no good one: what the picker uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from selfgrasp_nodes.policies.antipodal import Antipodal, AntipodalParams
from selfgrasp_nodes.policies.base import ALL_PRIMITIVES, PolicyBase
from selfgrasp_nodes.policies.push_heuristic import PushHeuristic, PushParams
from selfgrasp_nodes.robots import RobotSpec, Spec
from selfgrasp_nodes.types import Candidate, Observation, Primitive


class AntipodalPushParams(Spec):
    """Parameters of :class:`AntipodalPush`.

    Attributes:
        grasp: Of the grasps.
        push: Of the pushes.
        push_below: A grasp of this score comes before any push.
        push_weight: Below it, a push comes first if its score times this is
            larger than the grasp's.
    """

    grasp: AntipodalParams = AntipodalParams()
    push: PushParams = PushParams()
    push_below: Annotated[float, Field(ge=0, le=1)] = 0.15
    push_weight: Annotated[float, Field(ge=0, le=10)] = 0.5


class AntipodalPush(PolicyBase[AntipodalPushParams]):
    """Good grasps, then pushes, then poor grasps."""

    name = "antipodal+push"
    primitives = ALL_PRIMITIVES
    Params = AntipodalPushParams

    def __init__(self, robot: RobotSpec, params: AntipodalPushParams, arm: str = ""):
        """See :class:`PolicyBase`."""
        super().__init__(robot, params, arm)
        self.grasp = Antipodal(robot, params.grasp, arm)
        self.push = PushHeuristic(robot, params.push, arm)

    def propose(
        self,
        observation: Observation,
        rng_seed: int = 0,
        max_candidates: int = 10,
        primitives: Sequence[Primitive] = ALL_PRIMITIVES,
        avoid: Sequence[Candidate] = (),
    ) -> list[Candidate]:
        """See :meth:`Policy.propose`; scores of grasps and pushes are scales of their own."""
        grasps = self.grasp.propose(observation, rng_seed, max_candidates, primitives, avoid)
        best = grasps[0].score if grasps else 0.0
        if best >= self.params.push_below:
            return self.finish(grasps, observation)
        pushes = self.push.propose(observation, rng_seed, max_candidates, primitives, avoid)
        if pushes and pushes[0].score * self.params.push_weight > best:
            # Both kinds stay within reach of a caller that cannot plan the first ones.
            half = max(1, max_candidates // 2)
            ranked = pushes[:half] + grasps
        else:
            ranked = grasps + pushes
        return self.finish(ranked[:max_candidates], observation)
