"""Second stage of the antipodal heuristic: what happens when the fingers close?

For each hypothesis the surface between and around the fingers is sampled in
the gripper's own frame: u along the closing direction, v across it. From that
follow the edges that the pads meet, how parallel and how steep they are, the
opening that is needed, the depth that the neighbours allow, and where the
middle of the object is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from selfgrasp_nodes.policies.fingers import Fingers
from selfgrasp_nodes.policies.surface import Surface

STEP = 0.002  # along u [m]
HALF = 0.084  # half the patch along u [m]
SPAN = 0.060  # how far along v the object is followed [m]
SPAN_STEP = 0.003
MIN_COVER = 0.1  # share of the pads' width
FEW_ROWS = 5e-6  # spread of rows below which an edge's slope is uncertain [m^2]
NOISE = 0.004  # what sensors may err in height [m]

ToWorld = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(A,) along u and (B,) across it [m] -> world x and y (N, A, B) of N hypotheses."""


@dataclass(frozen=True)
class Closing:
    """What closing at N hypotheses meets; all fields (N,) arrays.

    Attributes:
        x: World x of the point midway between the contacts [m].
        y: World y of it [m].
        angle: Closing direction [rad].
        top: Height of the surface between the fingers [m].
        tip: World z of the fingertips at contact [m].
        contact: Width of what is gripped [m].
        width: Opening before closing [m].
        overlap: Height of object between the pads [m].
        gap: Free space on the tighter side of the object at ``width`` [m].
        skew: Mean angle of the two edges to the pads [rad]; turning the
            gripper by it aligns them.
        wedge: Half the angle between the two edges [rad].
        bow: Root mean square distance of the more crooked edge from a line [m]:
            large at corners.
        tilt: Lean of the steeper-leaning contact from the vertical [rad].
        offset: Distance along v to the object's middle [m].
        cover: Share of the pads' width that meets the object.
        hidden: Share of the fingers' footprints that nobody saw.
        body: How far the gripper's body clears what is below it [m].
        across: Largest difference of colour between the two halves of what is
            gripped, 0..1: two things side by side differ.
        feasible: Whether the fingers fit and find something to close on.
    """

    x: np.ndarray
    y: np.ndarray
    angle: np.ndarray
    top: np.ndarray
    tip: np.ndarray
    contact: np.ndarray
    width: np.ndarray
    overlap: np.ndarray
    gap: np.ndarray
    skew: np.ndarray
    wedge: np.ndarray
    bow: np.ndarray
    tilt: np.ndarray
    offset: np.ndarray
    cover: np.ndarray
    hidden: np.ndarray
    body: np.ndarray
    across: np.ndarray
    feasible: np.ndarray

    def take(self, index: np.ndarray) -> Closing:
        """The hypotheses at ``index``."""
        return Closing(**{k: v[index] for k, v in vars(self).items()})


@dataclass(frozen=True)
class Hand:
    """What the second stage needs to know of gripper and caution; metres.

    Attributes:
        depth: TCP below the surface, where the table allows.
        min_overlap: Least height of object between the pads.
        table_clearance: Least height of the tips over the table at contact.
        clearances: Free space beside the object that is tried, best first.
        body_size: (along v, along u) of the gripper's body.
        body_clearance: Body above the TCP at full opening.
    """

    depth: float
    min_overlap: float
    table_clearance: float
    clearances: tuple[float, ...]
    body_size: tuple[float, float]
    body_clearance: float


