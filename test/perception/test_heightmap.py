from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from bench.boxes import (
    INTRINSICS,
    OBLIQUE,
    TABLE_COLOR,
    WORKSPACE,
    Box,
    cast,
    noisy,
    overhead,
    random_boxes,
)
from bench.heightmap import plain_heightmap
from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import EmptyObservation, InvalidImage
from selfgrasp_nodes.perception.heightmap import build_heightmap
from selfgrasp_nodes.types import View, Workspace


def height_at(heightmap, x, y):
    row, col = geometry.point_to_pixel(heightmap.workspace, x, y)
    assert heightmap.valid[row, col]
    return heightmap.height[row, col], tuple(heightmap.color[row, col])


@pytest.mark.parametrize("pose", [OBLIQUE, overhead(), overhead((-0.6, 0.1), 0.6)])
def test_known_boxes_give_their_heights_and_colours(pose):
    boxes = [
        Box((-0.60, 0.10), (0.05, 0.05, 0.05), 0.3, (255, 0, 0)),
        Box((-0.42, -0.12), (0.10, 0.05, 0.025), 1.2, (0, 255, 0)),
        Box((-0.40, 0.15), (0.05, 0.05, 0.10), 0.0, (0, 0, 255)),
    ]
    heightmap = build_heightmap([cast(boxes, pose)], WORKSPACE)
    assert heightmap.height.shape == heightmap.valid.shape == (224, 224)
    assert heightmap.height.dtype == np.float32 and heightmap.color.dtype == np.uint8
    for box in boxes:
        height, color = height_at(heightmap, *box.center)
        assert height == pytest.approx(box.size[2], abs=1e-5)
        assert color == box.color
    height, color = height_at(heightmap, -0.5, 0.0)
    assert height == pytest.approx(0, abs=1e-5) and color == TABLE_COLOR
    assert heightmap.height.max() == pytest.approx(0.10, abs=1e-5)


