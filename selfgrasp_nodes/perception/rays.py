"""Pixel rays of a pinhole camera, and where they run through the workspace.

A world point seen by pixel (u, v) at depth d is ``o + d * r(u, v)`` with the
camera's centre ``o`` and ``r = R K^-1 (u, v, 1)``. For a camera that stands
still ``r`` never changes, nor does the interval of depths within which the ray
is inside the workspace: both are computed once and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from selfgrasp_nodes.errors import InvalidImage
from selfgrasp_nodes.types import View, Workspace

#: Cameras whose rays are kept: a head camera and two hands, with one to spare.
#: An entry of 640x480 takes 6 MB, one of 1920x1080 takes 41 MB.
CACHED_CAMERAS = 4


@dataclass(frozen=True)
class CellRays:
    """The rays of one camera, in units of heightmap cells; all (H * W,) float32.

    Attributes:
        column: Columns gained for each metre of depth.
        row: Rows gained for each metre of depth.
        height: Metres of world z gained for each metre of depth.
        near: Smallest depth [m] at which the ray is inside the workspace.
        far: Largest; smaller than ``near`` where the ray misses it.
        origin: The camera's centre as (column, row, height).
        top_first: Whether higher points tend to come first in raster order.
    """

    column: np.ndarray
    row: np.ndarray
    height: np.ndarray
    near: np.ndarray
    far: np.ndarray
    origin: tuple[np.float32, np.float32, np.float32]
    top_first: bool


def pixel_rays(
    intrinsics: np.ndarray, world_T_camera: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Directions of all pixels in the world frame, scaled to a depth of 1 m.

    Args:
        intrinsics: 3 x 3 pinhole matrix.
        world_T_camera: 4 x 4 pose of the optical frame.
        shape: (H, W) of the image.

    Returns:
        (H, W, 3) float64; a pixel's world point is ``centre + depth * ray``.
    """
    rotation = np.asarray(world_T_camera, float)[:3, :3]
    u = (np.arange(shape[1]) - intrinsics[0, 2]) / intrinsics[0, 0]
    v = (np.arange(shape[0]) - intrinsics[1, 2]) / intrinsics[1, 1]
    rays = np.empty((3, *shape))  # each axis contiguous: it is worked on axis by axis
    for axis, (right, down, ahead) in enumerate(rotation):
        np.add((u * right + ahead)[None, :], (v * down)[:, None], out=rays[axis])
    return np.moveaxis(rays, 0, -1)


def depth_interval(
    rays: np.ndarray, center: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Depths at which rays enter and leave an axis-aligned box (the slab method).

    Args:
        rays: (..., 3) directions.
        center: (3,) where they start.
        low: (3,) smallest corner; may hold -inf.
        high: (3,) largest corner; may hold inf.

    Returns:
        ``near`` and ``far`` (...,) [m]; ``far < near`` or ``far < 0`` where a
        ray misses the box.
    """
    near, far = np.full(rays.shape[:-1], -np.inf), np.full(rays.shape[:-1], np.inf)
    for axis in range(3):
        along = rays[..., axis]
        # A ray parallel to a slab gets a tiny slope: 0 / 0 would be NaN.
        inverse = 1.0 / np.where(np.abs(along) < 1e-12, 1e-12, along)
        a, b = (low[axis] - center[axis]) * inverse, (high[axis] - center[axis]) * inverse
        np.maximum(near, np.minimum(a, b), out=near)
        np.minimum(far, np.maximum(a, b, out=a), out=far)
    return near, far


def cell_rays(view: View, workspace: Workspace) -> CellRays:
    """The rays of a view's camera over a workspace, from the cache where it was seen before."""
    return _cell_rays(
        np.ascontiguousarray(view.intrinsics, dtype=float).tobytes(),
        np.ascontiguousarray(view.world_T_camera, dtype=float).tobytes(),
        (view.depth.shape[0], view.depth.shape[1]),
        (*workspace.low, *workspace.high),
        workspace.resolution,
        workspace.height_max,
    )


def forget_cameras() -> None:
    """Empty the cache, so that the next call pays what a new camera costs."""
    _cell_rays.cache_clear()


@lru_cache(maxsize=CACHED_CAMERAS)
def _cell_rays(
    intrinsics: bytes,
    pose: bytes,
    shape: tuple[int, int],
    bounds: tuple[float, float, float, float],
    resolution: float,
    height_max: float,
) -> CellRays:
    world_T_camera = np.frombuffer(pose).reshape(4, 4)
    center = world_T_camera[:3, 3]
    rays = pixel_rays(np.frombuffer(intrinsics).reshape(3, 3), world_T_camera, shape)
    # No lower bound: what is measured below the table counts as the table.
    near, far = depth_interval(
        rays,
        center,
        np.array([bounds[0], bounds[1], -np.inf]),
        np.array([bounds[2], bounds[3], height_max]),
    )
    # The interval only picks pixels early; rounding it outwards by a micrometre
    # leaves the decision on points at the border to the exact test later.
    near, far = np.maximum(near - 1e-6, 1e-6), far + 1e-6
    top_first = bool(rays[0, :, 2].mean() > rays[-1, :, 2].mean())

    def flat(values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values, dtype=np.float32).ravel()

    return CellRays(
        column=flat(rays[..., 0] / resolution),
        row=flat(rays[..., 1] / resolution),
        height=flat(rays[..., 2]),
        near=flat(near),
        far=flat(far),
        origin=(
            np.float32((center[0] - bounds[0]) / resolution),
            np.float32((center[1] - bounds[1]) / resolution),
            np.float32(center[2]),
        ),
        top_first=top_first,
    )


def check_view(view: View) -> None:
    """Refuse a view that does not fit together.

    Raises:
        InvalidImage: If colour and depth differ in size, have a wrong type, or
            intrinsics or pose are not usable; the message names the remedy.
    """
    name = f"view of camera {view.camera!r}"
    color, depth = view.color, view.depth
    if color.ndim != 3 or color.shape[2] != 3 or color.dtype != np.uint8:
        raise InvalidImage(
            f"{name}: colour must be (H, W, 3) uint8 RGB, got {color.shape} {color.dtype}; "
            "convert it with perception.images.to_rgb"
        )
    if depth.ndim != 2 or not np.issubdtype(depth.dtype, np.floating):
        raise InvalidImage(
            f"{name}: depth must be (H, W) float metres, got {depth.shape} {depth.dtype}; "
            "convert it with perception.images.to_metres"
        )
    if color.shape[:2] != depth.shape or 0 in depth.shape:
        raise InvalidImage(
            f"{name}: colour is {_size(color)} and depth is {_size(depth)} pixels; subscribe "
            "to the depth image that the driver aligns to colour"
        )
    k = np.asarray(view.intrinsics, float)
    if k.shape != (3, 3) or not np.isfinite(k).all() or k[0, 0] <= 0 or k[1, 1] <= 0:
        raise InvalidImage(
            f"{name}: intrinsics must be a finite 3 x 3 pinhole matrix with positive focal "
            "lengths; an uncalibrated driver publishes zeros in camera_info"
        )
    pose = np.asarray(view.world_T_camera, float)
    rotation = pose[:3, :3]
    if (
        pose.shape != (4, 4)
        or not np.isfinite(pose).all()
        or not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3)
    ):
        raise InvalidImage(
            f"{name}: world_T_camera must be a finite 4 x 4 rigid transform; check the "
            "camera's calibration or its transform to the world frame"
        )


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
