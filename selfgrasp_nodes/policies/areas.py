"""Regions of interest of a camera's image as cells of the heightmap.

A region is a patch of pixels; a cell belongs to it if its highest point, as
measured, is seen in that patch. On cells a region has metric size, whatever the
camera's perspective does to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from selfgrasp_nodes.errors import EmptyObservation, NotReady
from selfgrasp_nodes.geometry import pixel_to_point, project
from selfgrasp_nodes.types import Heightmap, Observation, Region, Regions


@dataclass(frozen=True)
class Area:
    """The cells of one region.

    Attributes:
        region: That it comes from.
        pixels: (N, 2) int row, column in the heightmap.
        points: (N, 3) world x, y, z of their surface [m].
    """

    region: Region
    pixels: np.ndarray
    points: np.ndarray


def region_areas(observation: Observation, heightmap: Heightmap, policy: str) -> list[Area]:
    """All regions that have cells in the workspace, in the regions' order.

    Args:
        observation: With regions and the view that they were found in.
        heightmap: Of the workspace.
        policy: Name for messages.

    Raises:
        NotReady: If there are no regions, or the empty table has not been learnt.
        EmptyObservation: If the arm was in the picture, or the regions' camera's
            view is missing.
    """
    regions = observation.regions
    if regions is None:
        raise NotReady(
            f"policy {policy!r} needs regions of interest and observation {observation.id!r} has "
            "none; start background subtraction (the roi node)"
        )
    if not regions.background_ready:
        raise NotReady(
            f"policy {policy!r} needs regions of interest: clear the table and let background "
            "subtraction capture it first (service capture_background)"
        )
    if regions.arm_in_view:
        raise EmptyObservation(
            f"the arm was in view of camera {regions.camera!r} in observation "
            f"{observation.id!r}, so that it has no regions; observe again with the arm away"
        )
    view = observation.views.get(regions.camera)
    if view is None:
        raise EmptyObservation(
            f"the regions of observation {observation.id!r} lie in camera {regions.camera!r}, "
            f"whose view is not in it; it has: {', '.join(sorted(observation.views)) or '(none)'}"
        )
    if not regions.regions:
        return []
    pixels = np.argwhere(heightmap.valid)
    points = np.empty((len(pixels), 3))
    points[:, :2] = pixel_to_point(heightmap.workspace, pixels[:, 0], pixels[:, 1])
    points[:, 2] = heightmap.height[pixels[:, 0], pixels[:, 1]]
    rotation, origin = view.world_T_camera[:3, :3], view.world_T_camera[:3, 3]
    local = (points - origin) @ rotation
    ahead = local[:, 2] > 1e-3
    pixels, points, local = pixels[ahead], points[ahead], local[ahead]
    u, v = np.rint(project(view.intrinsics, local)).astype(np.int64).T
    rows, cols = regions.mask.shape
    inside = (u >= 0) & (u < cols) & (v >= 0) & (v < rows)
    pixels, points, u, v = pixels[inside], points[inside], u[inside], v[inside]
    areas = []
    for region in regions.regions:
        mine = region_mask(regions, region)[v, u]
        if mine.any():
            areas.append(Area(region, pixels[mine], points[mine]))
    return areas


def region_mask(regions: Regions, region: Region) -> np.ndarray:
    """(H, W) bool: foreground inside the region's outline."""
    filled = np.zeros(regions.mask.shape, np.uint8)
    cv2.fillPoly(filled, [np.asarray(region.outline, np.int32).reshape(-1, 1, 2)], 1)
    return filled.astype(bool) & regions.mask.astype(bool)
