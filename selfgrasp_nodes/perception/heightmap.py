"""RGB-D views to an orthographic heightmap of the workspace.

The rules are those of Visual Pushing for Grasping (Zeng 2018, section III-A and
its reference code): points outside the workspace or at ``height_max`` and above
are dropped, what is measured below the table counts as the table, a cell is
found by rounding down (row = y, column = x), the highest point of a cell wins
and gives it its colour, and holes stay holes (``valid`` is False).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from selfgrasp_nodes.errors import EmptyObservation
from selfgrasp_nodes.perception.rays import CellRays, cell_rays, check_view
from selfgrasp_nodes.types import Heightmap, View, Workspace


def build_heightmap(views: Sequence[View], workspace: Workspace) -> Heightmap:
    """Fuse views into one heightmap; the highest point of a cell wins.

    Any number of cameras, at any pose. The first call with a camera at a pose
    computes its rays (``bench/heightmap.py`` times it); later calls find them
    cached.

    Args:
        views: At least one; depth in metres, 0, NaN and Inf are invalid.
        workspace: What the map covers.

    Returns:
        The map, of ``workspace.shape``.

    Raises:
        InvalidImage: If a view's colour, depth, intrinsics or pose do not fit.
        EmptyObservation: If no view measured any point of the workspace.
    """
    rows, cols = workspace.shape
    top = np.full(rows * cols, -np.inf, np.float32)  # below every height
    color = np.zeros(rows * cols, np.uint32)  # RGBA in one number: quicker to gather
    for view in views:
        check_view(view)
        _add(view, workspace, top, color)
    valid = top > -np.inf
    if not valid.any():
        raise EmptyObservation(_why_empty(views, workspace))
    # Only now: of several points below the table, too, the highest gives the colour.
    np.maximum(top, 0, out=top)
    rgb = cv2.cvtColor(color.view(np.uint8).reshape(rows, cols, 4), cv2.COLOR_RGBA2RGB)
    return Heightmap(workspace, rgb, top.reshape(rows, cols), valid.reshape(rows, cols))


def _add(view: View, workspace: Workspace, top: np.ndarray, color: np.ndarray) -> None:
    """Raise ``top`` and repaint ``color`` (flat, in place) where a view sees higher points."""
    pixel, cell, height = _points(view, cell_rays(view, workspace), workspace)
    # Scatter-max without sorting: of several points written to one cell numpy
    # keeps the last, so write all, look which points are still higher than what
    # is written, and write those again until none is. Points arrive roughly
    # from low to high, hence two or three rounds of shrinking size suffice.
    winner = np.full(top.size, -1, np.intp)
    while True:
        higher = np.flatnonzero(height > top.take(cell))
        if not higher.size:
            break
        if higher.size < height.size:
            pixel, cell, height = pixel.take(higher), cell.take(higher), height.take(higher)
        top[cell] = height
        winner[cell] = pixel
    rgba = (
        cv2.cvtColor(np.ascontiguousarray(view.color), cv2.COLOR_RGB2RGBA).view(np.uint32).ravel()
    )
    np.copyto(color, rgba.take(winner, mode="clip"), where=winner >= 0)


def _points(
    view: View, rays: CellRays, workspace: Workspace
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels with a point in the workspace: flat pixel, flat cell, height [m]."""
    rows, cols = workspace.shape
    depth = np.ascontiguousarray(view.depth, dtype=np.float32).ravel()
    # NaN fails both comparisons, 0 the first, Inf the second.
    pixel = np.flatnonzero((depth >= rays.near) & (depth <= rays.far))
    if rays.top_first:
        pixel = np.ascontiguousarray(pixel[::-1])
    depth = depth.take(pixel)
    x, y, z = rays.column.take(pixel), rays.row.take(pixel), rays.height.take(pixel)
    for values, origin in zip((x, y, z), rays.origin, strict=True):
        values *= depth
        values += origin
    inside = (x >= 0) & (x < cols) & (y >= 0) & (y < rows) & (z < workspace.height_max)
    if not inside.all():
        keep = np.flatnonzero(inside)
        pixel, x, y, z = pixel.take(keep), x.take(keep), y.take(keep), z.take(keep)
    cell = y.astype(np.int32)  # not negative here, so cutting off is rounding down
    cell *= cols
    cell += x.astype(np.int32)
    return pixel, cell.astype(np.intp), z


def _why_empty(views: Sequence[View], workspace: Workspace) -> str:
    if not views:
        return "no view to build a heightmap from; name at least one camera"
    blind = [v.camera for v in views if not (np.isfinite(v.depth) & (v.depth > 0)).any()]
    if len(blind) == len(views):
        return (
            f"no valid depth in any pixel of {', '.join(map(repr, blind))} (all 0, NaN or Inf); "
            "check that the depth stream runs, that its lens is free and that the table is "
            "within its range"
        )
    return (
        f"{', '.join(repr(v.camera) for v in views)} measured no point in the workspace around "
        f"{tuple(workspace.center)} of size {tuple(workspace.size)} m; check world_T_camera "
        "(frame: optical, z forward), the unit of depth (metres) and the workspace's limits"
    )
