"""Points where a grasp is considered, and what a view shows there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from selfgrasp_nodes.geometry import project
from selfgrasp_nodes.policies.random_roi import OCCLUSION
from selfgrasp_nodes.types import View


@dataclass(frozen=True, eq=False)
class Sampled:
    """N points where a grasp is considered.

    Attributes:
        points: (N, 3) world x, y and z of the patch's plane [m].
        surface: (N,) world z that the grasp's depth counts from [m].
        density: (N,) with which each point was drawn [1/m^2].
        tips: (N,) fingertips above the patch's plane [m].
    """

    points: np.ndarray
    surface: np.ndarray
    density: np.ndarray
    tips: np.ndarray


def pixel_of(view: View, point: np.ndarray) -> tuple[int, int]:
    """(u, v) of a world point before a view's camera."""
    local = (point - view.world_T_camera[:3, 3]) @ view.world_T_camera[:3, :3]
    u, v = (round(float(c)) for c in project(view.intrinsics, local))
    return u, v


def seen_surface(view: View, points: np.ndarray) -> np.ndarray:
    """(N,) world z that a hand camera measures at points; the points' own where it does not.

    See ``random_roi``: the same rule for many points.
    """
    rotation, origin = view.world_T_camera[:3, :3], view.world_T_camera[:3, 3]
    local = (points - origin) @ rotation
    rows, cols = view.depth.shape
    ahead = local[:, 2] > 1e-3
    scaled = np.where(ahead[:, None], local, (0.0, 0.0, 1.0))
    uv = np.rint(project(view.intrinsics, scaled)).astype(int)
    inside = ahead & (uv >= 0).all(1) & (uv[:, 0] < cols) & (uv[:, 1] < rows)
    offset = np.arange(-2, 3)
    v, u = uv[:, 1, None, None] + offset[:, None], uv[:, 0, None, None] + offset
    known = inside[:, None, None] & (v >= 0) & (v < rows) & (u >= 0) & (u < cols)
    depth = view.depth[np.clip(v, 0, rows - 1), np.clip(u, 0, cols - 1)]
    nearest = np.maximum(local[:, 2] - OCCLUSION, 0.0)[:, None, None]
    known &= np.isfinite(depth) & (depth > nearest)
    middle = known_median(np.where(known, depth, np.nan).reshape(len(points), -1))
    reached = origin[2] + (scaled / scaled[:, 2:] * middle[:, None]) @ rotation[2]
    return np.where(np.isfinite(middle), np.maximum(reached, 0.0), points[:, 2])


def known_median(values: np.ndarray) -> np.ndarray:
    """(N,) median of what is not NaN in each row of (N, K); NaN where nothing is."""
    ordered = np.sort(values, axis=1)  # NaN comes last
    count = np.isfinite(ordered).sum(axis=1)
    row = np.arange(len(ordered))
    low = ordered[row, np.maximum(count - 1, 0) // 2]
    high = ordered[row, np.minimum(count // 2, ordered.shape[1] - 1)]
    return (low + high) / 2
