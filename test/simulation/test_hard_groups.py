"""The widest arrangements: no group of their blocks fits between the fingers either."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.ndimage import maximum_filter

from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.scenes import Scene, load_scenes

FOLDER = share_dir() / "config" / "scenes"
SIZE = 600
"""Cells of 1 mm along each side of the map."""

STEEP = 0.5
"""Slope of a face against the finger's: more and it slips out."""


def seen_from_above(scene: Scene) -> np.ndarray:
    """(SIZE, SIZE) uint8: where something stands."""
    found = np.zeros((SIZE, SIZE), np.uint8)
    for obj in scene.objects:
        corners = (obj.spec.vertices @ obj.pose[:3, :3].T + obj.pose[:3, 3])[:, :2]
        hull = cv2.convexHull((1e3 * corners + SIZE / 2).astype(np.float32))
        cv2.fillConvexPoly(found, np.rint(hull).astype(np.int32), 1)
    return found


def placements(scene: Scene, directions: int = 24, step: int = 3) -> int:
    """Places of the open hand with both fingers free and something that they would hold."""
    gripper = load_robot("ur5_rg2").arm().gripper
    width, thick, wide = (
        round(1e3 * v) for v in (gripper.width_max, gripper.finger_thickness, gripper.finger_width)
    )
    occupied, count = seen_from_above(scene), 0
    off, half = (width + thick) // 2, wide // 2
    for direction in range(directions):
        turn = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), 180 * direction / directions, 1.0)
        turned = cv2.warpAffine(occupied, turn, (SIZE, SIZE), flags=cv2.INTER_NEAREST)
        blocked = maximum_filter(turned, size=(wide + 1, thick + 1)).astype(bool)
        free = ~np.roll(blocked, -off, 1) & ~np.roll(blocked, off, 1)
        free &= maximum_filter(turned, size=(1, width)).astype(bool)
        free[:, : off + 10] = free[:, -off - 10 :] = False
        for row, col in np.argwhere(free[::step, ::step]) * step:
            between = turned[row - half : row + half + 1, col - width // 2 : col + width // 2 + 1]
            count += holds(between.astype(bool))
    return count


def holds(between: np.ndarray) -> bool:
    """Whether fingers that close along the columns meet faces across them."""
    rows = np.flatnonzero(between.any(1))
    if len(rows) < 15:
        return False
    left = between[rows].argmax(1)
    right = between[rows, ::-1].argmax(1)
    return all(abs(np.polyfit(rows, side, 1)[0]) < STEEP for side in (left, right))


@pytest.mark.parametrize("kind, last", [("dev", 4), ("final", 5)])
def test_no_group_of_the_widest_arrangements_fits_between_the_fingers(kind, last) -> None:
    scenes = load_scenes(FOLDER / f"vpg_hard_{kind}.json")
    for scene in scenes[-last:]:
        assert placements(scene) == 0, scene.name


def test_pairs_of_cubes_and_single_blocks_do() -> None:
    scenes = {scene.name: scene for scene in load_scenes(FOLDER / "vpg_hard_dev.json")}
    assert placements(scenes["four-cubes"]) > 50
    (alone,) = scenes["nine-cubes"].objects[:1]
    assert placements(Scene("one cube", (alone,))) > 1000
