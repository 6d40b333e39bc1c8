"""Pushes from the heightmap, without learning.

A good push starts in free room for the closed gripper, meets something higher
within a few centimetres, moves it out of a crowd into the open, and rather
towards the middle of the workspace than over its edge. Length and height of
the stroke are VPG's (Zeng 2018): 10 cm, the TCP 26 mm above the highest point
under the fingers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from selfgrasp_nodes.geometry import point_to_pixel, push_pose, wrap_push
from selfgrasp_nodes.policies.base import ALL_PRIMITIVES, PolicyBase
from selfgrasp_nodes.policies.ranking import avoidance, suppress
from selfgrasp_nodes.policies.surface import Surface, build_surface
from selfgrasp_nodes.robots import Spec
from selfgrasp_nodes.types import Candidate, Observation, Primitive, Workspace

Length = Annotated[float, Field(gt=0, le=0.5)]
CELL = 0.004


class PushParams(Spec):
    """Parameters of :class:`PushHeuristic`; lengths in metres.

    Attributes:
        directions: Of the stroke, in [0, 2 pi).
        length: Of the stroke; less where the workspace ends.
        border: The fingers stop so far inside the workspace, because what they
            push is ahead of them.
        min_length: Shorter strokes are not proposed.
        above: TCP above the highest point under the closed fingers.
        table_clearance: Least height of the fingertips over the table.
        min_step: How much higher than the fingertips the object must be.
        reach: It must stand within this distance ahead of the fingers.
        min_score: Worse candidates are not proposed.
    """

    directions: Annotated[int, Field(ge=4, le=64)] = 16
    length: Length = 0.10
    border: Annotated[float, Field(ge=0, le=0.2)] = 0.06
    min_length: Length = 0.04
    above: Length = 0.026
    table_clearance: Length = 0.004
    min_step: Length = 0.010
    reach: Length = 0.03
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.005


class PushHeuristic(PolicyBase[PushParams]):
    """Strokes that separate what stands together."""

    name = "push-heuristic"
    primitives = (Primitive.PUSH,)
    Params = PushParams

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
        if Primitive.PUSH not in primitives or max_candidates < 1:
            return []
        surface = build_surface(heightmap, observation.views.values())
        workspace = heightmap.workspace
        x, y, angle, base, score = self._strokes(surface, workspace)
        length = stroke_inside(workspace, x, y, angle, self.params.length, self.params.border)
        score = np.where(length >= self.params.min_length, score, 0.0)
        good = np.flatnonzero(score >= self.params.min_score)
        score *= avoidance(x, y, angle, avoid, Primitive.PUSH, distance=0.03)
        best = suppress(
            x[good], y[good], angle[good], score[good], max_candidates, 0.03, 0.5, 2 * np.pi
        )
        closed = self.gripper.width_min
        found = []
        for i in good[best]:
            z = self.fingers.table_safe(
                base[i] + self.params.above, closed, self.params.table_clearance
            )
            row, col = point_to_pixel(workspace, x[i], y[i])
            heading = wrap_push(float(angle[i]))
            found.append(
                Candidate(
                    Primitive.PUSH,
                    push_pose(float(x[i]), float(y[i]), float(z), heading),
                    heading,
                    width=closed,
                    push_length=float(length[i]),
                    score=float(score[i]),
                    pixel=(int(col), int(row)),
                    rotation_index=round(heading / (2 * np.pi) * self.params.directions)
                    % self.params.directions,
                )
            )
        return self.finish(found, observation)

    def _strokes(self, surface: Surface, workspace: Workspace) -> tuple[np.ndarray, ...]:
        """All starts and directions that meet something: x, y, angle, base height, score."""
        p, gripper = self.params, self.gripper
        factor = max(1, round(CELL / surface.resolution))
        cell = factor * surface.resolution
        rows, cols = (n // factor for n in surface.height.shape)
        size = (rows, factor, cols, factor)
        crop = np.s_[: rows * factor, : cols * factor]
        height = np.ascontiguousarray(surface.height[crop].reshape(size).max(axis=(1, 3)))
        tall = (height > 0.012).astype(np.float32)
        crowd = cv2.boxFilter(tall, -1, (_odd(0.13, cell), _odd(0.13, cell)))
        side = int(np.ceil(np.hypot(rows, cols)))
        half = gripper.pad_length / 2
        # The closed gripper: a finger's width along the stroke, two thicknesses across.
        foot = np.ones(
            (
                _odd(2 * gripper.finger_thickness + 0.008, cell),
                _odd(gripper.finger_width + 0.012, cell),
            ),
            np.uint8,
        )
        blade = np.ones((_odd(2 * gripper.finger_thickness, cell), 1), np.uint8)
        nose = gripper.finger_width / 2 + 0.006
        ahead = np.ones((1, max(1, round(p.reach / cell))), np.uint8)
        shift = round((nose + p.reach / 2) / cell)
        found = []
        for index in range(p.directions):
            angle = 2 * np.pi * index / p.directions
            c, s = np.cos(angle), np.sin(angle)
            turn = np.array([[c, -s, 0.0], [s, c, 0.0]])
            turn[:, 2] = np.array([cols - 1, rows - 1]) / 2
            turn[:, 2] -= turn[:, :2].sum(axis=1) * (side - 1) / 2
            flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
            turned = cv2.warpAffine(height, turn, (side, side), flags=flags)
            full = cv2.warpAffine(tall, turn, (side, side), flags=flags)
            packed = cv2.warpAffine(crowd, turn, (side, side), flags=flags)
            base = cv2.dilate(turned, foot)
            # What the blade as a whole meets: the least over its width is squarely hit.
            met = _from_ahead(cv2.dilate(cv2.erode(turned, blade), ahead), shift)
            step = met - (base + p.above - half)
            beyond = cv2.boxFilter(full, -1, (_odd(0.07, cell), _odd(0.05, cell)))
            free = 1 - _from_ahead(beyond, round((nose + 0.09) / cell))
            hit = _from_ahead(packed, round((nose + 0.03) / cell))
            score = (step >= p.min_step) * (0.3 + hit) * (0.3 + 0.7 * free)
            score *= (step / 0.03).clip(0.5, 1)
            r, q = np.nonzero(score > 0)
            source = turn[:, :2] @ np.stack([q, r]) + turn[:, 2:]
            found.append(np.stack([*source, np.full(len(r), angle), base[r, q], score[r, q]]))
        col, row, heading, base_, value = np.concatenate(found, axis=1)
        x = surface.low[0] + (col + 0.5) * cell
        y = surface.low[1] + (row + 0.5) * cell
        # What is met should not end farther from the middle than it began.
        contact = np.stack([x + 0.04 * np.cos(heading), y + 0.04 * np.sin(heading)])
        away = contact - np.asarray(workspace.center)[:, None]
        reach = np.asarray(workspace.size)[:, None] / 2
        direction = np.stack([np.cos(heading), np.sin(heading)])
        outward = (away / reach * direction).sum(axis=0)
        inward = np.clip(0.6 - 0.6 * outward, 0.1, 1)
        inside = (np.abs(np.stack([x, y]) - np.asarray(workspace.center)[:, None]) < reach).all(0)
        return x, y, heading, base_, np.where(inside, value * inward, 0.0)


def stroke_inside(
    workspace: Workspace,
    x: np.ndarray,
    y: np.ndarray,
    angle: np.ndarray,
    length: float,
    border: float = 0.0,
) -> np.ndarray:
    """Length of strokes clipped to the workspace less a border [m]; (N,) starts."""
    result = np.full(len(x), length)
    low, high = workspace.low + border, workspace.high - border
    for start, step, lo, hi in (
        (x, np.cos(angle), low[0], high[0]),
        (y, np.sin(angle), low[1], high[1]),
    ):
        room = np.where(step > 0, hi - start, start - lo) / np.maximum(np.abs(step), 1e-9)
        # Along an axis the cosine of the other one is some 1e-17 of either sign.
        across = np.abs(step) < 1e-6
        room = np.where(across, np.where((start >= lo) & (start <= hi), np.inf, 0.0), room)
        result = np.minimum(result, room)
    return np.maximum(result, 0)


def _odd(length: float, cell: float) -> int:
    return 2 * round(length / cell / 2) + 1


def _from_ahead(image: np.ndarray, cells: int) -> np.ndarray:
    """Column c holds what was at c + ``cells``; 0 outside."""
    moved = np.zeros_like(image)
    moved[:, :-cells] = image[:, cells:]
    return moved
