"""Patches: a camera's image seen through a horizontal window around a grasp.

The image is warped by the homography between its plane and the horizontal plane
at the height of the surface under the grasp. For a camera that looks straight
down this is the square image window of Pinto and Gupta (2016), section III-B;
for a tilted one it makes lengths and angles in that plane true as well.

A window has row = y and column = x, as heightmaps have: world angles, about +z,
run from its column axis to its row axis. Colour is the camera's; height is that
of the seen surface above the window's plane [m], NaN where nothing was measured
or the image ends (colour is black there).

Patches are cut in two ways, which agree: from a view (:func:`cut_windows`), and
from a stored crop, turned, shifted and resized (:func:`cut_patches`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import EmptyObservation, InvalidImage
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.types import Candidate, Heightmap, Observation, View

NEAREST = 0.02
"""Least distance of a window from the camera's own plane [m]."""

SURFACE_RADIUS = 2
"""The surface at a point is the median of so many cells to each side."""


@dataclass(frozen=True)
class Crop:
    """What a camera saw of a window.

    Attributes:
        color: (P, P, 3) uint8 RGB; black outside of the image.
        height: (P, P) float32 [m] above the window's plane, NaN where unknown.
        side: Of the window [m].
        center: (x, y, z) of its middle in the world [m].
        view: Name of the camera.
    """

    color: np.ndarray
    height: np.ndarray
    side: float
    center: tuple[float, float, float]
    view: str


def surface_height(
    heightmap: Heightmap, x: np.ndarray | float, y: np.ndarray | float
) -> np.ndarray:
    """Height of the surface at points [m]: what a window's plane is laid through.

    The median of the valid ones among 5 x 5 cells around each point; where none is
    valid, among as many in a neighbourhood three and then nine times as large.

    Args:
        heightmap: Of the workspace.
        x: World x, any shape [m].
        y: World y, likewise [m].

    Returns:
        World z, of the same shape; 0 (the table) where nothing is valid near.
    """
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    pixels = geometry.point_to_pixel(heightmap.workspace, x.ravel(), y.ravel())
    found = np.zeros(len(pixels))
    left = np.arange(len(pixels))
    rows, cols = heightmap.height.shape
    for factor in (1, 3, 9):
        if not len(left):
            break
        steps = np.arange(-SURFACE_RADIUS, SURFACE_RADIUS + 1) * factor
        row = pixels[left, 0, None, None] + steps[:, None]
        col = pixels[left, 1, None, None] + steps[None, :]
        inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
        row, col = np.clip(row, 0, rows - 1), np.clip(col, 0, cols - 1)
        valid = (inside & heightmap.valid[row, col]).reshape(len(left), -1)
        heights = np.where(valid, heightmap.height[row, col].reshape(len(left), -1), np.nan)
        some = valid.any(axis=1)
        found[left[some]] = np.nanmedian(heights[some], axis=1)
        left = left[~some]
    return found.reshape(x.shape)


def window_homographies(
    view: View, centers: np.ndarray, side: float, pixels: int, angles: np.ndarray | float = 0.0
) -> np.ndarray:
    """The (N, 3, 3) homographies from windows' pixels to the image's.

    Pixel (column c, row r) of a window lies at the window's own coordinates
    ((c + 0.5) / pixels - 0.5) * side along its column axis, and likewise for rows.

    Args:
        view: Its intrinsics and pose.
        centers: (N, 3) middles of the windows in the world [m].
        side: Of each window [m].
        pixels: Rows and columns of each window.
        angles: (N,) or one for all: of a window's column axis about the world's +z [rad].

    Raises:
        InvalidImage: If a part of a window does not lie before the camera.
    """
    centers = np.asarray(centers, float).reshape(-1, 3)
    angles = np.broadcast_to(np.asarray(angles, float), (len(centers),))
    camera_T_world = geometry.inverse(view.world_T_camera)
    c, s = np.cos(angles), np.sin(angles)
    step, first = side / pixels, (0.5 / pixels - 0.5) * side
    # (column, row, 1) -> a point of the window in the world, (x, y, z).
    plane = np.zeros((len(centers), 3, 3))
    plane[:, 0, 0], plane[:, 0, 1] = c * step, -s * step
    plane[:, 1, 0], plane[:, 1, 1] = s * step, c * step
    plane[:, :, 2] = centers
    plane[:, 0, 2] += first * (c - s)
    plane[:, 1, 2] += first * (s + c)
    seen = camera_T_world[:3, :3] @ plane
    seen[:, :, 2] += camera_T_world[:3, 3]
    corners = np.array([[i, j, 1.0] for i in (0, pixels) for j in (0, pixels)])
    behind = (seen[:, 2] @ corners.T).min(axis=1) < NEAREST
    if behind.any():
        raise InvalidImage(
            f"a window of {side:.3f} m around {np.round(centers[behind][0], 3)} does not lie "
            f"before camera {view.camera!r}: check world_T_camera (frame: optical, z forward)"
        )
    return view.intrinsics @ seen