def _edge(profile: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Distance from the middle outward to where a profile falls below a level.

    Args:
        profile: (N, V, U) heights from the middle outward, ``STEP`` apart.
        level: (N,) heights.

    Returns:
        (N, V) [m], interpolated between samples; ``U * STEP`` where it never
        falls.
    """
    level = level[:, None, None]
    below = profile < level
    first = below.argmax(axis=2)
    first[~below.any(axis=2)] = profile.shape[2]
    inner = np.maximum(first - 1, 0)
    outer = np.minimum(first, profile.shape[2] - 1)
    a = np.take_along_axis(profile, inner[..., None], 2)[..., 0]
    b = np.take_along_axis(profile, outer[..., None], 2)[..., 0]
    share = np.clip((a - level[..., 0]) / np.maximum(a - b, 1e-4), 0, 1)
    return np.where(first == 0, 0.0, (inner + share) * STEP)


def _line(v: np.ndarray, edge: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least-squares line through an edge, drawn to level where rows are few.

    Args:
        v: (V,) where the rows lie [m].
        edge: (N, V) [m].
        weight: (N, V).

    Returns:
        d(edge)/dv (N,), 0 where fewer than two rows count, and the root mean
        square distance of the edge from the line (N,) [m].
    """
    total = np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
    centered = v - (weight * v).sum(axis=1, keepdims=True) / total
    level = edge - (weight * edge).sum(axis=1, keepdims=True) / total
    spread = (weight * centered**2).sum(axis=1)
    slope = (weight * level * centered).sum(axis=1) / (spread + FEW_ROWS)
    left = weight * (level - slope[:, None] * centered) ** 2
    return slope, np.sqrt(left.sum(axis=1) / total[:, 0])


def close_fingers(
    surface: Surface,
    fingers: Fingers,
    hand: Hand,
    x: np.ndarray,
    y: np.ndarray,
    angle: np.ndarray,
) -> Closing:
    """Evaluate hypotheses on the surface.

    Args:
        surface: What was seen.
        fingers: Of the gripper.
        hand: Parameters.
        x: (N,) world x of the point between the fingers [m].
        y: (N,) world y [m].
        angle: (N,) closing direction [rad].
    """
    gripper = fingers.gripper
    n = len(x)
    half_v = gripper.finger_width / 2
    v = np.linspace(-half_v - 0.003, half_v + 0.003, 9)
    inner = np.abs(v) <= half_v + 1e-6
    u = np.arange(-round(HALF / STEP), round(HALF / STEP) + 1) * STEP
    middle = len(u) // 2
    c, s = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]

    def world(uu: np.ndarray, vv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gx = x[:, None, None] + c * uu[None, None, :] - s * vv[None, :, None]
        gy = y[:, None, None] + s * uu[None, None, :] + c * vv[None, :, None]
        return gx, gy

    gx, gy = world(u, v)
    patch = surface.sample(surface.height, gx, gy)
    hard = surface.sample(surface.obstacle, gx, gy)
    unseen = surface.sample(surface.hidden, gx, gy)
    right, left = patch[:, :, middle:], patch[:, :, middle::-1]

    core = np.abs(u) <= 0.006 + 1e-9
    top = patch[:, :, core].mean(axis=2)[:, inner].max(axis=1)
    low = np.maximum(top - hand.depth - gripper.pad_length / 2, hand.table_clearance)
    level = (top + low) / 2
    edge_r, edge_l = _edge(right, level), _edge(left, level)
    far_r, far_l = edge_r[:, inner].max(axis=1), edge_l[:, inner].max(axis=1)
    contact = far_r + far_l
    # Should the object slip away, the fingers close further and sink.
    low = np.maximum(low, hand.table_clearance + fingers.sink(contact))
    # Rows that miss the object (an apex is narrower than the pads) say nothing,
    # those that barely meet it little.
    spine = patch[:, :, core].mean(axis=2)[:, inner]
    meets = ((edge_r > 0) & (edge_l > 0))[:, inner].astype(float)
    cover = meets.mean(axis=1)
    meets *= np.clip((spine - level[:, None]) / 0.006, 0, 1)
    slope_r, bow_r = _line(v[inner], edge_r[:, inner], meets)
    slope_l, bow_l = _line(v[inner], -edge_l[:, inner], meets)

    # Deepest tip for each clearance: the highest thing that a finger would meet
    # on its way from the opening to the contact.
    best = np.full(n, -np.inf)
    choice = {k: np.zeros(n) for k in ("tip", "width", "gap", "hidden")}
    walls = []
    distance = np.arange(right.shape[2]) * STEP
    for side, far in ((hard[:, :, middle:], far_r), (hard[:, :, middle::-1], far_l)):
        rows = side.max(axis=1)
        rows[distance[None, :] < far[:, None] + 0.004] = 0
        walls.append(np.maximum.accumulate(rows, axis=1))
    dark = [unseen[:, :, middle:].max(axis=1), unseen[:, :, middle::-1].max(axis=1)]
    for clearance in hand.clearances:
        width = np.minimum(contact + 2 * clearance, gripper.width_max)
        gap = (width - contact) / 2
        end = [far + gap + gripper.finger_thickness + 0.003 for far in (far_r, far_l)]
        index = [np.minimum(np.rint(e / STEP).astype(int), len(distance) - 1) for e in end]
        obstacle = np.maximum(*(w[np.arange(n), i] for w, i in zip(walls, index, strict=True)))
        tip = np.maximum(low, np.where(obstacle > NOISE, obstacle + NOISE, 0))
        overlap = top - tip
        hidden = np.zeros(n)
        for side, far, e in zip(dark, (far_r, far_l), end, strict=True):
            under = (distance > far[:, None] + 0.002) & (distance <= e[:, None])
            hidden += (
                0.5
                * ((side > tip[:, None] + NOISE) & under).sum(axis=1)
                / np.maximum(under.sum(axis=1), 1)
            )
        # A narrower gap is only worth it where it lets the fingers go deeper.
        value = np.minimum(overlap, 0.03) - 0.3 * np.maximum(0.012 - gap, 0)
        better = value > best + 1e-4
        best = np.where(better, value, best)
        for key, new in (("tip", tip), ("width", width), ("gap", gap), ("hidden", hidden)):
            choice[key] = np.where(better, new, choice[key])
    tip, width, gap = choice["tip"], choice["width"], choice["gap"]
    overlap = top - tip

    # Lean of the contacts, from two levels of what is between the pads.
    z_low = tip + np.maximum(0.15 * overlap, 0.003)
    z_high = tip + 0.65 * np.minimum(overlap, gripper.pad_length)
    tilt = np.zeros(n)
    for side in (right, left):
        upper, lower = _edge(side, z_high)[:, inner], _edge(side, z_low)[:, inner]
        rows_met = np.clip((spine - z_high[:, None]) / NOISE, 0, 1) * (upper > 0)
        run = ((lower - upper) * rows_met).sum(axis=1) / np.maximum(rows_met.sum(axis=1), 0.1)
        tilt = np.maximum(tilt, np.arctan2(np.maximum(run, 0), np.maximum(z_high - z_low, 1e-3)))

    offset = _offset(surface, world, level)
    body = _body(surface, world, hand, fingers, tip, width, contact)
    across = _across(surface, x, y, angle, far_r, far_l)
    shift = (far_r - far_l) / 2
    feasible = (
        (overlap >= hand.min_overlap)
        & (gap >= min(hand.clearances) - 1e-6)
        & (contact >= max(gripper.width_min + 0.003, 0.006))
        & (np.maximum(far_r, far_l) < HALF - 0.01)
        & (body > 0)
        & (cover > MIN_COVER)
    )
    return Closing(
        x=x + np.cos(angle) * shift,
        y=y + np.sin(angle) * shift,
        angle=angle,
        top=top,
        tip=tip,
        contact=contact,
        width=width,
        overlap=overlap,
        gap=gap,
        skew=-np.arctan((slope_r + slope_l) / 2),
        wedge=np.abs(np.arctan(slope_r) - np.arctan(slope_l)) / 2,
        bow=np.maximum(bow_r, bow_l),
        tilt=tilt,
        offset=offset,
        cover=cover,
        hidden=choice["hidden"],
        body=body,
        across=across,
        feasible=feasible,
    )


def _offset(surface: Surface, world: ToWorld, level: np.ndarray) -> np.ndarray:
    """Signed distance along v from the pads to the middle of the object [m]."""
    span = np.arange(-round(SPAN / SPAN_STEP), round(SPAN / SPAN_STEP) + 1) * SPAN_STEP
    gx, gy = world(np.array([-0.004, 0.0, 0.004]), span)
    strip = surface.sample(surface.height, gx, gy).max(axis=2)
    middle = len(span) // 2
    inside = strip >= level[:, None]
    ahead = np.logical_and.accumulate(inside[:, middle:], axis=1).sum(axis=1)
    behind = np.logical_and.accumulate(inside[:, middle::-1], axis=1).sum(axis=1)
    return (ahead - behind) / 2 * SPAN_STEP


def _body(
    surface: Surface,
    world: ToWorld,
    hand: Hand,
    fingers: Fingers,
    tip: np.ndarray,
    width: np.ndarray,
    contact: np.ndarray,
) -> np.ndarray:
    """Clearance of the gripper's body over everything below it [m]."""
    gx, gy = world(
        np.linspace(-hand.body_size[1] / 2, hand.body_size[1] / 2, 11),
        np.linspace(-hand.body_size[0] / 2, hand.body_size[0] / 2, 7),
    )
    highest = surface.sample(surface.height, gx, gy).max(axis=(1, 2))
    tcp = fingers.tcp_height(tip, width, contact)
    above = hand.body_clearance + fingers.reach(width) - fingers.reach(fingers.gripper.width_max)
    return tcp + above - highest - NOISE


def _across(
    surface: Surface,
    x: np.ndarray,
    y: np.ndarray,
    angle: np.ndarray,
    far_r: np.ndarray,
    far_l: np.ndarray,
) -> np.ndarray:
    """Difference of colour between the two halves of what is gripped, 0..1."""
    share = np.linspace(0.2, 0.8, 5)
    middle, half = ((far_r - far_l) / 2)[:, None], ((far_r + far_l) / 2)[:, None]
    halves = []
    for sign in (1.0, -1.0):
        reach = middle + sign * share * half
        gx = x[:, None] + np.cos(angle)[:, None] * reach
        gy = y[:, None] + np.sin(angle)[:, None] * reach
        halves.append(np.median(surface.sample(surface.color, gx, gy).astype(np.float32), axis=1))
    return np.abs(halves[0] - halves[1]).max(axis=1) / 255.0
