"""First stage of the antipodal heuristic: where could a gripper go at all?

The coarse heightmap is rotated so that the fingers close along its columns;
then the space that both fingers need, for every position and opening at once,
is a running maximum and two shifts.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from selfgrasp_nodes.policies.fingers import Fingers
from selfgrasp_nodes.policies.surface import Surface
from selfgrasp_nodes.types import Workspace


@dataclass(frozen=True)
class Search:
    """Parameters of the first stage; lengths in metres, see ``Antipodal.Params``."""

    angles: int
    depth: float
    min_height: float
    min_overlap: float
    table_clearance: float
    clearance: float
    openings: int = 9
    cell: float = 0.004
    bin_size: float = 0.018
    angles_per_bin: int = 6
    limit: int = 500


def _pool(image: np.ndarray, factor: int) -> np.ndarray:
    rows, cols = (n // factor * factor for n in image.shape)
    blocks = image[:rows, :cols].reshape(rows // factor, factor, cols // factor, factor)
    return np.ascontiguousarray(blocks.max(axis=(1, 3)))


def hypotheses(
    surface: Surface, fingers: Fingers, search: Search, workspace: Workspace
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Positions and angles at which both fingers have room, best few of each place.

    Args:
        surface: What was seen.
        fingers: Of the gripper.
        search: Parameters.
        workspace: Only positions inside it.

    Returns:
        x [m], y [m], angle [rad, in 0..pi) and a coarse score, each (N,), N at
        most ``search.limit``, best first.
    """
    gripper = fingers.gripper
    factor = max(1, round(search.cell / surface.resolution))
    cell = factor * surface.resolution
    height, obstacle = _pool(surface.height, factor), _pool(surface.obstacle, factor)
    rows, cols = height.shape
    if height.max() < search.min_height:
        return (np.zeros(0),) * 4
    side = int(np.ceil(np.hypot(rows, cols)))
    narrowest = max(gripper.width_min + 0.009, 0.03)
    openings = np.linspace(narrowest, gripper.width_max, search.openings)
    # A finger and the uncertainty around it.
    reach = 2 * search.clearance
    finger = np.ones(
        (
            2 * round((gripper.finger_width + reach) / cell / 2) + 1,
            2 * round((gripper.finger_thickness + reach) / cell / 2) + 1,
        ),
        np.uint8,
    )
    # Openings are rounded down to the object that fits, for the lowest tip.
    deep = search.depth + gripper.pad_length / 2
    pad = np.ones((2 * round(gripper.finger_width / cell / 2) + 1, 3), np.uint8)
    found = []
    for index in range(search.angles):
        angle = np.pi * index / search.angles
        c, s = np.cos(angle), np.sin(angle)
        # Output (col, row) about the middle -> source: the closing axis (c, s).
        turn = np.array([[c, -s, 0.0], [s, c, 0.0]])
        turn[:, 2] = np.array([cols - 1, rows - 1]) / 2 - turn[:, :2].sum(axis=1) * (side - 1) / 2
        turned, hard = (
            cv2.warpAffine(
                image, turn, (side, side), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
            )
            for image in (height, obstacle)
        )
        top = cv2.dilate(turned, pad)
        blocked = cv2.dilate(hard, finger)
        r, q = np.nonzero(turned >= search.min_height)
        surface_top = top[r, q]
        lowest = np.maximum(surface_top - deep, search.table_clearance)
        score = np.full(len(r), -1.0, np.float32)
        # The padding of the map is wider than half the opening, so that a shift
        # never leaves the turned map.
        start = r * side + q
        flat = blocked.ravel()
        for opening in openings:
            shift = max(1, round((opening / 2 + gripper.finger_thickness / 2) / cell))
            tip = np.maximum(
                flat.take(start + shift, mode="clip"), flat.take(start - shift, mode="clip")
            )
            overlap = surface_top - np.maximum(tip + 0.005, lowest)
            value = np.minimum(overlap, 0.025) - np.float32(0.1 * opening)
            np.maximum(score, np.where(overlap < search.min_overlap, -1, value), out=score)
        good = np.flatnonzero(score > -0.5)
        r, q = r[good], q[good]
        source = turn[:, :2] @ np.stack([q, r]) + turn[:, 2:]
        found.append(
            np.stack([*source, np.full(len(good), angle), score[good], surface_top[good]])
        )
    col, row, angle_, value_, top_ = np.concatenate(found, axis=1)
    x = surface.low[0] + (col + 0.5) * cell
    y = surface.low[1] + (row + 0.5) * cell
    inside = (x > workspace.low[0]) & (x < workspace.high[0])
    inside &= (y > workspace.low[1]) & (y < workspace.high[1])
    x, y, angle_, value_, top_ = (a[inside] for a in (x, y, angle_, value_, top_))
    # Higher things first: what lies on top is free, and hides what is below.
    rank = value_ + 0.3 * top_
    keep = _best_of_bins(x, y, angle_, rank, search)
    return x[keep], y[keep], angle_[keep], rank[keep]


def _best_of_bins(
    x: np.ndarray, y: np.ndarray, angle: np.ndarray, rank: np.ndarray, search: Search
) -> np.ndarray:
    """Indices of the best few angles of each square of the table, best first."""
    if not len(x):
        return np.zeros(0, np.int64)
    order = np.argsort(-rank, kind="stable")
    place = (
        np.floor((x - x.min()) / search.bin_size) * 4096
        + np.floor((y - y.min()) / search.bin_size)
    )[order]
    turn = np.rint(angle[order] / np.pi * search.angles)
    # The best position of each (place, angle) ...
    _, first = np.unique(place * 1024 + turn, return_index=True)
    first.sort()
    # ... and of those the best few angles of each place.
    places = place[first]
    by_place = np.argsort(places, kind="stable")
    grouped = places[by_place]
    start = np.searchsorted(grouped, grouped)
    nth = np.empty(len(first), np.int64)
    nth[by_place] = np.arange(len(first)) - start
    few = order[first[nth < search.angles_per_bin]]
    # Where there is little to look at, look at all of it.
    more = nth >= search.angles_per_bin
    rest = order[first[more]][np.argsort(nth[more], kind="stable")]
    return np.concatenate([few, rest])[: search.limit]
