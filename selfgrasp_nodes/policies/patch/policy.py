"""The learnt policy of Pinto and Gupta (2016), sections III-D and IV-F.

800 patches are sampled in the regions of interest and judged at 18 angles each.
At test time the best are executed: of the ten best, each is judged again by the
mean over ten patches in its neighbourhood, since the arm is not precise: at its own
angle, which is the one executed (the paper takes each neighbour's best angle). While
a stage is collected, the executed grasp is drawn by importance sampling over the
800 x 18 judgements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from selfgrasp_nodes.errors import EmptyObservation, NotReady
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.perception.patches import cut_windows, surface_height
from selfgrasp_nodes.policies.areas import Area, region_areas
from selfgrasp_nodes.policies.base import ALL_PRIMITIVES
from selfgrasp_nodes.policies.patch.encoding import ANGLES, STEP, bin_angle, encode
from selfgrasp_nodes.policies.patch.judge import POLICY, Judge, load_judge
from selfgrasp_nodes.policies.patch.points import Sampled, pixel_of, seen_surface
from selfgrasp_nodes.policies.random_roi import RandomRoi, RandomRoiParams
from selfgrasp_nodes.policies.ranking import avoidance, suppress
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.types import Candidate, Heightmap, Observation, Primitive, View


class PatchParams(RandomRoiParams):
    """Parameters of :class:`PatchPolicy`.

    Attributes:
        checkpoint: Card or weights; ``models/patch_GRIPPER`` where empty.
        digest: SHA-256 that the weights must have; the card's where empty.
        threads: Of torch in this process; 0 leaves them as they are.
        patches: Sampled in the regions.
        select: ``best``, or ``sample``: importance sampling over all patches and
            angles, for collection.
        temperature: While sampling, the chance of a grasp is proportional to its
            probability to this power: 0 chooses evenly, 1 in proportion.
        rerank: The best so many are judged again by their neighbourhood; 0 for none.
        neighbours: Patches in a neighbourhood.
        neighbourhood: Largest distance of a neighbour along each axis [m].
    """

    checkpoint: str = ""
    digest: str = ""
    threads: Annotated[int, Field(ge=0, le=256)] = 0
    patches: Annotated[int, Field(ge=1, le=10_000)] = 800
    select: Literal["best", "sample"] = "best"
    temperature: Annotated[float, Field(ge=0, le=10)] = 1.0
    rerank: Annotated[int, Field(ge=0, le=100)] = 10
    neighbours: Annotated[int, Field(ge=1, le=100)] = 10
    neighbourhood: Annotated[float, Field(gt=0, le=0.05)] = 0.004


class PatchPolicy(RandomRoi):
    """Judges patches with a trained network; see the module."""

    name = POLICY
    required_views = ("heightmap", "regions")
    Params = PatchParams

    def __init__(self, robot: RobotSpec, params: PatchParams, arm: str = ""):
        """See :class:`PolicyBase`; a checkpoint that is named is read at once."""
        super().__init__(robot, params, arm)
        self.options = params
        self.samples = params.select == "sample"
        self.sizes = PatchGeometry.of(self.gripper)
        self._judge: Judge | None = None
        if params.checkpoint:
            self.load_checkpoint(params.checkpoint, params.digest)

    def load_checkpoint(self, path: str, digest: str = "") -> str:
        """Put another checkpoint in place; the old one stays if it cannot be read.

        Args:
            path: Card or weights.
            digest: SHA-256 that the weights must have; the card's where empty.

        Returns:
            The card, as YAML.

        Raises:
            StorageError: If it is missing, damaged, pickled or of another digest.
            InvalidConfig: If it is for another policy, gripper or geometry.
            MissingDependency: If torch is not installed.
        """
        judge = load_judge(path, self.gripper, digest)
        if self.options.threads:
            import torch

            torch.set_num_threads(self.options.threads)
        self._judge = judge
        return self._judge.card.as_yaml()

    def check(self) -> None:
        """See :meth:`PolicyBase.check`: there must be a checkpoint, and torch to read it.

        Raises:
            NotReady: If there is no checkpoint.
            MissingDependency: If torch is not installed.
            SelfGraspError: As :meth:`load_checkpoint`.
        """
        _ = self.judge

    @property
    def judge(self) -> Judge:
        """The checkpoint in place; that of ``models/`` where none was named.

        Raises:
            NotReady: If there is none.
        """
        if self._judge is None:
            path = default_checkpoint(self.gripper.name)
            if not path.with_suffix(".yaml").is_file():
                raise NotReady(
                    f"policy 'patch' has no checkpoint for gripper {self.gripper.name!r} ({path} "
                    "does not exist): give one with --checkpoint or the load_checkpoint service, "
                    "or train one with 'selfgrasp train patch'"
                )
            self.load_checkpoint(str(path))
        assert self._judge is not None
        return self._judge

    def propose(
        self,
        observation: Observation,
        rng_seed: int = 0,
        max_candidates: int = 10,
        primitives: Sequence[Primitive] = ALL_PRIMITIVES,
        avoid: Sequence[Candidate] = (),
    ) -> list[Candidate]:
        """See :meth:`Policy.propose`; score and probability are calibrated chances.

        Raises:
            EmptyObservation: If no region was found by what should have found them.
            NotReady: If there is no checkpoint.
        """
        heightmap = self.heightmap(observation)
        if Primitive.GRASP not in primitives or max_candidates < 1:
            return []
        judge = self.judge
        areas = region_areas(observation, heightmap, self.name)
        if not areas:
            return []
        rng = np.random.default_rng(rng_seed)
        view, arm, areas, regions = self._view(observation, areas, rng, rng_seed)
        sampled = self._sample(areas, regions, heightmap, view, arm != "", rng)
        chance = self._chances(judge, sampled, view)
        if self.options.select == "sample":
            chosen, propensity = self._drawn(chance, sampled, max_candidates, rng)
            scores = chance.ravel()[chosen]
        else:
            chosen, scores = self._best(
                judge, chance, sampled, view, heightmap, max_candidates, rng, avoid, arm != ""
            )
            propensity = np.full(len(chosen), np.nan)
        patch, angle = np.divmod(chosen, ANGLES)
        found = []
        for p, a, score, density in zip(patch, angle, scores, propensity, strict=True):
            x, y = sampled.points[p, :2]
            grasp = self.open_grasp(
                float(x), float(y), float(sampled.surface[p]), float(bin_angle(int(a)))
            )
            found.append(
                replace(
                    grasp,
                    score=float(score),
                    probability=float(chance[p, a]),
                    propensity=float(density),
                    rotation_index=int(a),
                    checkpoint_digest=judge.card.sha256,
                )
            )
            if arm:
                pixel = pixel_of(view, sampled.points[p])
                found[-1] = replace(found[-1], view=view.camera, pixel=pixel, arm=arm)
        return self.finish(found, observation)

    def _view(
        self, observation: Observation, areas: list[Area], rng: np.random.Generator, seed: int
    ) -> tuple[View, str, list[Area], int]:
        """The view that patches come from, its arm, the regions that it shows, and of how many.

        Raises:
            EmptyObservation: If the observation has no view.
        """
        if self._looks():
            # As in look_pose, which was asked with the same seed.
            area = areas[int(rng.integers(len(areas)))]
            arm = self._looking_arm(area.points.mean(axis=0), seed)
            view = observation.views.get(arm.hand_camera)
            if view is not None:
                # One of several regions was drawn already: the propensity has to know.
                return view, arm.name, [area], len(areas)
        camera = observation.regions.camera if observation.regions else ""
        if camera not in observation.views:
            raise EmptyObservation(
                f"observation {observation.id!r} has no view to cut patches from"
            )
        return observation.views[camera], "", areas, len(areas)

    def _sample(
        self,
        areas: list[Area],
        regions: int,
        heightmap: Heightmap,
        view: View,
        hand: bool,
        rng: np.random.Generator,
    ) -> Sampled:
        """Points: a region of so many by chance, then a point in it, as random-roi draws them."""
        cell = heightmap.workspace.resolution
        count = self.options.patches
        which = rng.integers(len(areas), size=count)
        points = np.empty((count, 3))
        density = np.empty(count)
        for index, area in enumerate(areas):
            mine = np.flatnonzero(which == index)
            points[mine] = area.points[rng.integers(len(area.points), size=len(mine))]
            density[mine] = 1.0 / (regions * len(area.points) * cell**2)
        points[:, :2] += rng.uniform(-cell / 2, cell / 2, (count, 2))
        return self._considered(points, density, heightmap, view, hand)

    def _considered(
        self,
        points: np.ndarray,
        density: np.ndarray,
        heightmap: Heightmap,
        view: View,
        hand: bool,
    ) -> Sampled:
        """Planes, surfaces and fingertips of points (N, 3) that regions gave."""
        surface = seen_surface(view, points) if hand else points[:, 2].copy()
        planes = points.copy()
        planes[:, 2] = surface_height(heightmap, points[:, 0], points[:, 1])
        p = self.params
        z = self.fingers.table_safe(surface - p.depth, self.gripper.width_max, p.table_clearance)
        tips = z - self.gripper.pad_length / 2 - planes[:, 2]
        return Sampled(planes, surface, density, tips)

    def _chances(self, judge: Judge, sampled: Sampled, view: View) -> np.ndarray:
        """(N, 18) probabilities."""
        color, height = cut_windows(view, sampled.points, self.sizes.patch_side, judge.pixels)
        return judge.probabilities(encode(color, height), sampled.tips)

    def _drawn(
        self, chance: np.ndarray, sampled: Sampled, count: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Entries drawn by importance sampling, and the density of each [1/(m^2 rad)].

        The density is that of the point times the share of the patch's own draw
        among all: its expectation over the other points is the true one. All are
        given that of a first draw; those after the first are drawn without it, and
        are tried only where those before cannot be planned.
        """
        weight = np.power(np.maximum(chance.ravel(), 1e-9), self.options.temperature)
        share = weight / weight.sum()
        chosen = rng.choice(len(share), size=min(count, len(share)), replace=False, p=share)
        density = sampled.density[chosen // ANGLES] * share[chosen] * len(chance) / STEP
        return chosen, density

    def _best(
        self,
        judge: Judge,
        chance: np.ndarray,
        sampled: Sampled,
        view: View,
        heightmap: Heightmap,
        count: int,
        rng: np.random.Generator,
        avoid: Sequence[Candidate],
        hand: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The best entries, no two alike, re-ranked by their neighbourhood."""
        patch, angle = np.divmod(np.arange(chance.size), ANGLES)
        x, y = sampled.points[patch, 0], sampled.points[patch, 1]
        turned = bin_angle(angle)
        top = np.argsort(-chance.ravel(), kind="stable")[: 50 * max(count, self.options.rerank)]
        x, y, turned = x[top], y[top], turned[top]
        failed = avoidance(x, y, turned, avoid, Primitive.GRASP)
        score = chance.ravel()[top] * failed
        limit = max(count, self.options.rerank)
        kept = suppress(x, y, turned, score, limit, 0.006, 1.5 * STEP, np.pi)
        chosen, score, failed = top[kept], score[kept], failed[kept]
        again = min(self.options.rerank, len(chosen))
        if again:
            reach = self.options.neighbourhood
            middles = sampled.points[chosen[:again] // ANGLES]
            points = np.repeat(middles, self.options.neighbours, axis=0)
            points[:, :2] += rng.uniform(-reach, reach, (len(points), 2))
            near = self._considered(points, np.zeros(len(points)), heightmap, view, hand)
            judged = self._chances(judge, near, view).reshape(again, -1, ANGLES)
            # The candidate's own angle: what happens if the arm is off by a little.
            own = judged[np.arange(again), :, chosen[:again] % ANGLES].mean(axis=1)
            score[:again] = own * failed[:again]
            order = np.argsort(-score[:again], kind="stable")
            order = np.concatenate([order, np.arange(again, len(chosen))])
            chosen, score = chosen[order], score[order]
        return chosen[:count], score[:count]


def default_checkpoint(gripper: str) -> Path:
    """Where the checkpoint that ships for a gripper lies, without a suffix."""
    return share_dir() / "models" / f"patch_{gripper}"