def test_rows_are_y_and_columns_are_x():
    box = Box((-0.7, 0.2), (0.02, 0.02, 0.05))  # small x, large y
    heightmap = build_heightmap([cast([box], overhead())], WORKSPACE)
    rows, cols = np.nonzero(heightmap.height > 0.04)
    assert rows.mean() == pytest.approx((0.2 + 0.224) / 0.002 - 0.5, abs=1)
    assert cols.mean() == pytest.approx((-0.7 + 0.724) / 0.002 - 0.5, abs=1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("pose", [OBLIQUE, overhead((-0.5003, 0.0002))])
def test_equals_the_plain_approach(seed, pose):
    view = noisy(cast(random_boxes(12, seed), pose), seed, sigma=0.002)
    view.depth[::17, ::13] = np.nan
    view.depth[5::19, ::11] = np.inf
    ours, plain = build_heightmap([view], WORKSPACE), plain_heightmap(view, WORKSPACE)
    # Points within 1e-4 of a cell's border may fall on either side of it.
    differ = (np.abs(ours.height - plain.height) > 1e-6) | (ours.valid != plain.valid)
    assert differ.sum() <= 10, "of 50176 cells"
    same = ~differ
    ties = (ours.color != plain.color).any(axis=2) & same
    assert ties.sum() <= 10, "equal heights in one cell may pick either colour"
    assert ours.valid.sum() > 30000


def test_every_point_on_or_off_a_border_exactly_as_the_plain_approach():
    """One point a pixel, each well inside a cell: no tolerance at all."""
    workspace = Workspace((0.0, 0.0), (0.4, 0.4), 0.01)
    rng = np.random.default_rng(3)
    intrinsics = np.array([[100.0, 0, 50], [0, 100.0, 50], [0, 0, 1]])
    view = View(
        "c",
        rng.integers(0, 256, (101, 101, 3), dtype=np.uint8),
        rng.uniform(0.3, 1.5, (101, 101)).astype(np.float32),
        intrinsics,
        overhead((0.0, 0.0), 1.0),
    )
    ours, plain = build_heightmap([view], workspace), plain_heightmap(view, workspace)
    border = np.abs(ours.height - plain.height) > 1e-6
    assert border.sum() == 0
    np.testing.assert_array_equal(ours.valid, plain.valid)


def test_highest_point_wins_whatever_the_order_of_pixels_and_views():
    low = cast([], overhead(), camera="low")
    high = cast([Box((-0.5, 0.0), (0.1, 0.1, 0.08), color=(1, 2, 3))], OBLIQUE, camera="high")
    one, other = build_heightmap([low, high], WORKSPACE), build_heightmap([high, low], WORKSPACE)
    np.testing.assert_array_equal(one.height, other.height)
    assert height_at(one, -0.5, 0.0) == (pytest.approx(0.08, abs=1e-5), (1, 2, 3))
    # Upside down the pixels arrive in the opposite order; the map must not care.
    turned = overhead() @ np.diag([-1.0, -1.0, 1.0, 1.0])
    boxes = random_boxes(8, 1)
    a = build_heightmap([cast(boxes, overhead())], WORKSPACE)
    b = build_heightmap([cast(boxes, turned)], WORKSPACE)
    assert np.mean(np.abs(a.height - b.height) > 1e-4) < 0.01


def test_two_views_see_what_one_cannot():
    boxes = [Box((-0.45, 0.0), (0.05, 0.2, 0.1))]
    oblique, down = cast(boxes, OBLIQUE), cast(boxes, overhead(), camera="down")
    single = build_heightmap([oblique], WORKSPACE)
    both = build_heightmap([oblique, down], WORKSPACE)
    row, col = geometry.point_to_pixel(WORKSPACE, -0.40, 0.0)  # in the box's shadow
    assert not single.valid[row, col] and single.height[row, col] == 0
    assert tuple(single.color[row, col]) == (0, 0, 0)
    assert both.valid[row, col]


def test_limits_below_the_table_counts_as_table_and_too_high_is_dropped():
    workspace = Workspace((0.0, 0.0), (0.2, 0.2), 0.01, height_max=0.3)
    intrinsics = np.array([[100.0, 0, 10], [0, 100.0, 10], [0, 0, 1]])
    for depth, expected in ((1.2, 0.0), (0.9, 0.1), (0.69, None), (1.0, 0.0)):
        view = View(
            "c",
            np.full((21, 21, 3), 7, np.uint8),
            np.full((21, 21), depth, np.float32),
            intrinsics,
            overhead((0.0, 0.0), 1.0),
        )
        if expected is None:
            with pytest.raises(EmptyObservation, match="world_T_camera"):
                build_heightmap([view], workspace)
        else:
            heightmap = build_heightmap([view], workspace)
            assert heightmap.height[heightmap.valid] == pytest.approx(expected, abs=1e-6)


def test_a_camera_that_moves_or_a_workspace_that_changes_is_not_served_from_the_cache():
    boxes = [Box((-0.5, 0.0), (0.05, 0.05, 0.05))]
    wide = Workspace((-0.5, 0.0), (0.6, 0.4), 0.004)
    for height in (0.6, 0.7, 0.8):
        heightmap = build_heightmap([cast(boxes, overhead(height=height))], wide)
        assert heightmap.height.shape == (100, 150)
        assert height_at(heightmap, -0.5, 0.0)[0] == pytest.approx(0.05, abs=1e-5)


def test_pictures_that_are_views_of_other_memory():
    view = cast(random_boxes(5, 0))
    turned = replace(view, color=view.color[..., ::-1], depth=np.asfortranarray(view.depth))
    one, other = build_heightmap([view], WORKSPACE), build_heightmap([turned], WORKSPACE)
    np.testing.assert_array_equal(one.color, other.color[..., ::-1])
    np.testing.assert_array_equal(one.height, other.height)


def test_other_image_sizes_and_double_depth():
    half = INTRINSICS * [[0.5], [0.5], [1]]
    view = cast([Box((-0.5, 0.0), (0.05, 0.05, 0.05))], OBLIQUE, half, (240, 320))
    single = build_heightmap([view], WORKSPACE)
    double = build_heightmap([replace(view, depth=view.depth.astype(float))], WORKSPACE)
    np.testing.assert_array_equal(single.height, double.height)
    assert single.height.max() == pytest.approx(0.05, abs=1e-5)


@pytest.mark.parametrize("value", [np.nan, 0.0, np.inf, -1.0])
def test_blind_depth_says_what_to_do_and_warns_of_nothing(value):
    view = replace(cast([]), depth=np.full((480, 640), value, np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(EmptyObservation, match=r"no valid depth.*'overhead'.*stream"):
            build_heightmap([view], WORKSPACE)
        both = build_heightmap([view, cast([], camera="other")], WORKSPACE)
    assert both.valid.any(), "one blind camera does not blind the other"
    with pytest.raises(EmptyObservation, match="no view"):
        build_heightmap([], WORKSPACE)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"depth": np.ones((240, 320), np.float32)}, "640x480 and depth is 320x240.*align"),
        ({"depth": np.ones((480, 640), np.uint16)}, "to_metres"),
        ({"depth": np.ones((480, 640, 1), np.float32)}, "depth must be"),
        ({"color": np.zeros((480, 640), np.uint8)}, "to_rgb"),
        ({"color": np.zeros((480, 640, 3), np.float32)}, "colour must be"),
        ({"intrinsics": np.zeros((3, 3))}, "uncalibrated"),
        ({"intrinsics": np.full((3, 3), np.nan)}, "pinhole"),
        ({"world_T_camera": np.full((4, 4), np.nan)}, "rigid"),
        ({"world_T_camera": np.diag([2.0, 1, 1, 1])}, "rigid"),
    ],
)
def test_views_that_do_not_fit_are_refused(change, message):
    with pytest.raises(InvalidImage, match=message):
        build_heightmap([replace(cast([]), **change)], WORKSPACE)
