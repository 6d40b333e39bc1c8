"""The "common-sense" heuristic that Pinto and Gupta (2016) compare with.

Section IV-C, three rules: grasp at the centre; close along the smallest
eigenvector of the segmented object, which is its smallest width; do not grasp
what is too thin for a gripper that does not close completely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from selfgrasp_nodes.geometry import wrap_grasp
from selfgrasp_nodes.policies.areas import region_areas
from selfgrasp_nodes.policies.base import ALL_PRIMITIVES
from selfgrasp_nodes.policies.random_uniform import OpenGraspParams, OpenGraspPolicy
from selfgrasp_nodes.policies.ranking import avoidance
from selfgrasp_nodes.types import Candidate, Observation, Primitive


class EigenvectorParams(OpenGraspParams):
    """Parameters of :class:`Eigenvector`.

    Attributes:
        thin_axis: Which extent must exceed the gripper's smallest opening: the
            ``smallest`` (what the fingers close on), or the ``largest``, which
            is the letter of the paper.
        thin_factor: The limit, in smallest openings.
    """

    thin_axis: Literal["smallest", "largest"] = "smallest"
    thin_factor: Annotated[float, Field(ge=0, le=5)] = 1.0


class Eigenvector(OpenGraspPolicy[EigenvectorParams]):
    """Principal axes of each region; larger regions first."""

    name = "eigenvector"
    required_views = ("heightmap", "regions")
    Params = EigenvectorParams

    def propose(
        self,
        observation: Observation,
        rng_seed: int = 0,
        max_candidates: int = 10,
        primitives: Sequence[Primitive] = ALL_PRIMITIVES,
        avoid: Sequence[Candidate] = (),
    ) -> list[Candidate]:
        """See :meth:`Policy.propose`; the score is the region's own."""
        heightmap = self.heightmap(observation)
        if Primitive.GRASP not in primitives:
            return []
        limit = self.params.thin_factor * self.gripper.width_min
        found = []
        for area in region_areas(observation, heightmap, self.name):
            if len(area.points) < 3:
                continue
            center, axes, extents = principal_axes(area.points[:, :2])
            if extents[0 if self.params.thin_axis == "smallest" else 1] < limit:
                continue
            nearest = np.argmin(((area.points[:, :2] - center) ** 2).sum(axis=1))
            angle = wrap_grasp(float(np.arctan2(axes[0, 1], axes[0, 0])))
            grasp = self.open_grasp(center[0], center[1], float(area.points[nearest, 2]), angle)
            found.append(replace(grasp, score=float(area.region.score)))
        if not found:
            return []
        x, y = (np.array([c.pose[i, 3] for c in found]) for i in (0, 1))
        angles = np.array([c.angle for c in found])
        factor = avoidance(x, y, angles, avoid, Primitive.GRASP)
        found = [replace(c, score=c.score * float(f)) for c, f in zip(found, factor, strict=True)]
        found.sort(key=lambda c: -c.score)
        return self.finish(found[:max_candidates], observation)


def principal_axes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre, axes and extents of a set of points.

    Args:
        points: (N, 2) [m].

    Returns:
        The mean (2,), unit axes as rows (2, 2), smallest eigenvalue first, and
        the sides (2,) of the rectangle that has these eigenvalues [m].
    """
    center = points.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((points - center).T))
    return center, vectors.T, np.sqrt(12 * np.maximum(values, 0))
