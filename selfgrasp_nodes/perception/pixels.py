"""Between a camera's pixels and the world: samples, masks and points."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import EmptyObservation, InvalidImage
from selfgrasp_nodes.perception.rays import depth_interval, pixel_rays
from selfgrasp_nodes.types import Region, View, Workspace


def workspace_mask(
    intrinsics: np.ndarray,
    world_T_camera: np.ndarray,
    workspace: Workspace,
    shape: tuple[int, int],
    height: float = 0.0,
) -> np.ndarray:
    """Pixels that look at the workspace.

    Args:
        intrinsics: 3 x 3 pinhole matrix.
        world_T_camera: Pose of the optical frame.
        workspace: The rectangle on the table.
        shape: (H, W) of the image.
        height: Count what stands on the table up to this height [m], too: an
            object at the far side rises out of the rectangle in an oblique
            picture.

    Returns:
        (H, W) bool, read-only (it is kept for the next call).
    """
    return _mask(
        np.ascontiguousarray(intrinsics, dtype=float).tobytes(),
        np.ascontiguousarray(world_T_camera, dtype=float).tobytes(),
        (*workspace.low, *workspace.high),
        (shape[0], shape[1]),
        float(height),
    )


@lru_cache(maxsize=8)
def _mask(
    intrinsics: bytes,
    pose: bytes,
    bounds: tuple[float, float, float, float],
    shape: tuple[int, int],
    height: float,
) -> np.ndarray:
    world_T_camera = np.frombuffer(pose).reshape(4, 4)
    rays = pixel_rays(np.frombuffer(intrinsics).reshape(3, 3), world_T_camera, shape)
    near, far = depth_interval(
        rays,
        world_T_camera[:3, 3],
        np.array([bounds[0], bounds[1], 0.0]),
        np.array([bounds[2], bounds[3], height]),
    )
    mask = (near <= far) & (far > 0)
    mask.flags.writeable = False
    return mask


def sample_region(regions: Sequence[Region], rng: np.random.Generator) -> Region:
    """One region, each as likely as the other (Pinto and Gupta 2016, section III).

    Raises:
        EmptyObservation: If there is none.
    """
    if not regions:
        raise EmptyObservation(
            "no region of interest to sample from: the table is empty, or the empty table "
            "was learnt with objects on it"
        )
    return regions[int(rng.integers(len(regions)))]


def sample_point(
    region: Region, rng: np.random.Generator, mask: np.ndarray | None = None
) -> tuple[int, int]:
    """A pixel (u, v) drawn uniformly from inside a region's outline.

    Args:
        region: Where.
        rng: Source of randomness.
        mask: (H, W) bool, e.g. ``Regions.mask``: draw only pixels set in it,
            which leaves out holes inside the outline.

    Raises:
        EmptyObservation: If ``mask`` leaves nothing of the region.
    """
    x, y, w, h = region.box
    inside = np.zeros((h, w), np.uint8)
    cv2.fillPoly(inside, [np.asarray(region.outline, np.int32) - np.array([x, y], np.int32)], 1)
    if mask is not None:
        inside &= mask[y : y + h, x : x + w].astype(np.uint8)
    pixels = np.flatnonzero(inside)
    if not pixels.size:
        raise EmptyObservation(f"region {region.id} has no pixel inside the mask")
    v, u = divmod(int(pixels[rng.integers(pixels.size)]), w)
    return x + u, y + v


def pixel_to_world(view: View, u: int, v: int, radius: int = 5) -> np.ndarray:
    """The world point [m] that a pixel sees.

    Where the pixel itself has no depth, the nearest pixel that has one lends
    its depth.

    Args:
        view: The picture.
        u: Column.
        v: Row.
        radius: How far to look for a valid depth [px].

    Returns:
        (3,) float64.

    Raises:
        InvalidImage: If the pixel lies outside the picture.
        EmptyObservation: If no depth is valid around it.
    """
    h, w = view.depth.shape
    if not (0 <= u < w and 0 <= v < h):
        raise InvalidImage(f"pixel ({u}, {v}) lies outside the {w}x{h} picture of {view.camera!r}")
    top, left = max(v - radius, 0), max(u - radius, 0)
    window = view.depth[top : v + radius + 1, left : u + radius + 1]
    rows, cols = np.nonzero(np.isfinite(window) & (window > 0))
    distance = np.hypot(rows + top - v, cols + left - u)
    if not distance.size or distance.min() > radius:
        raise EmptyObservation(
            f"no valid depth within {radius} pixels of ({u}, {v}) in {view.camera!r}; choose "
            "another point"
        )
    best = int(distance.argmin())
    depth = float(window[rows[best], cols[best]])
    k = view.intrinsics
    point = np.array([(u - k[0, 2]) / k[0, 0] * depth, (v - k[1, 2]) / k[1, 1] * depth, depth])
    return view.world_T_camera[:3, :3] @ point + view.world_T_camera[:3, 3]


def world_to_pixel(view: View, points: np.ndarray) -> np.ndarray:
    """Pixels (u, v) of world points; (..., 3) [m] -> (..., 2) float, NaN behind the camera.

    Inverse of :func:`pixel_to_world`.
    """
    points = np.asarray(points, float)
    camera_T_world = geometry.inverse(view.world_T_camera)
    seen = points @ camera_T_world[:3, :3].T + camera_T_world[:3, 3]
    ahead = seen[..., 2] > 1e-6
    seen = np.where(ahead[..., None], seen, [0.0, 0.0, 1.0])
    return np.where(ahead[..., None], geometry.project(view.intrinsics, seen), np.nan)
