"""Candidates as lines in the world, for pictures and markers alike."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from selfgrasp_nodes.perception.pixels import world_to_pixel
from selfgrasp_nodes.types import Candidate, Primitive, View

BEST = (255, 40, 90)
"""RGB of the best candidate."""

OTHER = (255, 190, 60)
"""RGB of the others."""


def glyph(candidate: Candidate, finger: float = 0.022) -> list[np.ndarray]:
    """World polylines of a candidate, each (N, 3) [m].

    Args:
        candidate: A grasp becomes a jaw: the closing line, ``width`` long,
            with a finger across each of its ends. A push becomes an arrow
            along its stroke.
        finger: Width of a finger, or of the arrow's head [m].
    """
    tcp = candidate.pose[:3, 3]
    across, closing = candidate.pose[:3, 0], candidate.pose[:3, 1]
    if candidate.primitive == Primitive.PUSH:
        stroke = np.array([np.cos(candidate.angle), np.sin(candidate.angle), 0.0])
        side = np.array([-stroke[1], stroke[0], 0.0])
        tip = tcp + candidate.push_length * stroke
        neck = tip - 0.6 * finger * stroke
        head = np.array([neck + side * finger / 2, tip, neck - side * finger / 2])
        return [np.array([tcp, tip]), head]
    left, right = (tcp + sign * closing * candidate.width / 2 for sign in (-1, 1))
    half = across * finger / 2
    return [
        np.array([left, right]),
        np.array([left - half, left + half]),
        np.array([right - half, right + half]),
    ]


def overlay(
    view: View, candidates: Sequence[Candidate], most: int = 10, color: np.ndarray | None = None
) -> np.ndarray:
    """The view's picture with its best candidates drawn where they are.

    Args:
        view: Camera, pose and picture.
        candidates: Ranked, best first.
        most: How many to draw.
        color: (H, W, 3) uint8 RGB to draw on instead of the view's own.

    Returns:
        A new (H, W, 3) uint8 RGB image; the best candidate lies on top.
    """
    image = np.array(view.color if color is None else color)
    thin = max(1, round(image.shape[1] / 640))
    for rank, candidate in reversed(list(enumerate(candidates[:most]))):
        for line in glyph(candidate):
            pixels = world_to_pixel(view, line)
            if not np.isfinite(pixels).all() or np.abs(pixels).max() > 1e5:
                continue  # behind the camera, or far off the picture
            points = [np.rint(pixels * 8).astype(np.int32)]  # 1/8 pixel: shift=3
            for paint, width in (((0, 0, 0), 2), (OTHER if rank else BEST, 0)):
                thick = (2 if rank else 3) * thin + width
                cv2.polylines(image, points, False, paint, thick, cv2.LINE_AA, 3)
    return image
