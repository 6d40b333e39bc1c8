"""Grasps of a known shape: where pads meet it, and whether the hand fits there.

s runs along the closing direction, t across it, z up; all on true surfaces.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from selfgrasp_nodes.policies.closing import Hand
from selfgrasp_nodes.policies.fingers import Fingers
from selfgrasp_nodes.robots import GripperSpec, Spec
from selfgrasp_nodes.simulation.surfaces import HeightGrid, Surface

Length = Annotated[float, Field(gt=0, le=0.5)]


class OracleParams(Spec):
    """What counts as a grasp; lengths in metres.

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
        pushes: Whether it pushes where there is no clean grasp (and pushing is allowed).
        lookahead: Pushes that are rehearsed before one is made (see ``rehearsal``);
            with 0 the push heuristic's best is made.
    """

    pushes: bool = True
    lookahead: Annotated[int, Field(ge=0, le=200)] = 0
    angles: Annotated[int, Field(ge=1, le=64)] = 12
    step: Length = 0.008
    reach: Length = 0.028
    clearances: tuple[Length, ...] = (0.014, 0.010, 0.007, 0.0045)
    table_clearance: Length = 0.004
    patch: Length = 0.0015
    max_lean: Annotated[float, Field(gt=0, le=1.57)] = 0.5
    min_overlap: Length = 0.010
    min_wide: Annotated[float, Field(ge=0, le=1)] = 0.4


MARGIN = 0.002
"""Kept between fingers and what is not gripped [m]."""

LINKS = 0.005
"""How far a finger's links stick out beyond its pad [m]."""


@dataclass
class Grasps:
    """Grasps of one object, (N,) each; s runs along the closing direction, t across it."""

    angle: np.ndarray
    s: np.ndarray
    t: np.ndarray
    tip: np.ndarray
    contact: np.ndarray
    quality: np.ndarray

    def take(self, index: np.ndarray) -> Grasps:
        """Those at an index or mask."""
        return Grasps(**{k: v[index] for k, v in vars(self).items()})

    @property
    def xy(self) -> np.ndarray:
        """(N, 2) world positions midway between the contacts [m]."""
        return _world(self.angle, self.s, self.t)


