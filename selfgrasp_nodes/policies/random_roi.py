"""The random-trial sampler of Pinto and Gupta (2016), section III-A.

A random region of interest; the arm hovers 25 cm above it; a uniform point of
the region; a uniform angle in [0, pi).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from selfgrasp_nodes.geometry import project
from selfgrasp_nodes.policies.areas import Area, region_areas
from selfgrasp_nodes.policies.base import ALL_PRIMITIVES
from selfgrasp_nodes.policies.random_uniform import OpenGraspParams, OpenGraspPolicy
from selfgrasp_nodes.robots import ArmSpec
from selfgrasp_nodes.types import Candidate, Observation, Primitive, View

OCCLUSION = 0.05
"""What a hand camera sees this much above a region [m] is its own gripper's fingers."""


class RandomRoiParams(OpenGraspParams):
    """Parameters of :class:`RandomRoi`.

    Attributes:
        look_height: Hand camera above the region's surface [m].
        look_yaw: Direction of the hand camera's image x axis about the world's
            +z [rad].
        look: Whether a hand camera looks first, where the arm has one.
    """

    look_height: Annotated[float, Field(gt=0, le=1)] = 0.25
    look_yaw: float = 0.0
    look: bool = True


class RandomRoi(OpenGraspPolicy[RandomRoiParams]):
    """A random region, a uniform point in it, a uniform angle.

    The propensity is the density over (x, y, angle) [1 / (m^2 rad)]: one over the
    number of regions, the region's area and pi.
    """

    name = "random-roi"
    required_views = ("heightmap", "regions")
    samples = True
    Params = RandomRoiParams

    def propose(
        self,
        observation: Observation,
        rng_seed: int = 0,
        max_candidates: int = 10,
        primitives: Sequence[Primitive] = ALL_PRIMITIVES,
        avoid: Sequence[Candidate] = (),
    ) -> list[Candidate]:
        """See :meth:`Policy.propose`; independent samples, ``avoid`` changes nothing.

        The first candidate lies in the region that :meth:`look_pose` chooses
        with the same seed. Where the hand camera sees a candidate, its pixel
        and height are that camera's.
        """
        heightmap = self.heightmap(observation)
        if Primitive.GRASP not in primitives:
            return []
        areas = region_areas(observation, heightmap, self.name)
        if not areas:
            return []
        rng = np.random.default_rng(rng_seed)
        cell = heightmap.workspace.resolution
        drawn = []
        for _ in range(max_candidates):
            area = _choose(areas, rng)
            point = area.points[rng.integers(len(area.points))].copy()
            point[:2] += rng.uniform(-cell / 2, cell / 2, 2)
            angle = float(rng.uniform(0, np.pi))
            arm = self._looking_arm(area.points.mean(axis=0), rng_seed) if self._looks() else None
            view = observation.views.get(arm.hand_camera) if arm else None
            pixel = None
            if view is not None:
                pixel, point[2] = _seen(view, point)
            candidate = self.open_grasp(float(point[0]), float(point[1]), float(point[2]), angle)
            density = 1.0 / (len(areas) * len(area.points) * cell**2 * np.pi)
            candidate = replace(candidate, propensity=density)
            if pixel is not None and view is not None and arm is not None:
                candidate = replace(candidate, pixel=pixel, view=view.camera, arm=arm.name)
            drawn.append(candidate)
        return self.finish(drawn, observation)

    def look_pose(self, observation: Observation, seed: int) -> tuple[str, np.ndarray] | None:
        """The hand camera straight above the middle of the chosen region.

        None where no arm has a hand camera, or there is no region.
        """
        if not self._looks():
            return None
        areas = region_areas(observation, self.heightmap(observation), self.name)
        if not areas:
            return None
        area = _choose(areas, np.random.default_rng(seed))
        arm = self._looking_arm(area.points.mean(axis=0), seed)
        c, s = np.cos(self.params.look_yaw), np.sin(self.params.look_yaw)
        pose = np.eye(4)
        pose[:3, 0], pose[:3, 1], pose[:3, 2] = (c, s, 0), (s, -c, 0), (0, 0, -1)
        pose[:3, 3] = area.points.mean(axis=0)
        pose[2, 3] = np.median(area.points[:, 2]) + self.params.look_height
        return arm.name, pose

    def _arms(self) -> list[ArmSpec]:
        arms = (self.arm,) if self.arm_name else self.robot.arms
        return [arm for arm in arms if arm.hand_camera]

    def _looks(self) -> bool:
        return self.params.look and bool(self._arms())

    def _looking_arm(self, point: np.ndarray, seed: int) -> ArmSpec:
        """The arm on the point's side, where names tell the sides; else by seed."""
        arms = self._arms()
        side = "left" if point[1] >= self.robot.workspace.center[1] else "right"
        mine = [arm for arm in arms if side in arm.name]
        return mine[0] if mine else arms[seed % len(arms)]


def _choose(areas: list[Area], rng: np.random.Generator) -> Area:
    return areas[int(rng.integers(len(areas)))]


def _seen(view: View, point: np.ndarray) -> tuple[tuple[int, int] | None, float]:
    """Pixel of a world point in a view and the world z that it measures there.

    (None, the point's own z) where the point is out of the image; the point's own z
    also where nothing was measured or a finger hides it.
    """
    rotation, origin = view.world_T_camera[:3, :3], view.world_T_camera[:3, 3]
    local = (point - origin) @ rotation
    rows, cols = view.depth.shape
    if local[2] <= 1e-3:
        return None, float(point[2])
    u, v = (round(float(c)) for c in project(view.intrinsics, local))
    if not (0 <= u < cols and 0 <= v < rows):
        return None, float(point[2])
    patch = view.depth[max(v - 2, 0) : v + 3, max(u - 2, 0) : u + 3]
    patch = patch[np.isfinite(patch) & (patch > max(local[2] - OCCLUSION, 0.0))]
    if not len(patch):
        return (u, v), float(point[2])
    surface = origin + rotation @ (local / local[2] * float(np.median(patch)))
    return (u, v), max(float(surface[2]), 0.0)
