"""Antipodal grasps from the heightmap, without learning: the default policy.

1. :mod:`hypotheses`: where do both fingers have room, over all positions,
   angles and openings?
2. :mod:`closing`: what do they meet when they close there? Twice: the first
   look turns each hypothesis parallel to the edges that it found and moves it
   to the middle of the object, the second one judges the result.
3. Ranking: deep, parallel, steep, central grasps, on what lies on top, clear of
   what nobody saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from selfgrasp_nodes.geometry import grasp_pose, point_to_pixel, wrap_grasp
from selfgrasp_nodes.policies.base import ALL_PRIMITIVES, PolicyBase
from selfgrasp_nodes.policies.closing import Closing, Hand, close_fingers
from selfgrasp_nodes.policies.hypotheses import Search, hypotheses
from selfgrasp_nodes.policies.ranking import avoidance, suppress
from selfgrasp_nodes.policies.surface import build_surface
from selfgrasp_nodes.robots import RobotSpec, Spec
from selfgrasp_nodes.types import Candidate, Observation, Primitive, Workspace

SECOND_LOOKS = 260

Length = Annotated[float, Field(gt=0, le=0.5)]


class AntipodalParams(Spec):
    """Parameters of :class:`Antipodal`; lengths in metres.

    Attributes:
        angles: Closing directions in [0, pi).
        depth: TCP below the surface point, where the table allows.
        min_height: Lower things are not objects.
        min_overlap: Least height of object between the pads.
        table_clearance: Least height of the fingertips over the table when they
            touch the object.
        clearances: Free space beside the object on each side, best first.
        max_tilt: Contacts that lean more than this slip [rad].
        body_size: Of the gripper's body (across, along the closing direction).
        body_clearance: Of the body above the TCP at full opening.
        force: Share of the gripper's largest force, 0..1.
        min_score: Worse candidates are not proposed.
        prefer_top: How much more the highest object counts than the lowest.
    """

    angles: Annotated[int, Field(ge=4, le=64)] = 24
    depth: Length = 0.03
    min_height: Length = 0.012
    min_overlap: Length = 0.010
    table_clearance: Length = 0.004
    clearances: tuple[Length, ...] = (0.013, 0.009, 0.006)
    max_tilt: Annotated[float, Field(gt=0, le=1.57)] = 0.6
    body_size: tuple[Length, Length] = (0.042, 0.076)
    body_clearance: Length = 0.042
    force: Annotated[float, Field(gt=0, le=1)] = 1.0
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.03
    prefer_top: Annotated[float, Field(ge=0, le=1)] = 0.35


class Antipodal(PolicyBase[AntipodalParams]):
    """Grasps whose two contacts face each other, with room for both fingers."""

    name = "antipodal"
    required_views = ("heightmap",)
    primitives = (Primitive.GRASP,)
    Params = AntipodalParams

    def __init__(self, robot: RobotSpec, params: AntipodalParams, arm: str = ""):
        """See :class:`PolicyBase`."""
        super().__init__(robot, params, arm)
        self.search = Search(
            angles=params.angles,
            depth=params.depth,
            min_height=params.min_height,
            min_overlap=params.min_overlap,
            table_clearance=params.table_clearance,
            clearance=min(params.clearances),
        )
        self.hand = Hand(
            depth=params.depth,
            min_overlap=params.min_overlap,
            table_clearance=params.table_clearance,
            clearances=params.clearances,
            body_size=params.body_size,
            body_clearance=params.body_clearance,
        )

    def propose(
        self,
        observation: Observation,
        rng_seed: int = 0,
        max_candidates: int = 10,
        primitives: Sequence[Primitive] = ALL_PRIMITIVES,
        avoid: Sequence[Candidate] = (),
    ) -> list[Candidate]:
        """See :meth:`Policy.propose`; the score lies in 0..1."""
        heightmap = self.heightmap(observation)
        if Primitive.GRASP not in primitives or max_candidates < 1:
            return []
        surface = build_surface(heightmap, observation.views.values())
        x, y, angle, _ = hypotheses(surface, self.fingers, self.search, heightmap.workspace)
        if not len(x):
            return []
        first = close_fingers(surface, self.fingers, self.hand, x, y, angle)
        promise = self.score(first) + 0.01 * np.clip(first.overlap / 0.02, 0, 1)
        x, y, angle = _corrected(first.take(np.argsort(-promise, kind="stable")[:SECOND_LOOKS]))
        found = close_fingers(surface, self.fingers, self.hand, x, y, angle)
        workspace = heightmap.workspace
        low, high = workspace.low, workspace.high
        inside = (
            (found.x > low[0]) & (found.x < high[0]) & (found.y > low[1]) & (found.y < high[1])
        )
        score = np.where(inside, self.score(found), 0.0)
        enough = self.params.min_score
        if score.max(initial=0.0) < enough:
            # Only what little can be seen of it: better a try than none.
            score = np.where(inside, self.last_resort(found), 0.0)
            enough /= 50
        good = np.flatnonzero(score >= enough)
        # Earlier failures change the order, never whether there is anything to do.
        score *= avoidance(found.x, found.y, found.angle, avoid, Primitive.GRASP)
        kept = found.take(good)
        best = suppress(kept.x, kept.y, kept.angle, score[good], max_candidates)
        return self.finish(
            [self._candidate(kept, i, float(score[good][i]), workspace) for i in best],
            observation,
        )

    def score(self, found: Closing) -> np.ndarray:
        """Quality of each evaluated grasp, 0..1; 0 where it is not feasible."""
        p = self.params
        grip = np.clip(found.overlap / 0.02, 0, 1)
        parallel = np.exp(-((found.wedge / 0.2) ** 2 + (found.skew / 0.25) ** 2))
        straight = np.exp(-((found.bow / 0.003) ** 2))
        steep = np.clip(1 - (found.tilt / p.max_tilt) ** 2, 0, 1)
        central = 0.5 + 0.5 * np.exp(-((found.offset / 0.02) ** 2))
        covered = np.clip(1.3 * found.cover, 0, 1)
        room = 0.7 + 0.3 * np.clip(found.gap / max(p.clearances), 0, 1)
        # A finger that goes down where nobody saw may land on something. Beside a narrow
        # strip it often does: the strip is the edge of what leans, or slopes, behind it.
        narrow = np.clip((0.026 - found.contact) / 0.01, 0, 1)
        seen = np.clip(1 - (0.5 + 1.2 * narrow) * found.hidden, 0.1, 1)
        single = 1 - 0.4 * np.clip((found.across - 0.08) / 0.2, 0, 1)
        highest = max(float(found.top.max()), 1e-3)
        above = 1 - p.prefer_top * (1 - np.clip(found.top / highest, 0, 1))
        return np.where(
            found.feasible,
            grip * parallel * straight * steep * central * room * seen * single * above * covered,
            0.0,
        )

    def last_resort(self, found: Closing) -> np.ndarray:
        """Quality of what :meth:`score` rejects, for want of better: below ``min_score``."""
        crooked = (found.wedge / 0.7) ** 2 + (found.skew / 0.5) ** 2 + (found.bow / 0.01) ** 2
        value = np.exp(-crooked - (found.tilt / 0.8) ** 2) * np.clip(found.overlap / 0.02, 0, 1)
        # Corners of what is too wide are no way out.
        inside = (found.wedge < 0.4) & (np.abs(found.offset) < 0.015)
        return np.where(found.feasible & inside, value * self.params.min_score, 0.0)

    def _candidate(self, found: Closing, i: int, score: float, workspace: Workspace) -> Candidate:
        width, contact = float(found.width[i]), float(found.contact[i])
        z = float(self.fingers.tcp_height(found.tip[i], width, contact))
        angle = wrap_grasp(float(found.angle[i]))
        x, y = float(found.x[i]), float(found.y[i])
        row, col = point_to_pixel(workspace, x, y)
        return Candidate(
            Primitive.GRASP,
            grasp_pose(x, y, z, angle),
            angle,
            width=width,
            max_force=self.params.force * self.gripper.force_max,
            score=score,
            pixel=(int(col), int(row)),
        )


def _corrected(first: Closing) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hypotheses turned parallel to their edges; each also moved to the object's middle."""
    plausible = first.contact < 0.15
    turn = np.where((np.abs(first.skew) < 0.5) | (first.wedge < 0.2), first.skew, 0.0)
    angle = (first.angle + turn)[plausible]
    x, y, offset = first.x[plausible], first.y[plausible], first.offset[plausible]
    move = np.clip(offset, -0.03, 0.03)
    moved_x, moved_y = x - np.sin(angle) * move, y + np.cos(angle) * move
    far = np.abs(move) > 0.003
    return (
        np.concatenate([x, moved_x[far]]),
        np.concatenate([y, moved_y[far]]),
        np.concatenate([angle, angle[far]]),
    )
