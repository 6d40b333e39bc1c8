"""Boxes on a table, seen by a pinhole camera: analytic ray casting, exact depth.

A scene whose right heightmap is known in closed form, for tests and benchmarks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from selfgrasp_nodes.perception.rays import depth_interval, pixel_rays
from selfgrasp_nodes.types import View, Workspace

WORKSPACE = Workspace(center=(-0.5, 0.0))
INTRINSICS = np.array([[618.62, 0, 320.0], [0, 618.62, 240.0], [0, 0, 1]])
OBLIQUE = np.array(
    [
        [0, -np.sqrt(0.5), np.sqrt(0.5), -1.0],
        [-1, 0, 0, 0.0],
        [0, -np.sqrt(0.5), -np.sqrt(0.5), 0.5],
        [0, 0, 0, 1],
    ]
)
"""VPG's camera: 45 degrees down at the workspace's centre."""

TABLE_COLOR = (120, 110, 100)


@dataclass(frozen=True)
class Box:
    """An upright box that stands on the table, turned about the vertical."""

    center: tuple[float, float]
    size: tuple[float, float, float]
    yaw: float = 0.0
    color: tuple[int, int, int] = (200, 60, 60)
    bottom: float = 0.0


def overhead(center: tuple[float, float] = (-0.5, 0.0), height: float = 0.8) -> np.ndarray:
    """world_T_camera of a camera that looks straight down."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[:3, 3] = (*center, height)
    return pose


def random_boxes(count: int, seed: int) -> list[Box]:
    """Boxes of block size anywhere on the workspace; they may touch and overlap."""
    rng = np.random.default_rng(seed)
    return [
        Box(
            center=(rng.uniform(-0.66, -0.34), rng.uniform(-0.16, 0.16)),
            size=tuple(rng.choice([0.025, 0.05, 0.1], 3)),
            yaw=rng.uniform(0, np.pi),
            color=tuple(int(c) for c in rng.integers(30, 256, 3)),
        )
        for _ in range(count)
    ]


def cast(
    boxes: Sequence[Box],
    world_T_camera: np.ndarray = OBLIQUE,
    intrinsics: np.ndarray = INTRINSICS,
    shape: tuple[int, int] = (480, 640),
    camera: str = "overhead",
) -> View:
    """The exact view of a table (z = 0, unbounded) with boxes on it."""
    rays = pixel_rays(intrinsics, world_T_camera, shape)
    eye = world_T_camera[:3, 3]
    with np.errstate(divide="ignore"):
        depth = np.where(rays[..., 2] < 0, -eye[2] / rays[..., 2], np.inf)
    color = np.empty((*shape, 3), np.uint8)
    color[:] = TABLE_COLOR
    for box in boxes:
        c, s = np.cos(box.yaw), np.sin(box.yaw)
        to_box = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        middle = np.array([*box.center, box.bottom + box.size[2] / 2])
        half = np.asarray(box.size) / 2
        near, far = depth_interval(rays @ to_box.T, to_box @ (eye - middle), -half, half)
        hit = (near <= far) & (near > 0) & (near < depth)
        depth[hit] = near[hit]
        color[hit] = box.color
    depth[~np.isfinite(depth)] = 0
    return View(camera, color, depth.astype(np.float32), intrinsics, world_T_camera)


def noisy(view: View, seed: int, sigma: float = 0.001, holes: float = 0.02) -> View:
    """The view with Gaussian depth noise [m], lost pixels and colour noise."""
    rng = np.random.default_rng(seed)
    depth = view.depth + rng.normal(0, sigma, view.depth.shape).astype(np.float32)
    depth[(rng.random(depth.shape) < holes) | (view.depth == 0)] = 0
    color = np.clip(view.color + rng.normal(0, 3, view.color.shape), 0, 255).astype(np.uint8)
    return View(view.camera, color, depth, view.intrinsics, view.world_T_camera, view.stamp)