class GraspSearch:
    """Finds and judges the grasps of known shapes with one gripper."""

    def __init__(self, gripper: GripperSpec, fingers: Fingers, hand: Hand):
        """Bind to a gripper.

        Args:
            gripper: Its fingers' sizes and stroke.
            fingers: How they sink while they close.
            hand: Size of its body.
        """
        self.gripper, self.fingers, self.hand = gripper, fingers, hand
        self._memory: dict[tuple[float, bytes], Grasps] = {}

    def of(self, surface: Surface, level: OracleParams) -> Grasps:
        """Grasps near an object's centre of mass; computed once as long as it rests."""
        corners = surface.points[[0, len(surface.points) // 2, -1]]
        key = (level.max_lean, np.round(corners, 4).tobytes())
        if key not in self._memory:
            if len(self._memory) > 200:
                self._memory.clear()
            self._memory[key] = self._contacts(surface, level)
        return replace(self._memory[key], quality=self._memory[key].quality.copy())

    def _contacts(self, surface: Surface, level: OracleParams) -> Grasps:
        """What the pads meet on one object, for every direction, position and height."""
        rows = []
        for angle in self._angles(surface, level.angles):
            direction = np.array([np.cos(angle), np.sin(angle), 0.0])
            across = np.array([-np.sin(angle), np.cos(angle), 0.0])
            s, t, z = surface.points @ direction, surface.points @ across, surface.points[:, 2]
            normals = surface.normals @ np.array([direction, across, [0, 0, 1]]).T
            middle = float(surface.center @ across)
            half, floor = self.gripper.finger_width / 2, self._floor(float(np.ptp(s)), level)
            for offset in np.arange(-level.reach, level.reach + 1e-9, level.step):
                column = np.flatnonzero(np.abs(t - middle - offset) <= half)
                if not len(column):
                    continue
                height = z[column]
                top = float(height.max())
                for tip in self._tips(floor, top, float(surface.center[2])):
                    if top - tip < level.min_overlap:
                        continue
                    slab = column[(height >= tip) & (height <= tip + self.gripper.pad_length)]
                    row = self._judge(level, s[slab], t[slab], z[slab], normals[slab])
                    if row is not None:
                        mid, contact, quality = row
                        quality *= np.exp(-((offset / 0.02) ** 2))
                        rows.append((angle, mid, middle + offset, tip, contact, quality))
        return Grasps(*np.array(rows, float).reshape(-1, 6).T)

    def _judge(
        self,
        level: OracleParams,
        s: np.ndarray,
        t: np.ndarray,
        z: np.ndarray,
        normals: np.ndarray,
    ) -> tuple[float, float, float] | None:
        """(middle, width, quality) of closing on the points between the pads, or None.

        The normals (N, 3) are given along s, t and z.
        """
        if len(s) < 4:
            return None
        low, high = float(s.min()), float(s.max())
        contact = high - low
        least = self.gripper.width_min + (0.004 if self.gripper.width_min < 0.01 else 0.002)
        if not least < contact < self.gripper.width_max - 2 * min(level.clearances):
            return None
        quality, widest = 1.0, 0.0
        patch = level.patch
        for side, near in ((1.0, s > high - patch), (-1.0, s < low + patch)):
            touching = near & (side * normals[:, 0] > 0.2)
            if not touching.any():
                return None
            # The mean normal: an upright edge on the pad is no lean, a slope is.
            normal = normals[touching].mean(axis=0)
            lean = np.arccos(np.clip(side * normal[0] / np.linalg.norm(normal), -1, 1))
            wide = min(1.0, float(np.ptp(t[touching])) / (0.8 * self.gripper.finger_width))
            tall = min(1.0, float(np.ptp(z[touching])) / (0.5 * self.gripper.pad_length))
            quality *= max(0.0, 1 - float(lean / level.max_lean) ** 2)
            quality *= (0.3 + 0.7 * wide) * (0.5 + 0.5 * tall)
            widest = max(widest, wide)
        if widest < level.min_wide:
            return None
        return (low + high) / 2, contact, quality

    def _angles(self, surface: Surface, count: int) -> np.ndarray:
        """Closing directions: those of the object's upright faces, and evenly spaced ones."""
        upright = surface.normals[np.abs(surface.normals[:, 2]) < 0.35]
        faces = np.mod(np.arctan2(upright[:, 1], upright[:, 0]), np.pi)
        faces = np.unique(np.round(faces, 2))
        even = np.arange(count) * np.pi / count
        merged = list(faces[:: max(1, len(faces) // 16)])
        merged += [a for a in even if not len(faces) or np.abs(faces - a).min() > 0.05]
        return np.array(merged)

    def _floor(self, widest: float, level: OracleParams) -> float:
        """Least height of the tips at contact: they sink if the object slips away."""
        width = min(widest, self.gripper.width_max)
        return level.table_clearance + float(self.fingers.sink(width))

    def _tips(self, floor: float, top: float, center: float) -> list[float]:
        """Heights of the tips that are worth a look."""
        pad = self.gripper.pad_length
        wanted = (top - self.hand.body_clearance - pad / 2, center - pad / 2, top - 0.02)
        return sorted({round(max(floor, tip), 3) for tip in wanted})

    def free(
        self, grasps: Grasps, level: OracleParams, everything: HeightGrid, others: HeightGrid
    ) -> np.ndarray:
        """Factor 0..1 by the room that fingers and body have."""
        width = self.opening(grasps, level, everything, others)
        room = (width - grasps.contact) / 2
        best = max(level.clearances)
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

    def opening(
        self,
        grasps: Grasps,
        level: OracleParams,
        everything: HeightGrid,
        others: HeightGrid | None,
    ) -> np.ndarray:
        """Widest opening (N,) with which the fingers come down freely [m]; 0 where none does."""
        chosen = np.zeros(len(grasps.angle))
        half = self.gripper.finger_width / 2 + MARGIN
        t = grasps.t[:, None, None] + np.linspace(-half, half, 10)[None, :, None]
        angle = grasps.angle[:, None, None]

        def below(grid: HeightGrid, start: np.ndarray, end: np.ndarray, limit: np.ndarray):
            s = grasps.s[:, None] + np.linspace(start, end, 8, axis=1)
            return grid.at(_world(angle, s[:, None], t)).max(axis=(1, 2), initial=0) < limit

        for clearance in sorted(level.clearances):
            width = grasps.contact + 2 * clearance
            free = width <= self.gripper.width_max
            for side in (-1, 1):
                inner = side * (grasps.contact / 2 + clearance - 0.001)
                outer = inner + side * (self.gripper.finger_thickness + MARGIN)
                free &= below(everything, inner, outer, grasps.tip - MARGIN)
                # Above the pads the links stick out.
                links = grasps.tip + self.gripper.pad_length / 2
                free &= below(everything, outer, outer + side * LINKS, links)
                if others is not None:
                    edge = side * grasps.contact / 2
                    free &= below(others, edge, outer, grasps.tip - MARGIN)
            chosen = np.where(free, width, chosen)
        return chosen


def _world(angle: np.ndarray, s: np.ndarray, t: np.ndarray) -> np.ndarray:
    """World (..., 2) of points s along and t across a closing direction."""
    c, n = np.cos(angle), np.sin(angle)
    return np.stack(np.broadcast_arrays(c * s - n * t, n * s + c * t), axis=-1)
