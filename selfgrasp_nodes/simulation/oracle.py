"""The oracle: antipodal grasps on the objects' true shapes and poses.

For evaluation only. It reads simulator truth, which no policy may, proposes
through the same :class:`Candidate` as every policy, and so shows what the rest
of the system (fingers, arm, physics) lets any policy reach.

For each object, closing direction, position along the pads' width and height
of the tips, the slab between the pads is cut out of the true surface: its two
extremes are the contacts. A grasp is good when both contacts face the pads, are
wide, lie at the centre of mass and carry no other object, and possible when
the columns through which fingers and gripper body come down are free.

Where there is no clean grasp it pushes, or not: the difference is the room that a
scene leaves for pushing. Its best pushes come from lookahead: each is run on a copy
of the scene, and the one is made after which true grasps are best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.geometry import grasp_pose, point_to_pixel, wrap_grasp
from selfgrasp_nodes.policies.antipodal import Antipodal
from selfgrasp_nodes.policies.base import ALL_PRIMITIVES, Policy, PolicyBase
from selfgrasp_nodes.policies.fingers import Fingers
from selfgrasp_nodes.policies.ranking import avoidance, suppress
from selfgrasp_nodes.policies.registry import make_policy
from selfgrasp_nodes.simulation.lookahead import CLEAN, Lookahead, Rehearsed, Value, spread
from selfgrasp_nodes.simulation.surfaces import HeightGrid, Surface, height_grid, object_surface
from selfgrasp_nodes.simulation.true_grasps import Grasps, GraspSearch, OracleParams
from selfgrasp_nodes.types import Candidate, Observation, Primitive

if TYPE_CHECKING:
    from selfgrasp_nodes.simulation.world import World

LOOSE = {
    "clearances": (0.007, 0.0045, 0.003),
    "max_lean": 0.68,
    "min_overlap": 0.006,
    "min_wide": 0.1,
    "step": 0.005,
}
"""What changes where no clean grasp is left: contacts near the friction cone's edge count."""


