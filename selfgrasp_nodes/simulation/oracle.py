"""The oracle: antipodal grasps on the objects' true shapes and poses.

For evaluation only. It reads simulator truth, which no policy may, proposes
through the same :class:`Candidate` as every policy, and so shows what the rest
of the system (fingers, arm, physics) lets any policy reach.

For each object, closing direction, position along the pads' width and height
of the tips, the slab between the pads is cut out of the true surface: its two
extremes are the contacts. A grasp is good when both contacts face the pads, are
wide, lie at the centre of mass and carry no other object, and possible when
the columns through which fingers and gripper body come down are free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from selfgrasp_nodes.geometry import grasp_pose, point_to_pixel, wrap_grasp
from selfgrasp_nodes.policies.antipodal import Antipodal
from selfgrasp_nodes.policies.base import ALL_PRIMITIVES, PolicyBase
from selfgrasp_nodes.policies.closing import Hand
from selfgrasp_nodes.policies.fingers import Fingers
from selfgrasp_nodes.policies.ranking import avoidance, suppress
from selfgrasp_nodes.policies.registry import make_policy
from selfgrasp_nodes.robots import Spec
from selfgrasp_nodes.simulation.surfaces import HeightGrid, Surface, height_grid, object_surface
from selfgrasp_nodes.types import Candidate, Observation, Primitive

if TYPE_CHECKING:
    from selfgrasp_nodes.simulation.world import World

Length = Annotated[float, Field(gt=0, le=0.5)]


class OracleParams(Spec):
    """Parameters of :class:`Oracle`; lengths in metres.

    Attributes:
        angles: Closing directions in [0, pi), beside those of upright faces.
        step: Between positions along the pads' width.
        reach: Farthest position from the centre of mass.
        clearances: Free space beside the object on each side, best first.
        table_clearance: Least height of the tips above the table at contact.
        patch: Depth of what counts as touching a pad.
        max_lean: Mean lean of a contact's surface from the pad that slips [rad].
        min_overlap: Least height of object between the pads.
        min_wide: Share of a pad's width that one of the two contacts fills at
            least: between two edges an object turns.
    """

    angles: Annotated[int, Field(ge=1, le=64)] = 12
    step: Length = 0.008
    reach: Length = 0.028
    clearances: tuple[Length, ...] = (0.014, 0.010, 0.007, 0.0045)
    table_clearance: Length = 0.004
    patch: Length = 0.0015
    max_lean: Annotated[float, Field(gt=0, le=1.57)] = 0.5
    min_overlap: Length = 0.010
    min_wide: Annotated[float, Field(ge=0, le=1)] = 0.4


@dataclass
class _Grasps:
    """Grasps of one object, (N,) each; s runs along the closing direction, t across it."""

    angle: np.ndarray
    s: np.ndarray
    t: np.ndarray
    tip: np.ndarray
    contact: np.ndarray
    quality: np.ndarray

    def take(self, index: np.ndarray) -> _Grasps:
        return _Grasps(**{k: v[index] for k, v in vars(self).items()})

    @property
    def xy(self) -> np.ndarray:
        """(N, 2) world positions midway between the contacts [m]."""
        return _world(self.angle, self.s, self.t)


class Oracle(PolicyBase):
    """Grasps from simulator truth: the ceiling, never a policy to deploy."""

    name = "oracle"
    required_views = ("heightmap",)  # motion's own need: it keeps clear of what it shows
    primitives = (Primitive.GRASP,)
    Params = OracleParams

    def __init__(self, world: World, arm: str = "", **values: Any):
        """Bind the oracle to the world whose truth it reads.

        Args:
            world: Read at each proposal.
            arm: As for every policy.
            **values: Of :class:`OracleParams`.
        """
        self.params = OracleParams(**values)
        super().__init__(world.robot, self.params, arm)
        self.world = world
        plain = make_policy("antipodal", world.robot, arm=arm)
        assert isinstance(plain, Antipodal)
        self.fingers: Fingers = plain.fingers
        self.hand: Hand = plain.hand
        self._memory: dict[bytes, _Grasps] = {}

    def propose(
        self,
        observation: Observation,
        rng_seed: int = 0,
        max_candidates: int = 10,
        primitives: Sequence[Primitive] = ALL_PRIMITIVES,
        avoid: Sequence[Candidate] = (),
    ) -> list[Candidate]:
        """See :meth:`Policy.propose`; of the observation only the id is used."""
        if Primitive.GRASP not in primitives or max_candidates < 1:
            return []
        workspace = self.robot.workspace.workspace
        surfaces = self._surfaces()
        low, high = workspace.low - 0.12, workspace.high + 0.12
        if not surfaces:
            return []
        grids = [height_grid([surface], low, high) for surface in surfaces]
        highest = max(float(g.height.max()) for g in grids)
        everything = _highest(grids)
        found: list[_Grasps] = []
        for index, surface in enumerate(surfaces):
            if not workspace.contains(*surface.center[:2]):
                continue
            others = _highest(
                [g for i, g in enumerate(grids) if i != index] or [grids[index].empty]
            )
            grasps = self._remembered(surface)
            grasps.quality *= self._free(grasps, everything, others)
            own = grids[index].height
            buried = np.mean(others.height[own > 0] > own[own > 0]) if np.any(own > 0) else 0.0
            top = float(own.max()) / max(highest, 1e-3)
            grasps.quality *= (1 - 0.8 * float(buried)) * (0.7 + 0.3 * top)
            found.append(grasps)
        if not found:
            return []
        every = _Grasps(**{k: np.concatenate([vars(g)[k] for g in found]) for k in vars(found[0])})
        x, y = every.xy.T
        inside = np.all((every.xy > workspace.low) & (every.xy < workspace.high), axis=1)
        score = np.where(inside, every.quality, 0.0)
        score *= avoidance(x, y, every.angle, avoid, Primitive.GRASP)
        good = np.flatnonzero(score > 1e-3)
        kept = every.take(good)
        x, y = kept.xy.T
        best = suppress(x, y, kept.angle, score[good], max_candidates, distance=0.01)
        widths = self._opening(kept, everything, others=None)
        return self.finish(
            [self._candidate(kept, i, float(widths[i]), float(score[good][i])) for i in best],
            observation,
        )

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

    def _remembered(self, surface: Surface) -> _Grasps:
        """:meth:`_contacts`, computed once for an object as long as it rests."""
        key = np.round(surface.points[[0, len(surface.points) // 2, -1]], 4).tobytes()
        if key not in self._memory:
            if len(self._memory) > 200:
                self._memory.clear()
            self._memory[key] = self._contacts(surface)
        return replace(self._memory[key], quality=self._memory[key].quality.copy())

    def _contacts(self, surface: Surface) -> _Grasps:
        """What the pads meet on one object, for every direction, position and height."""
        rows = []
        for angle in self._angles(surface):
            direction = np.array([np.cos(angle), np.sin(angle), 0.0])
            across = np.array([-np.sin(angle), np.cos(angle), 0.0])
            s, t, z = surface.points @ direction, surface.points @ across, surface.points[:, 2]
            normals = surface.normals @ np.array([direction, across, [0, 0, 1]]).T
            middle = float(surface.center @ across)
            half, floor = self.gripper.finger_width / 2, self._floor(float(np.ptp(s)))
            for offset in np.arange(
                -self.params.reach, self.params.reach + 1e-9, self.params.step
            ):
                column = np.flatnonzero(np.abs(t - middle - offset) <= half)
                if not len(column):
                    continue
                height = z[column]
                top = float(height.max())
                for tip in self._tips(floor, top, float(surface.center[2])):
                    if top - tip < self.params.min_overlap:
                        continue
                    slab = column[(height >= tip) & (height <= tip + self.gripper.pad_length)]
                    row = self._judge(s[slab], t[slab], z[slab], normals[slab])
                    if row is not None:
                        mid, contact, quality = row
                        quality *= np.exp(-((offset / 0.02) ** 2))
                        rows.append((angle, mid, middle + offset, tip, contact, quality))
        return _Grasps(*np.array(rows, float).reshape(-1, 6).T)

    def _judge(
        self, s: np.ndarray, t: np.ndarray, z: np.ndarray, normals: np.ndarray
    ) -> tuple[float, float, float] | None:
        """(middle, width, quality) of closing on the points between the pads, or None.

        The normals (N, 3) are given along s, t and z.
        """
        if len(s) < 4:
            return None
        low, high = float(s.min()), float(s.max())
        contact = high - low
        least = self.gripper.width_min + (0.004 if self.gripper.width_min < 0.01 else 0.002)
        if not least < contact < self.gripper.width_max - 2 * min(self.params.clearances):
            return None
        quality, widest = 1.0, 0.0
        patch = self.params.patch
        for side, near in ((1.0, s > high - patch), (-1.0, s < low + patch)):
            touching = near & (side * normals[:, 0] > 0.2)
            if not touching.any():
                return None
            # The mean normal: an upright edge on the pad is no lean, a slope is.
            normal = normals[touching].mean(axis=0)
            lean = np.arccos(np.clip(side * normal[0] / np.linalg.norm(normal), -1, 1))
            wide = min(1.0, float(np.ptp(t[touching])) / (0.8 * self.gripper.finger_width))
            tall = min(1.0, float(np.ptp(z[touching])) / (0.5 * self.gripper.pad_length))
            quality *= max(0.0, 1 - float(lean / self.params.max_lean) ** 2)
            quality *= (0.3 + 0.7 * wide) * (0.5 + 0.5 * tall)
            widest = max(widest, wide)
        if widest < self.params.min_wide:
            return None
        return (low + high) / 2, contact, quality

    def _angles(self, surface: Surface) -> np.ndarray:
        """Closing directions: those of the object's upright faces, and evenly spaced ones."""
        upright = surface.normals[np.abs(surface.normals[:, 2]) < 0.35]
        faces = np.mod(np.arctan2(upright[:, 1], upright[:, 0]), np.pi)
        faces = np.unique(np.round(faces, 2))
        even = np.arange(self.params.angles) * np.pi / self.params.angles
        merged = list(faces[:: max(1, len(faces) // 16)])
        merged += [a for a in even if not len(faces) or np.abs(faces - a).min() > 0.05]
        return np.array(merged)

    def _floor(self, widest: float) -> float:
        """Least height of the tips at contact: they sink if the object slips away."""
        width = min(widest, self.gripper.width_max)
        return self.params.table_clearance + float(self.fingers.sink(width))

    def _tips(self, floor: float, top: float, center: float) -> list[float]:
        """Heights of the tips that are worth a look."""
        pad = self.gripper.pad_length
        wanted = (top - self.hand.body_clearance - pad / 2, center - pad / 2, top - 0.02)
        return sorted({round(max(floor, tip), 3) for tip in wanted})

    def _free(self, grasps: _Grasps, everything: HeightGrid, others: HeightGrid) -> np.ndarray:
        """Factor 0..1 by the room that fingers and body have."""
        width = self._opening(grasps, everything, others)
        room = (width - grasps.contact) / 2
        best = max(self.params.clearances)
        body_s, body_t = np.meshgrid(
            np.linspace(-0.5, 0.5, 15) * self.hand.body_size[1],
            np.linspace(-0.5, 0.5, 9) * self.hand.body_size[0],
        )
        below = everything.at(
            _world(
                grasps.angle[:, None],
                grasps.s[:, None] + body_s.ravel(),
                grasps.t[:, None] + body_t.ravel(),
            )
        ).max(axis=1, initial=0.0)
        body = grasps.tip + self.gripper.pad_length / 2 + self.hand.body_clearance
        return np.where((width > 0) & (below < body), 0.6 + 0.4 * room / best, 0.0)

    def _opening(
        self, grasps: _Grasps, everything: HeightGrid, others: HeightGrid | None
    ) -> np.ndarray:
        """Widest opening (N,) with which the fingers come down freely [m]; 0 where none does."""
        chosen = np.zeros(len(grasps.angle))
        half = self.gripper.finger_width / 2 + 0.002
        t = grasps.t[:, None, None] + np.linspace(-half, half, 10)[None, :, None]
        angle = grasps.angle[:, None, None]
        limit = grasps.tip - 0.002
        for clearance in sorted(self.params.clearances):
            width = grasps.contact + 2 * clearance
            free = width <= self.gripper.width_max
            for side in (-1, 1):
                inner = side * (grasps.contact / 2 + clearance - 0.001)
                outer = side * (
                    grasps.contact / 2 + clearance + self.gripper.finger_thickness + 0.002
                )
                s = grasps.s[:, None] + np.linspace(inner, outer, 7, axis=1)
                free &= (
                    everything.at(_world(angle, s[:, None], t)).max(axis=(1, 2), initial=0) < limit
                )
                if others is not None:
                    edge = side * grasps.contact / 2
                    s = grasps.s[:, None] + np.linspace(edge, outer, 9, axis=1)
                    free &= (
                        others.at(_world(angle, s[:, None], t)).max(axis=(1, 2), initial=0) < limit
                    )
            chosen = np.where(free, width, chosen)
        return chosen

    def _candidate(self, grasps: _Grasps, i: int, width: float, score: float) -> Candidate:
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


def _world(angle: np.ndarray, s: np.ndarray, t: np.ndarray) -> np.ndarray:
    """World (..., 2) of points s along and t across a closing direction."""
    c, n = np.cos(angle), np.sin(angle)
    return np.stack(np.broadcast_arrays(c * s - n * t, n * s + c * t), axis=-1)


def _highest(grids: Sequence[HeightGrid]) -> HeightGrid:
    """At least one grid, laid over each other."""
    return replace(grids[0], height=np.maximum.reduce([g.height for g in grids]))
