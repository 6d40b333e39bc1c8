"""What the networks are shown of a heightmap, and what is worth being looked at in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from selfgrasp_nodes.errors import InvalidImage
from selfgrasp_nodes.policies.surface import clean_height
from selfgrasp_nodes.types import Heightmap

CELLS = 224
"""Rows and columns of the heightmap (Zeng 2018, section V-A)."""

RESOLUTION = 0.002
"""Edge of one of its cells [m]."""

OBJECT_HEIGHT = 0.01
"""What is lower is table [m]."""

LINE_CELLS = 12
"""A thin line of so many cells, that touches nothing else, is an object."""

FINGERS_RADIUS = 0.01
"""Half the width of the closed fingers, as the reference takes it [m]."""


@dataclass(frozen=True, eq=False)
class State:
    """A heightmap without holes of one cell; row = y, column = x.

    Attributes:
        height: (224, 224) float32 above the table [m]; 0 where nothing was measured.
        known: (224, 224) bool, whether something was measured there, or all around.
        color: (224, 224, 3) uint8 RGB.
    """

    height: np.ndarray
    known: np.ndarray
    color: np.ndarray

    @cached_property
    def base(self) -> np.ndarray:
        """(224, 224) float32 highest point under the closed fingers at each cell [m]."""
        size = 2 * round(FINGERS_RADIUS / RESOLUTION) + 1
        return cv2.dilate(self.height, np.ones((size, size), np.uint8))

    @cached_property
    def occupied(self) -> np.ndarray:
        """(224, 224) bool, where an object stands.

        Noise is lone cells, and lines of one or two cells along edges. Of an object that turns
        a slope away from the camera such a line may be all that is seen: long ones that
        touch nothing else count.
        """
        tall = (self.height > OBJECT_HEIGHT).astype(np.uint8)
        solid = cv2.morphologyEx(tall, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).astype(bool)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(tall, connectivity=8)
        line = stats[:, cv2.CC_STAT_AREA] >= LINE_CELLS
        line[np.unique(labels[solid])] = False
        line[0] = False
        return solid | line[labels]

    @property
    def empty(self) -> bool:
        """Whether no object is seen."""
        return not self.occupied.any()


def make_state(heightmap: Heightmap) -> State:
    """What the networks see of a heightmap.

    Raises:
        InvalidImage: If it has another size or resolution than the networks take,
            or its planes do not fit each other, or a height is NaN or infinite.
    """
    resolution = heightmap.workspace.resolution
    shape = heightmap.height.shape
    if shape != (CELLS, CELLS) or abs(resolution - RESOLUTION) > 1e-6:
        raise InvalidImage(
            f"policy 'pixelq' takes heightmaps of {CELLS} x {CELLS} cells of {RESOLUTION * 1e3:g} "
            f"mm, not {' x '.join(map(str, shape))} cells of {resolution * 1e3:g} mm: set "
            f"workspace.size to {CELLS * RESOLUTION:g} m and workspace.resolution to "
            f"{RESOLUTION:g} m in the robot's description"
        )
    if heightmap.valid.shape != shape or heightmap.color.shape != (*shape, 3):
        raise InvalidImage(
            f"the heightmap's planes differ in size: height {shape}, validity "
            f"{heightmap.valid.shape}, colour {heightmap.color.shape}"
        )
    if not np.isfinite(heightmap.height).all():
        raise InvalidImage(
            "the heightmap holds NaN or infinity; mark such cells as not valid and set their "
            "height to 0"
        )
    kernel = np.ones((3, 3), np.uint8)
    known = cv2.morphologyEx(heightmap.valid.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    color = heightmap.color
    holes = (known > 0) & ~heightmap.valid
    if holes.any():
        color = np.where(holes[..., None], cv2.dilate(color, kernel), color)
    return State(clean_height(heightmap), known.astype(bool), np.ascontiguousarray(color))
