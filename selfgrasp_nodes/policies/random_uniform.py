"""Uniform random grasps over the workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, TypeVar

import numpy as np
from pydantic import Field

from selfgrasp_nodes.geometry import grasp_pose, point_to_pixel
from selfgrasp_nodes.policies.base import ALL_PRIMITIVES, PolicyBase
from selfgrasp_nodes.policies.surface import clean_height
from selfgrasp_nodes.robots import Spec
from selfgrasp_nodes.types import Candidate, Observation, Primitive


class OpenGraspParams(Spec):
    """Parameters of policies that grasp with the gripper fully open.

    Attributes:
        depth: TCP below the surface point, where the table allows [m].
        table_clearance: Least height of the fingertips over the table, also
            when the fingers close on nothing [m].
        force: Share of the gripper's largest force, 0..1.
    """

    depth: Annotated[float, Field(ge=0, le=0.2)] = 0.03
    table_clearance: Annotated[float, Field(ge=0, le=0.1)] = 0.003
    force: Annotated[float, Field(gt=0, le=1)] = 1.0


OpenParamsT = TypeVar("OpenParamsT", bound=OpenGraspParams)


class RandomParams(OpenGraspParams):
    """Parameters of :class:`RandomUniform`.

    Attributes:
        margin: Strip along the workspace's edge that is left out [m].
    """

    margin: Annotated[float, Field(ge=0, le=0.2)] = 0.0


class OpenGraspPolicy(PolicyBase[OpenParamsT]):
    """Base of the policies that choose (x, y, angle) only, as Pinto's do."""

    def open_grasp(self, x: float, y: float, surface: float, angle: float) -> Candidate:
        """A grasp with the gripper fully open, ``depth`` below a surface height [m]."""
        p, gripper = self.params, self.gripper
        z = self.fingers.table_safe(surface - p.depth, gripper.width_max, p.table_clearance)
        pixel = point_to_pixel(self.robot.workspace.workspace, x, y)
        return Candidate(
            Primitive.GRASP,
            grasp_pose(x, y, float(z), angle),
            angle,
            width=gripper.width_max,
            max_force=p.force * gripper.force_max,
            pixel=(int(pixel[1]), int(pixel[0])),
        )


class RandomUniform(OpenGraspPolicy[RandomParams]):
    """A uniform point of the workspace and a uniform angle in [0, pi).

    The propensity is the density over (x, y, angle) [1 / (m^2 rad)].
    """

    name = "random"
    samples = True
    Params = RandomParams

    def propose(
        self,
        observation: Observation,
        rng_seed: int = 0,
        max_candidates: int = 10,
        primitives: Sequence[Primitive] = ALL_PRIMITIVES,
        avoid: Sequence[Candidate] = (),
    ) -> list[Candidate]:
        """See :meth:`Policy.propose`; independent samples, ``avoid`` changes nothing."""
        heightmap = self.heightmap(observation)
        if Primitive.GRASP not in primitives:
            return []
        rng = np.random.default_rng(rng_seed)
        workspace = heightmap.workspace
        low = workspace.low + self.params.margin
        high = workspace.high - self.params.margin
        density = 1.0 / (float(np.prod(high - low)) * np.pi)
        height = clean_height(heightmap)
        drawn = []
        for _ in range(max_candidates):
            x, y = rng.uniform(low, high)
            angle = float(rng.uniform(0, np.pi))
            row, col = point_to_pixel(workspace, x, y)
            candidate = self.open_grasp(x, y, float(height[row, col]), angle)
            drawn.append(replace(candidate, propensity=density))
        return self.finish(drawn, observation)