class Oracle(PolicyBase):
    """Grasps from simulator truth: the ceiling, never a policy to deploy."""

    name = "oracle"
    required_views: tuple[str, ...] = (
        "heightmap",
    )  # motion's own need: it keeps clear of what it shows
    primitives: tuple[Primitive, ...] = ALL_PRIMITIVES
    Params = OracleParams

    def __init__(self, world: World, arm: str = "", **values: Any):
        """Bind the oracle to the world whose truth it reads.

        Args:
            world: Read at each proposal.
            arm: As for every policy.
            **values: Of :class:`OracleParams`.

        Raises:
            InvalidConfig: If one is unknown or out of range.
        """
        self.params = oracle_params(values)
        super().__init__(world.robot, self.params, arm)
        self.world = world
        plain = make_policy("antipodal", world.robot, arm=arm)
        assert isinstance(plain, Antipodal)
        self.fingers: Fingers = plain.fingers
        self.search: GraspSearch = GraspSearch(self.gripper, plain.fingers, plain.hand)
        self.push: Policy = make_policy("push-heuristic", world.robot, arm=arm)
        self._lookahead: Lookahead | None = None

    def propose(
        self,
        observation: Observation,
        rng_seed: int = 0,
        max_candidates: int = 10,
        primitives: Sequence[Primitive] = ALL_PRIMITIVES,
        avoid: Sequence[Candidate] = (),
    ) -> list[Candidate]:
        """See :meth:`Policy.propose`; only a push looks at the observation.

        Where there is no clean grasp, a rehearsed push that leads to one; where there
        is none, :data:`LOOSE` grasps; then any push, where pushing is allowed.
        """
        surfaces = self._surfaces()
        if max_candidates < 1 or not surfaces:
            return []
        push = self.params.pushes and Primitive.PUSH in primitives
        push = push and observation.heightmap is not None
        loose = self.params.model_copy(update=LOOSE)

        def grasps(level: OracleParams) -> list[Candidate]:
            if Primitive.GRASP not in primitives:
                return []
            return self._grasps(surfaces, level, avoid, max_candidates)

        found = grasps(self.params)
        rehearsed: list[Rehearsed] = []
        if push and not found and self.params.lookahead:
            rehearsed = self.lookahead.pushes(observation, rng_seed, avoid)
            found = [r.push for r in rehearsed if r.value.grasp >= CLEAN]
        found = found or grasps(loose)
        if push and not found:
            found = [r.push for r in rehearsed] or self.push.propose(
                observation, rng_seed, max_candidates, (Primitive.PUSH,), avoid
            )
        return self.finish(found[:max_candidates], observation)

    @property
    def lookahead(self) -> Lookahead:
        """What rehearses pushes; made when it is first needed."""
        if self._lookahead is None:
            self._lookahead = Lookahead(
                self.world, self.judge, self.params.lookahead, self.arm_name
            )
        return self._lookahead

    def judge(self, surfaces: Sequence[Surface]) -> Value:
        """What grasping is worth where the objects lie like this."""
        workspace = self.robot.workspace.workspace
        inside = [s for s in surfaces if workspace.contains(*s.center[:2])]
        clean = [float(g.quality.max(initial=0.0)) for g in self._found(surfaces, self.params)]
        return Value(
            max(clean, default=0.0),
            sum(quality >= CLEAN for quality in clean),
            len(surfaces) - len(inside),
            spread(inside),
        )

    def _grasps(
        self,
        surfaces: Sequence[Surface],
        level: OracleParams,
        avoid: Sequence[Candidate],
        max_candidates: int,
    ) -> list[Candidate]:
        """Ranked grasps of all objects whose centre lies in the workspace."""
        found = self._found(surfaces, level)
        if not found:
            return []
        every = Grasps(**{k: np.concatenate([vars(g)[k] for g in found]) for k in vars(found[0])})
        x, y = every.xy.T
        score = every.quality * avoidance(x, y, every.angle, avoid, Primitive.GRASP)
        good = np.flatnonzero(score > 1e-3)
        kept = every.take(good)
        x, y = kept.xy.T
        best = suppress(x, y, kept.angle, score[good], max_candidates, distance=0.01)
        everything = _highest([self._grid(surface) for surface in surfaces])
        widths = self.search.opening(kept, level, everything, others=None)
        return [self._candidate(kept, i, float(widths[i]), float(score[good][i])) for i in best]

    def _found(self, surfaces: Sequence[Surface], level: OracleParams) -> list[Grasps]:
        """Grasps of each object whose centre lies in the workspace, with their quality."""
        workspace = self.robot.workspace.workspace
        grids = [self._grid(surface) for surface in surfaces]
        if not grids:
            return []
        highest = max(float(g.height.max()) for g in grids)
        everything = _highest(grids)
        found: list[Grasps] = []
        for index, surface in enumerate(surfaces):
            if not workspace.contains(*surface.center[:2]):
                continue
            others = _highest(
                [g for i, g in enumerate(grids) if i != index] or [grids[index].empty]
            )
            grasps = self.search.of(surface, level)
            grasps.quality *= self.search.free(grasps, level, everything, others)
            own = grids[index].height
            buried = np.mean(others.height[own > 0] > own[own > 0]) if np.any(own > 0) else 0.0
            top = float(own.max()) / max(highest, 1e-3)
            grasps.quality *= (1 - 0.8 * float(buried)) * (0.7 + 0.3 * top)
            inside = np.all((grasps.xy > workspace.low) & (grasps.xy < workspace.high), axis=1)
            grasps.quality *= inside
            found.append(grasps)
        return found

    def _grid(self, surface: Surface) -> HeightGrid:
        workspace = self.robot.workspace.workspace
        return height_grid([surface], workspace.low - 0.12, workspace.high + 0.12)

    def _surfaces(self) -> list[Surface]:
        """True surfaces of the objects that are still there, in the world frame."""
        specs = {
            name: obj.spec
            for name, obj in zip(self.world.scene.names(), self.world.scene.objects, strict=True)
        }
        return [
            object_surface(specs[truth.id]).transformed(truth.world_T_object)
            for truth in self.world.truth()
        ]

    def _candidate(self, grasps: Grasps, i: int, width: float, score: float) -> Candidate:
        contact, tip = float(grasps.contact[i]), float(grasps.tip[i])
        z = float(self.fingers.tcp_height(tip, width, contact))
        angle = wrap_grasp(float(grasps.angle[i]))
        x, y = (float(v) for v in grasps.xy[i])
        row, col = point_to_pixel(self.robot.workspace.workspace, x, y)
        return Candidate(
            Primitive.GRASP,
            grasp_pose(x, y, z, angle),
            angle,
            width=width,
            max_force=self.gripper.force_max,
            score=score,
            pixel=(int(col), int(row)),
        )


def oracle_params(values: Mapping[str, Any]) -> OracleParams:
    """Parameters of the oracle, checked.

    Raises:
        InvalidConfig: If one is unknown or out of range.
    """
    try:
        return OracleParams(**values)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        valid = ", ".join(sorted(OracleParams.model_fields))
        raise InvalidConfig(
            f"parameters of the oracle are not valid: {'; '.join(lines)}. Valid: {valid}"
        ) from error


def _highest(grids: Sequence[HeightGrid]) -> HeightGrid:
    """At least one grid, laid over each other."""
    return replace(grids[0], height=np.maximum.reduce([g.height for g in grids]))