def cut_windows(
    view: View,
    centers: np.ndarray,
    side: float,
    pixels: int,
    angles: np.ndarray | float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Many windows out of one view.

    Args:
        view: The picture.
        centers: (N, 3) middles in the world, z being the plane's height [m].
        side: Of each window [m].
        pixels: Rows and columns of each window.
        angles: (N,) or one for all: of a window's column axis about +z [rad].

    Returns:
        (N, P, P, 3) uint8 colour and (N, P, P) float32 height [m].

    Raises:
        InvalidImage: If a window does not lie before the camera.
    """
    centers = np.asarray(centers, float).reshape(-1, 3)
    fine = _shrunk(view, side / pixels)
    color = np.empty((len(centers), pixels, pixels, 3), np.uint8)
    height = np.empty((len(centers), pixels, pixels), np.float32)
    to_ray = np.linalg.inv(view.intrinsics)
    up = view.world_T_camera[2, :3] @ to_ray  # world z gained per metre of depth, at a pixel
    grid = np.stack(np.meshgrid(np.arange(pixels), np.arange(pixels)), -1).astype(float)
    fine_warps = window_homographies(fine, centers, side, pixels, angles)
    warps = window_homographies(view, centers, side, pixels, angles)
    for index, center in enumerate(centers):
        cv2.warpPerspective(
            fine.color,
            fine_warps[index],
            (pixels, pixels),
            dst=color[index],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        warp = warps[index]
        depth = cv2.warpPerspective(
            view.depth, warp, (pixels, pixels), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        )
        # The ray's slope is linear in the image's pixels, so its numerator and
        # denominator are linear in the window's.
        top, bottom = up @ warp, warp[2]
        slope = (grid @ top[:2] + top[2]) / (grid @ bottom[:2] + bottom[2])
        known = np.isfinite(depth) & (depth > 0)
        z = view.world_T_camera[2, 3] + depth * slope
        height[index] = np.where(known, z - center[2], np.nan)
    return color, height


def cut_crop(view: View, center: Sequence[float] | np.ndarray, sizes: PatchGeometry) -> Crop:
    """One crop out of a view, its axes along the world's.

    Raises:
        InvalidImage: If it does not lie before the camera.
    """
    x, y, z = (float(value) for value in center)
    color, height = cut_windows(view, np.array([[x, y, z]]), sizes.crop_side, sizes.crop_pixels)
    return Crop(color[0], height[0], sizes.crop_side, (x, y, z), view.camera)


def candidate_view(observation: Observation, candidate: Candidate) -> View:
    """The view that a candidate is judged in: its own, or the only (overhead) one.

    Raises:
        EmptyObservation: If the observation has no view.
    """
    if candidate.view in observation.views:
        return observation.views[candidate.view]
    if not observation.views:
        raise EmptyObservation(
            f"observation {observation.id!r} holds no view to cut a patch from; record the "
            "cameras' views with it"
        )
    return next(iter(observation.views.values()))


def candidate_crop(observation: Observation, candidate: Candidate, sizes: PatchGeometry) -> Crop:
    """The crop around a candidate, out of the view it was inferred from.

    Raises:
        EmptyObservation: If there is no view, or no heightmap for the plane's height.
        InvalidImage: If the window does not lie before the camera.
    """
    if observation.heightmap is None:
        raise EmptyObservation(
            f"observation {observation.id!r} has no heightmap, which says how high the surface "
            "under a grasp lies"
        )
    x, y = (float(value) for value in candidate.pose[:2, 3])
    z = float(surface_height(observation.heightmap, x, y))
    return cut_crop(candidate_view(observation, candidate), (x, y, z), sizes)


def cut_patches(
    color: np.ndarray,
    height: np.ndarray,
    sizes: PatchGeometry,
    pixels: int,
    angles: np.ndarray | float = 0.0,
    shifts: np.ndarray | float = 0.0,
    side: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Patches out of crops, each turned, shifted and resized.

    A patch cut at ``angle`` has its column axis along that world angle: a grasp
    at world angle t appears in it at t - angle.

    Args:
        color: (N, C, C, 3) uint8 crops.
        height: (N, C, C) float32 [m], NaN where unknown.
        sizes: Of the crops.
        pixels: Rows and columns of the patches.
        angles: (N,) or one for all [rad].
        shifts: (N, 2) or one for all: of the patch's middle from the crop's, (x, y)
            in the world's axes [m].
        side: Of the patches [m]; the geometry's patch side where 0.

    Returns:
        (N, P, P, 3) uint8 and (N, P, P) float32; black and NaN outside of the crop.
    """
    side = side or sizes.patch_side
    angles = np.broadcast_to(np.asarray(angles, float), (len(color),))
    shifts = np.broadcast_to(np.asarray(shifts, float), (len(color), 2))
    crop = color.shape[1]
    per_pixel = side / pixels * crop / sizes.crop_side  # crop pixels a patch pixel
    patches = np.empty((len(color), pixels, pixels, 3), np.uint8)
    heights = np.empty((len(color), pixels, pixels), np.float32)
    factor = max(1, int(per_pixel / 1.4))  # averaged first where it shrinks
    for index in range(len(color)):
        source = color[index]
        if factor > 1:
            small = round(crop / factor)
            source = cv2.resize(source, (small, small), interpolation=cv2.INTER_AREA)
        affine = _affine(angles[index], shifts[index], side, pixels, len(source), sizes.crop_side)
        cv2.warpAffine(
            source,
            affine,
            (pixels, pixels),
            dst=patches[index],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        affine = _affine(angles[index], shifts[index], side, pixels, crop, sizes.crop_side)
        # Nearest: a mean over an edge, or over a hole, would be a height that nothing has.
        heights[index] = cv2.warpAffine(
            height[index],
            affine,
            (pixels, pixels),
            flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
            borderValue=float("nan"),
        )
    return patches, heights


def _affine(
    angle: float, shift: np.ndarray, side: float, pixels: int, crop: int, crop_side: float
) -> np.ndarray:
    """2 x 3: pixels of a patch to pixels of its crop."""
    scale = crop / crop_side  # pixels a metre
    step, first = side / pixels, (0.5 / pixels - 0.5) * side
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    origin = turn @ np.array([first, first]) + shift
    return np.column_stack([turn * step * scale, origin * scale + crop / 2 - 0.5])


def _shrunk(view: View, step: float) -> View:
    """The view's colour at about the resolution of windows with ``step`` metres a pixel.

    Interpolation alone would alias where a window's pixel covers several of the
    image's. The distance counts that the camera has to the table along its axis,
    so that a view is always treated alike; depth is left as it is.
    """
    down = -view.world_T_camera[2, 2]
    distance = view.world_T_camera[2, 3] / max(down, 0.1)
    factor = int(view.intrinsics[0, 0] / max(distance, NEAREST) * step / 1.4)
    if factor < 2:
        return view
    rows, cols = view.color.shape[0] // factor, view.color.shape[1] // factor
    color = cv2.resize(
        view.color[: rows * factor, : cols * factor], (cols, rows), interpolation=cv2.INTER_AREA
    )
    intrinsics = view.intrinsics.astype(float).copy()
    intrinsics[:2] /= factor
    intrinsics[:2, 2] += 0.5 / factor - 0.5
    return replace(view, color=color, intrinsics=intrinsics)
