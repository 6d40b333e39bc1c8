"""Did the table change between two observations?

The rule is VPG's (Zeng 2018, reference code): the height must differ by at
least 1 cm and at most 30 cm, in cells that both maps measured, on more than 300
cells of 2 mm (12 cm^2). One step is added: changed cells that form lines of one
or two cells are dropped before they are counted, because along every edge
of an object noise moves the height by its whole step from one picture to the
next. ``opening=0`` gives the paper's count.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from selfgrasp_nodes.errors import InvalidConfig, InvalidImage
from selfgrasp_nodes.geometry import pixel_to_point
from selfgrasp_nodes.types import Heightmap, Workspace


@dataclass(frozen=True)
class ChangeRule:
    """When a table counts as changed.

    Attributes:
        min_step: Smaller differences of height are noise [m].
        max_step: Larger ones are not objects, but the arm or a fault [m].
        min_area: More than this must have changed [m^2].
        opening: Edge of the square that a changed patch must hold, in cells; 0
            counts every cell.
    """

    min_step: float = 0.01
    max_step: float = 0.3
    min_area: float = 300 * 0.002**2
    opening: int = 3

    def __post_init__(self) -> None:
        """Refuse limits that contradict each other."""
        if not 0 < self.min_step < self.max_step:
            raise InvalidConfig(
                f"min_step {self.min_step} must be positive and below max_step {self.max_step}"
            )
        if self.min_area < 0 or self.opening < 0:
            raise InvalidConfig("min_area and opening must not be negative")


@dataclass(frozen=True)
class ChangeResult:
    """What differs between two heightmaps.

    Attributes:
        changed: Whether it counts as a change under the rule.
        area_m2: Area that changed [m^2].
        pixels: The same in cells.
        mask: (rows, cols) bool of the cells that changed.
    """

    changed: bool
    area_m2: float
    pixels: int
    mask: np.ndarray


DEFAULT_RULE = ChangeRule()


def changed_area(
    before: Heightmap, after: Heightmap, rule: ChangeRule = DEFAULT_RULE
) -> ChangeResult:
    """Compare two heightmaps of one workspace.

    Args:
        before: Map before the action.
        after: Map after it, of the same workspace and resolution.
        rule: When it counts as changed.

    Raises:
        InvalidImage: If the maps do not cover the same cells.
    """
    if not _same_cells(before, after):
        raise InvalidImage(
            f"heightmaps of {before.height.shape} and {after.height.shape} cells cover "
            "different workspaces; build both with the same workspace and resolution"
        )
    step = np.abs(after.height - before.height)
    mask = before.valid & after.valid & (step >= rule.min_step) & (step <= rule.max_step)
    if rule.opening > 1:
        square = np.ones((rule.opening, rule.opening), np.uint8)
        mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, square).astype(bool)
    pixels = int(mask.sum())
    area = pixels * before.workspace.resolution**2
    return ChangeResult(area > rule.min_area, area, pixels, mask)


def changed_near(
    result: ChangeResult,
    workspace: Workspace,
    start: np.ndarray,
    end: np.ndarray,
    radius: float = 0.06,
    min_area: float = 1e-4,
) -> bool:
    """Whether the table changed about a stroke.

    Args:
        result: Of :func:`changed_area`.
        workspace: What its maps cover.
        start: (2,) world x, y of the stroke's start [m].
        end: (2,) of its end; the start for a grasp.
        radius: What lies nearer to the stroke counts [m].
        min_area: As much must have changed there [m^2].
    """
    cells = np.argwhere(result.mask)
    if not len(cells):
        return False
    points = pixel_to_point(workspace, cells[:, 0], cells[:, 1])
    along = np.asarray(end, float) - start
    share = (points - start) @ along / max(float(along @ along), 1e-12)
    nearest = start + np.clip(share, 0, 1)[:, None] * along
    near = np.hypot(*(points - nearest).T) <= radius
    return bool(near.sum() * workspace.resolution**2 >= min_area)


def _same_cells(a: Heightmap, b: Heightmap) -> bool:
    """Whether two maps lie on one grid, to a tenth of a cell (messages carry float32)."""
    return a.height.shape == b.height.shape and bool(
        np.allclose(a.workspace.low, b.workspace.low, atol=0.1 * a.workspace.resolution)
        and np.allclose(a.workspace.high, b.workspace.high, atol=0.1 * a.workspace.resolution)
    )
