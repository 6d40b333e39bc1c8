"""Pushes by lookahead: each is run on a copy of the scene, and what it leaves is judged.

For evaluation only: the copy is made from simulator truth. How well grasping can go
after the best of many pushes bounds what any pushing policy reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from selfgrasp_nodes.policies.push_heuristic import PushHeuristic
from selfgrasp_nodes.policies.registry import make_policy
from selfgrasp_nodes.simulation.rehearsal import Rehearsal, scene_now
from selfgrasp_nodes.simulation.surfaces import Surface, object_surface
from selfgrasp_nodes.types import Candidate, Observation, Primitive

if TYPE_CHECKING:
    from selfgrasp_nodes.simulation.scene import Scene
    from selfgrasp_nodes.simulation.truth import ObjectTruth
    from selfgrasp_nodes.simulation.world import World

CLEAN = 0.05
"""A grasp of this quality counts as one."""

LENGTHS = (0.10, 0.05)
"""Strokes that are tried [m]: VPG's, and half of it."""


class Value(NamedTuple):
    """What grasping is worth with the objects where they lie.

    Attributes:
        grasp: Quality of the best clean grasp, 0..1.
        graspable: Objects that have one.
        lost: Objects outside the workspace.
        spread: Mean distance from each object to the nearest other one [m].
    """

    grasp: float
    graspable: int
    lost: int
    spread: float

    @property
    def total(self) -> float:
        """One number: a lost object can never be cleared; room between objects breaks ties."""
        return self.grasp + 0.2 * self.graspable - 2.0 * self.lost + self.spread


class Rehearsed(NamedTuple):
    """A push and what the scene is worth after it."""

    push: Candidate
    value: Value


class Lookahead:
    """Rehearses the push heuristic's candidates, long and short."""

    def __init__(
        self,
        world: World,
        judge: Callable[[Sequence[Surface]], Value],
        count: int,
        arm: str = "",
    ):
        """Build the second cell.

        Args:
            world: Whose scene is copied.
            judge: Of objects' surfaces in the world frame.
            count: Pushes that are rehearsed.
            arm: That pushes.
        """
        self._world, self._judge, self._count = world, judge, count
        self._rehearsal = Rehearsal(world.robot, world.options.physics)
        # Nothing that could be made is left out: the rehearsal tells what is good.
        policy = make_policy(
            "push-heuristic", world.robot, arm=arm, min_score=0.0, border=0.03, min_length=0.03
        )
        assert isinstance(policy, PushHeuristic)
        self._policy: PushHeuristic = policy

    def pushes(
        self, observation: Observation, seed: int = 0, avoid: Sequence[Candidate] = ()
    ) -> list[Rehearsed]:
        """The pushes that were rehearsed and push nothing out of the workspace, best first."""
        scene = scene_now(self._world)
        before = self._judge(_surfaces(scene, self._world.truth()))
        found = []
        for push in self._candidates(observation, seed, avoid):
            truth = self._rehearsal.after(scene, push, observation.heightmap)
            if truth is None:
                continue
            value = self._judge(_surfaces(scene, truth))
            if value.lost <= before.lost:
                found.append(Rehearsed(replace(push, score=value.grasp), value))
        return sorted(found, key=lambda rehearsed: -rehearsed.value.total)

    def _candidates(
        self, observation: Observation, seed: int, avoid: Sequence[Candidate]
    ) -> list[Candidate]:
        """Half of them with each length."""
        starts = self._policy.propose(
            observation, seed, -(-self._count // len(LENGTHS)), (Primitive.PUSH,), avoid
        )
        pushes = [
            replace(push, push_length=min(length, push.push_length))
            for length in LENGTHS
            for push in starts
        ]
        return pushes[: self._count]


def _surfaces(scene: Scene, truth: Sequence[ObjectTruth]) -> list[Surface]:
    return [
        object_surface(obj.spec).transformed(true.world_T_object)
        for obj, true in zip(scene.objects, truth, strict=True)
    ]


def spread(surfaces: Sequence[Surface]) -> float:
    """Mean distance from each object's centre to the nearest other one [m]; 0.2 at most."""
    if len(surfaces) < 2:
        return 0.2
    centers = np.array([surface.center[:2] for surface in surfaces])
    apart = np.linalg.norm(centers[:, None] - centers[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    return float(np.minimum(apart.min(axis=1), 0.2).mean())
