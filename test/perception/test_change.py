from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.boxes import WORKSPACE, Box, cast, noisy, overhead, random_boxes
from selfgrasp_nodes.errors import InvalidConfig, InvalidImage
from selfgrasp_nodes.perception.change import ChangeRule, changed_area
from selfgrasp_nodes.perception.heightmap import build_heightmap
from selfgrasp_nodes.types import Workspace

CELL = 0.002**2


def exact(boxes, pose=None):
    return build_heightmap([cast(boxes, overhead() if pose is None else pose)], WORKSPACE)


def sensed(boxes, seed):
    return build_heightmap([noisy(cast(boxes), seed, sigma=0.0015)], WORKSPACE)


def test_area_of_a_block_that_vanished():
    box = Box((-0.5, 0.0), (0.06, 0.04, 0.05))
    result = changed_area(exact([box]), exact([]))
    assert result.changed
    assert result.area_m2 == pytest.approx(0.06 * 0.04, rel=0.05)
    assert result.pixels == result.mask.sum() == round(result.area_m2 / CELL)


@pytest.mark.parametrize(
    "edge, changed", [(0.032, False), (0.030, False), (0.040, True), (0.05, True)]
)
def test_three_hundred_cells_is_the_limit(edge, changed):
    """300 cells are 12 cm^2, a square of 34.6 mm."""
    assert (
        changed_area(exact([]), exact([Box((-0.5, 0.0), (edge, edge, 0.05))])).changed is changed
    )


def test_height_limits():
    tall = Workspace((-0.5, 0.0), height_max=0.6)
    empty = build_heightmap([cast([], overhead(height=1.0))], tall)
    for height, changed in ((0.008, False), (0.012, True), (0.29, True), (0.31, False)):
        after = build_heightmap(
            [cast([Box((-0.5, 0.0), (0.1, 0.1, height))], overhead(height=1.0))], tall
        )
        assert changed_area(empty, after).changed is changed, height


@pytest.mark.parametrize("seed", range(4))
def test_noise_alone_is_no_change(seed):
    boxes = random_boxes(10, seed)
    result = changed_area(sensed(boxes, 2 * seed), sensed(boxes, 2 * seed + 1))
    assert not result.changed and result.area_m2 < 0.3e-3


def test_the_added_step_is_what_makes_it_robust():
    """Without the opening, edges flicker over an order of magnitude more cells."""
    boxes = random_boxes(10, 3)
    before, after = sensed(boxes, 1), sensed(boxes, 2)
    paper = changed_area(before, after, ChangeRule(opening=0))
    assert paper.pixels > 100 and paper.pixels > 8 * changed_area(before, after).pixels


@pytest.mark.parametrize("shift", [0.03, 0.05, 0.1])
def test_a_pushed_block_is_a_change_through_noise(shift):
    rest = [Box((-0.6, 0.12), (0.05, 0.05, 0.05)), Box((-0.4, 0.12), (0.05, 0.05, 0.1))]
    before = sensed([*rest, Box((-0.5, -0.1), (0.05, 0.05, 0.05))], 1)
    after = sensed([*rest, Box((-0.5 + shift, -0.1), (0.05, 0.05, 0.05))], 2)
    assert changed_area(before, after).changed


def test_what_only_one_map_measured_does_not_count():
    before, after = exact([]), exact([Box((-0.5, 0.0), (0.1, 0.1, 0.05))])
    blind = replace(after, valid=np.zeros_like(after.valid))
    assert changed_area(before, blind).pixels == 0
    assert changed_area(blind, before).pixels == 0


def test_maps_that_do_not_match_are_refused():
    a = exact([])
    other = build_heightmap([cast([], overhead())], Workspace((-0.5, 0.0), (0.4, 0.4)))
    moved = build_heightmap([cast([], overhead())], Workspace((-0.49, 0.0)))
    for b in (other, moved):
        with pytest.raises(InvalidImage, match="same workspace"):
            changed_area(a, b)
    rounded = Workspace((float(np.float32(-0.5)), 0.0), resolution=float(np.float32(0.002)))
    assert not changed_area(a, replace(a, workspace=rounded)).changed


@pytest.mark.parametrize(
    "bad", [{"min_step": 0.4}, {"min_step": 0.0}, {"min_area": -1.0}, {"opening": -1}]
)
def test_contradicting_limits_are_refused(bad):
    with pytest.raises(InvalidConfig):
        ChangeRule(**bad)
