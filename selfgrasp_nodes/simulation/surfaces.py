"""Points all over an object's true surface, and true heights of a whole scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from selfgrasp_nodes.simulation.objects import ObjectSpec
from selfgrasp_nodes.simulation.shapes import Piece

SPACING = 0.003
"""Between points of an object's sampled surface [m]."""


@dataclass(frozen=True, eq=False)
class Surface:
    """Sampled surface of a body.

    Attributes:
        points: (N, 3) [m].
        normals: (N, 3) outward, unit length.
        center: (3,) centre of mass [m].
    """

    points: np.ndarray
    normals: np.ndarray
    center: np.ndarray

    def transformed(self, a_T_b: np.ndarray) -> Surface:
        """The same surface in another frame."""
        rotation, shift = a_T_b[:3, :3], a_T_b[:3, 3]
        return Surface(
            self.points @ rotation.T + shift,
            self.normals @ rotation.T,
            rotation @ self.center + shift,
        )


@lru_cache(maxsize=512)
def object_surface(obj: ObjectSpec, spacing: float = SPACING) -> Surface:
    """Points on an object's outside, at most ``spacing`` [m] apart, in its own frame."""
    pieces = obj.pieces
    points, normals = [], []
    for index, piece in enumerate(pieces):
        own_points, own_normals = _piece_surface(piece, spacing)
        outside = np.ones(len(own_points), bool)
        for other in (*pieces[:index], *pieces[index + 1 :]):
            depth = own_points @ other.planes[:, :3].T + other.planes[:, 3]
            outside &= depth.max(axis=1) > 1e-5
        points.append(own_points[outside])
        normals.append(own_normals[outside])
    volumes = np.array([piece.volume for piece in pieces])
    centers = np.array([_centroid(piece) for piece in pieces])
    return Surface(
        np.concatenate(points), np.concatenate(normals), volumes @ centers / volumes.sum()
    )


@dataclass(frozen=True, eq=False)
class HeightGrid:
    """Highest true point over each cell of a grid.

    Attributes:
        low: (x, y) of the corner of cell (0, 0) [m].
        cell: Edge of a cell [m].
        height: (rows along y, columns along x) [m], 0 where the table is free.
    """

    low: np.ndarray
    cell: float
    height: np.ndarray

    @property
    def empty(self) -> HeightGrid:
        """The same grid over a free table."""
        return replace(self, height=np.zeros_like(self.height))

    def at(self, xy: np.ndarray) -> np.ndarray:
        """Heights at world points (..., 2); 0 outside the grid."""
        index = np.floor((xy - self.low) / self.cell).astype(int)
        rows, cols = self.height.shape
        inside = (
            (index[..., 0] >= 0) & (index[..., 0] < cols)
            & (index[..., 1] >= 0) & (index[..., 1] < rows)
        )  # fmt: skip
        clipped = np.clip(index, 0, [cols - 1, rows - 1])
        return np.where(inside, self.height[clipped[..., 1], clipped[..., 0]], 0.0)


def height_grid(
    surfaces: Sequence[Surface], low: np.ndarray, high: np.ndarray, cell: float = 0.003
) -> HeightGrid:
    """Rasterise surfaces seen from above.

    Args:
        surfaces: In the world frame.
        low: (x, y) of one corner [m].
        high: (x, y) of the opposite corner [m].
        cell: Edge of a cell [m]; not smaller than the surfaces' spacing.
    """
    cols, rows = np.ceil((high - low) / cell).astype(int)
    height = np.zeros((rows, cols))
    for surface in surfaces:
        index = np.floor((surface.points[:, :2] - low) / cell).astype(int)
        inside = np.all((index >= 0) & (index < [cols, rows]), axis=1)
        col, row = index[inside].T
        np.maximum.at(height, (row, col), surface.points[inside, 2])
    return HeightGrid(low, cell, height)


def _piece_surface(piece: Piece, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    points, normals = [], []
    for face in piece.faces:
        a, b, c = piece.vertices[face]
        normal = np.cross(b - a, c - a)
        longest = max(np.linalg.norm(b - a), np.linalg.norm(c - a), np.linalg.norm(c - b))
        n = max(1, int(np.ceil(longest / spacing)))
        i, j = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
        keep = i + j <= n
        u, v = i[keep, None] / n, j[keep, None] / n
        points.append(a + u * (b - a) + v * (c - a))
        normals.append(np.broadcast_to(normal / np.linalg.norm(normal), points[-1].shape))
    return np.concatenate(points), np.concatenate(normals)


def _centroid(piece: Piece) -> np.ndarray:
    """Centre of mass of a convex piece: the mean of its tetrahedra's, by volume."""
    origin = piece.vertices.mean(axis=0)
    a, b, c = (piece.vertices[piece.faces[:, i]] - origin for i in range(3))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c))
    return origin + volume @ (a + b + c) / 4 / volume.sum()
