"""The toy blocks' geometry, as convex pieces.

The nine kinds of Visual Pushing for Grasping (Zeng and others, 2018). Eight of
them are measured from its published meshes; the ninth was never published, and
``roof`` (a small triangular prism) is this project's own choice for it.

Frame of a block: origin in the middle of its bounding box, axes as the size is
given. Pieces of a block never overlap, so that volume and inertia add up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.spatial import ConvexHull

Vector3 = tuple[float, float, float]

SIZES: dict[str, Vector3] = {
    "prism": (0.0933, 0.05, 0.0486),
    "arch": (0.1, 0.05, 0.05),
    "tile": (0.025, 0.05, 0.05),
    "plank": (0.1, 0.05, 0.025),
    "cube": (0.05, 0.05, 0.05),
    "brick": (0.05, 0.05, 0.1),
    "half_cylinder": (0.0498, 0.05, 0.025),
    "cylinder": (0.0448, 0.0448, 0.05),
    "roof": (0.05, 0.05, 0.025),
}
"""Bounding boxes (x, y, z) [m] of the kinds of block, in their own frame."""

FACETS = 24
"""Sides of the polygon that stands for a circle: each turns by 15 degrees, so
that a lying cylinder rolls until friction stops it, then rests on a facet."""


@dataclass(frozen=True, eq=False)
class Piece:
    """One convex piece of a rigid object, in the object's frame.

    Attributes:
        vertices: (N, 3) float64 corner points [m].
        box: Half extents (x, y, z) [m] when it is an axis-aligned box centred
            on ``center``; None for any other convex body.
    """

    vertices: np.ndarray
    box: Vector3 | None = None

    @property
    def center(self) -> np.ndarray:
        """Middle of the bounding box, (3,) [m]."""
        return (self.vertices.min(axis=0) + self.vertices.max(axis=0)) / 2

    @cached_property
    def _hull(self) -> ConvexHull:
        return ConvexHull(self.vertices)

    @property
    def faces(self) -> np.ndarray:
        """(F, 3) int triangles of the hull, counter-clockwise seen from outside."""
        hull = self._hull
        faces = hull.simplices.copy()
        a, b, c = (self.vertices[faces[:, i]] for i in range(3))
        inward = np.einsum("ij,ij->i", np.cross(b - a, c - a), hull.equations[:, :3]) < 0
        faces[inward] = faces[inward][:, ::-1]
        return faces

    @property
    def planes(self) -> np.ndarray:
        """(F, 4): outward unit normal n and offset d with n . p + d <= 0 inside."""
        return self._hull.equations

    @property
    def volume(self) -> float:
        """Volume [m^3]."""
        return float(self._hull.volume)


def box_piece(center: object, half: Vector3) -> Piece:
    """An axis-aligned box."""
    signs = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)], float)
    return Piece(np.asarray(center, float) + signs * np.asarray(half), half)


def extrusion(outline_xz: object, depth: float) -> Piece:
    """A convex polygon in the xz plane, extruded along y.

    Args:
        outline_xz: (N, 2) corners [m].
        depth: Extent along y [m], centred on 0.
    """
    outline = np.asarray(outline_xz, float)
    layers = [np.insert(outline, 1, y, axis=1) for y in (-depth / 2, depth / 2)]
    return Piece(np.concatenate(layers))


def _box(size: Vector3) -> tuple[Piece, ...]:
    return (box_piece((0, 0, 0), (size[0] / 2, size[1] / 2, size[2] / 2)),)


def _prism(size: Vector3) -> tuple[Piece, ...]:
    # An isosceles triangle 100 mm wide and 50 mm high whose tips are blunted
    # to the measured 93.3 x 48.6 mm; given as shares of the size.
    tip, apex = 3.35 / 48.6, 1.4 / 93.3
    share = [(-0.5, -0.5), (0.5, -0.5), (0.5, tip - 0.5), (apex, 0.5), (-apex, 0.5)]
    outline = np.array([*share, (-0.5, tip - 0.5)]) * (size[0], size[2])
    return (extrusion(outline, size[1]),)


def _roof(size: Vector3) -> tuple[Piece, ...]:
    outline = np.array([(-0.5, -0.5), (0.5, -0.5), (0, 0.5)]) * (size[0], size[2])
    return (extrusion(outline, size[1]),)


def _half_cylinder(size: Vector3) -> tuple[Piece, ...]:
    angle = np.linspace(0, np.pi, FACETS // 2 + 1)
    outline = np.column_stack([np.cos(angle) * size[0] / 2, np.sin(angle) * size[2] - size[2] / 2])
    return (extrusion(outline, size[1]),)


def _cylinder(size: Vector3) -> tuple[Piece, ...]:
    angle = np.arange(FACETS) * 2 * np.pi / FACETS
    ring = np.column_stack([np.cos(angle) * size[0] / 2, np.sin(angle) * size[1] / 2])
    layers = [np.column_stack([ring, np.full(FACETS, z)]) for z in (-size[2] / 2, size[2] / 2)]
    return (Piece(np.concatenate(layers)),)


def _arch(size: Vector3) -> tuple[Piece, ...]:
    """Block less a half-cylinder groove along y, open at -z: concave.

    A slab, two legs, and in the two corners between groove and slab two
    triangular fillets each, whose common corner stands a little outside the
    circle so that the polygon's mean distance to it is near zero.
    """
    sx, sy, sz = size
    radius = sx / 4
    top = radius - sz / 2  # z of the groove's crown
    slab = box_piece((0, 0, (top + sz / 2) / 2), (sx / 2, sy / 2, (sz / 2 - top) / 2))
    leg = ((sx / 2 - radius) / 2, sy / 2, radius / 2)
    legs = [box_piece((s * (radius + leg[0]), 0, top - leg[2]), leg) for s in (-1, 1)]
    bulge = radius * 1.04 * np.sqrt(0.5)
    fillets = []
    for s in (-1, 1):
        corner, foot = (s * radius, top), (s * radius, top - radius)
        middle, crown = (s * bulge, top - radius + bulge), (0.0, top)
        fillets += [extrusion([corner, foot, middle], sy), extrusion([corner, middle, crown], sy)]
    return (slab, *legs, *fillets)


_BUILDERS: dict[str, Callable[[Vector3], tuple[Piece, ...]]] = {
    "prism": _prism,
    "arch": _arch,
    "tile": _box,
    "plank": _box,
    "cube": _box,
    "brick": _box,
    "half_cylinder": _half_cylinder,
    "cylinder": _cylinder,
    "roof": _roof,
}


@lru_cache(maxsize=256)
def block_pieces(shape: str, size: Vector3) -> tuple[Piece, ...]:
    """The convex pieces of a kind of block, stretched to ``size`` [m].

    Raises:
        KeyError: If ``shape`` is not one of :data:`SIZES`.
    """
    return _BUILDERS[shape](size)
