"""The heightmap as a grasp planner needs it: filled, padded, with what is hidden.

A camera that looks from the side does not see the table behind a block. What
could stand there is bounded: a point is hidden only where the camera's ray to it
ends earlier, on something nearer. :func:`build_surface` asks the depth images
for that bound, cell by cell, also in a margin around the workspace, where there
is no heightmap but fingers may reach.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from selfgrasp_nodes.types import Heightmap, View, Workspace

LEVEL_STEP = 0.006  # vertical step of the search for hidden space [m]
AROUND = 0.1  # up to here things around the workspace are looked for [m]
DEPTH_MARGIN = 0.008  # a ray ends earlier if it does so by more than this [m]


@dataclass(frozen=True)
class Surface:
    """Heights over a padded workspace; row = y, column = x.

    Attributes:
        low: World (x, y) of the corner of cell (0, 0) [m].
        resolution: Edge of a cell [m].
        height: (R, C) float32 measured height, small holes filled; 0 where
            nothing was seen [m].
        hidden: (R, C) float32 height up to which something unseen may stand;
            0 where the cell was seen [m].
        obstacle: (R, C) float32 what fingers must keep away from [m]: ``height``,
            the lone points that it leaves out as outliers, and what probably
            continues where it is hidden.
        color: (R, C, 3) uint8 RGB.
    """

    low: np.ndarray
    resolution: float
    height: np.ndarray
    hidden: np.ndarray
    obstacle: np.ndarray
    color: np.ndarray

    def cells(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fractional (column, row) of world points, as float32 for ``cv2.remap``."""
        col = (x - self.low[0]) / self.resolution - 0.5
        row = (y - self.low[1]) / self.resolution - 0.5
        return col.astype(np.float32), row.astype(np.float32)

    def sample(self, image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Bilinear values of ``image`` at world points; 0 outside.

        Args:
            image: (R, C) or (R, C, 3).
            x: (N, ...) world x [m]; N and the product of the rest less than 32768.
            y: As ``x``.
        """
        col, row = self.cells(x, y)
        shape = col.shape
        if not col.size:
            return np.zeros(shape + image.shape[2:], image.dtype)
        flat = (shape[0], -1)
        values = cv2.remap(
            image, col.reshape(flat), row.reshape(flat), cv2.INTER_LINEAR, borderValue=0
        )
        return values.reshape(shape + image.shape[2:])


def clean_height(heightmap: Heightmap) -> np.ndarray:
    """Heights with one-cell holes closed and single outliers removed.

    Returns:
        (rows, cols) float32 [m]; still 0 where larger areas were not seen.
    """
    height = np.where(heightmap.valid, heightmap.height, 0).astype(np.float32)
    kernel = np.ones((3, 3), np.uint8)
    closed = cv2.morphologyEx(height, cv2.MORPH_CLOSE, kernel)
    return cv2.medianBlur(np.where(heightmap.valid, height, closed), 3)


def sparse_points(heightmap: Heightmap) -> np.ndarray:
    """Heights of lone points in areas of which little was seen, one cell wider.

    Through a gap between two blocks a camera sees a few cells of a third one.

    Returns:
        (rows, cols) float32 [m]; 0 elsewhere.
    """
    valid = heightmap.valid.astype(np.float32)
    density = cv2.boxFilter(valid, -1, (5, 5), borderType=cv2.BORDER_REPLICATE)
    lone = np.where(heightmap.valid & (density < 0.35), heightmap.height, 0)
    return cv2.dilate(lone.astype(np.float32), np.ones((3, 3), np.uint8))


def continued(height: np.ndarray, hidden: np.ndarray, cell: float) -> np.ndarray:
    """Where things that are seen in part probably continue out of sight.

    A flat top that ends at a hidden cell, lower than what may stand there,
    goes on for another 3 cm; had it ended, its end would be seen.

    Args:
        height: (R, C) measured [m].
        hidden: (R, C) bound of what is hidden [m].
        cell: Edge of a cell [m].

    Returns:
        (R, C) float32 [m]; 0 where nothing is expected.
    """
    kernel = np.ones((3, 3), np.uint8)
    flat = cv2.dilate(height, kernel) - cv2.erode(height, kernel) < LEVEL_STEP
    size = 2 * round(0.03 / cell) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    expected = np.zeros_like(height)
    for low in np.arange(2 * LEVEL_STEP, float(hidden.max()), LEVEL_STEP):
        layer = flat & (height >= low) & (height < low + LEVEL_STEP)
        if layer.any():
            near = cv2.dilate(layer.astype(np.uint8), disc).astype(bool)
            expected[near & (hidden >= low + LEVEL_STEP)] = low + LEVEL_STEP
    return expected


def hidden_bound(
    views: Iterable[View], points: np.ndarray, levels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What is not known, and what is seen, about columns of space.

    Args:
        views: Depth images with their poses.
        points: (N, 2) world x, y of the columns [m].
        levels: (L,) heights to ask for, increasing [m].

    Returns:
        hidden: (N,) float32 greatest height that is hidden from every view [m];
            0 where nothing is, or no view covers it.
        surface: (N,) float32 greatest height at which some ray ends [m].
    """
    shape = (len(points), len(levels))
    xyz = np.empty((*shape, 3))
    xyz[..., :2] = points[:, None, :]
    xyz[..., 2] = levels
    free, blocked, ends = (np.zeros(shape, bool) for _ in range(3))
    for view in views:
        rotation, origin = view.world_T_camera[:3, :3], view.world_T_camera[:3, 3]
        local = (xyz - origin) @ rotation
        z = local[..., 2]
        ahead = z > 1e-3
        scale = np.where(ahead, z, 1.0)
        k = view.intrinsics
        u = np.rint(local[..., 0] / scale * k[0, 0] + k[0, 2]).astype(np.int64)
        v = np.rint(local[..., 1] / scale * k[1, 1] + k[1, 2]).astype(np.int64)
        rows, cols = view.depth.shape
        inside = ahead & (u >= 0) & (u < cols) & (v >= 0) & (v < rows)
        depth = view.depth[np.clip(v, 0, rows - 1), np.clip(u, 0, cols - 1)]
        known = inside & np.isfinite(depth) & (depth > 0)
        nearer = depth < z - DEPTH_MARGIN
        free |= known & ~nearer
        blocked |= known & nearer
        ends |= known & (np.abs(depth - z) < LEVEL_STEP)
    hidden = blocked & ~free
    top = (np.where(mask, levels, 0.0).max(axis=1).astype(np.float32) for mask in (hidden, ends))
    return next(top), next(top)


def build_surface(
    heightmap: Heightmap, views: Iterable[View], margin: float = 0.08, coarse: float = 0.004
) -> Surface:
    """Fill, pad and bound a heightmap.

    Args:
        heightmap: Of the workspace.
        views: Depth images that it was made from; without any, a cell that was
            not seen may be as high as what stands within 3 cm of it.
        margin: Width of the padding [m].
        coarse: Edge of the cells in which hidden space is looked for [m].
    """
    workspace = heightmap.workspace
    res = workspace.resolution
    factor = max(1, round(coarse / res))
    pad = int(np.ceil(margin / res / factor)) * factor
    rows, cols = heightmap.height.shape
    # The padded size is a multiple of the coarse cell.
    extra = (-(rows + 2 * pad) % factor, -(cols + 2 * pad) % factor)
    border = ((pad, pad + extra[0]), (pad, pad + extra[1]))
    height = np.pad(clean_height(heightmap), border)
    low = workspace.low - pad * res
    seen = cv2.morphologyEx(
        heightmap.valid.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)
    )
    blocks = np.pad(seen, border).reshape(
        height.shape[0] // factor, factor, height.shape[1] // factor, factor
    )
    unseen = blocks.mean(axis=(1, 3)) < 0.5
    views = [view for view in views if view.depth is not None]
    bound, beyond = (np.zeros(unseen.shape, np.float32) for _ in range(2))
    r, c = np.nonzero(unseen)
    if len(r) and views:
        centers = np.stack([c + 0.5, r + 0.5], axis=1) * factor * res + low
        top = max(float(height.max()), AROUND) + LEVEL_STEP
        levels = np.arange(0.0, top, LEVEL_STEP)
        bound[r, c], beyond[r, c] = hidden_bound(views, centers, levels)
    elif len(r):
        bound = np.where(unseen, _near_max(height, factor, res, workspace), 0).astype(np.float32)
    small = height.reshape(bound.shape[0], factor, bound.shape[1], factor).max(axis=(1, 3))
    further = continued(small, bound, factor * res)
    full = cv2.resize(bound, height.shape[::-1], interpolation=cv2.INTER_NEAREST)
    # Around the workspace the views are all there is.
    outside = np.ones(height.shape, bool)
    outside[pad : pad + rows, pad : pad + cols] = False
    ring = cv2.resize(beyond, height.shape[::-1], interpolation=cv2.INTER_NEAREST)
    height[outside] = np.where(ring > 2 * LEVEL_STEP, ring, 0)[outside]
    full[height > full] = 0
    further = cv2.resize(further, height.shape[::-1], interpolation=cv2.INTER_NEAREST)
    further[height > 0.5 * further] = 0  # the edge of what was seen is known better
    obstacle = np.maximum(height, np.pad(sparse_points(heightmap), border))
    np.maximum(obstacle, further, out=obstacle)
    color = np.pad(heightmap.color, (*border, (0, 0)))
    return Surface(low, res, height, full, obstacle, color)


def _near_max(height: np.ndarray, factor: int, res: float, workspace: Workspace) -> np.ndarray:
    """Highest measured point within 3 cm of each coarse cell."""
    small = height.reshape(height.shape[0] // factor, factor, -1, factor).max(axis=(1, 3))
    size = 2 * round(0.03 / (factor * res)) + 1
    return cv2.dilate(small, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
