from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bench.boxes import INTRINSICS, OBLIQUE, WORKSPACE, Box, cast, overhead
from selfgrasp_nodes.errors import EmptyObservation, InvalidImage
from selfgrasp_nodes.perception.pixels import (
    pixel_to_world,
    sample_point,
    sample_region,
    workspace_mask,
    world_to_pixel,
)
from selfgrasp_nodes.types import Region

RING = np.array([[10, 20], [30, 20], [30, 60], [10, 60]], np.int32)
REGION = Region(0, (10, 20, 21, 41), RING, 861.0, 1.0)


@pytest.mark.parametrize("pose", [OBLIQUE, overhead()])
def test_workspace_mask_is_the_pixels_whose_table_point_lies_inside(pose):
    mask = workspace_mask(INTRINSICS, pose, WORKSPACE, (480, 640))
    view = cast([], pose)
    rng = np.random.default_rng(0)
    for _ in range(400):
        u, v = int(rng.integers(640)), int(rng.integers(480))
        if view.depth[v, u] > 0:
            x, y, _ = pixel_to_world(view, u, v)
            near_border = not WORKSPACE.contains(x, y, 1e-4) and WORKSPACE.contains(x, y, -1e-4)
            assert near_border or mask[v, u] == WORKSPACE.contains(x, y)


def test_workspace_mask_with_height_holds_objects_at_the_border():
    box = Box((-0.3, 0.0), (0.04, 0.3, 0.1))
    seen = (cast([box]).color == box.color).all(axis=2)
    flat = workspace_mask(INTRINSICS, OBLIQUE, WORKSPACE, (480, 640))
    raised = workspace_mask(INTRINSICS, OBLIQUE, WORKSPACE, (480, 640), height=0.1)
    assert (seen & ~flat).sum() > 100 and not (seen & ~raised).any()
    assert (raised | ~flat).all(), "the raised mask holds the flat one"
    assert not raised.flags.writeable
    away = OBLIQUE.copy()
    away[:3, :3] = away[:3, :3] @ np.diag([1.0, -1.0, -1.0])  # looks the other way
    assert not workspace_mask(INTRINSICS, away, WORKSPACE, (480, 640)).any()


def test_points_and_pixels_round_trip():
    boxes = [Box((-0.5, 0.0), (0.05, 0.05, 0.05)), Box((-0.4, 0.1), (0.1, 0.05, 0.1))]
    view = cast(boxes)
    top = pixel_to_world(view, *np.rint(world_to_pixel(view, [-0.5, 0.0, 0.05])).astype(int))
    np.testing.assert_allclose(top, [-0.5, 0.0, 0.05], atol=1e-3)
    rng = np.random.default_rng(1)
    for _ in range(100):
        u, v = int(rng.integers(640)), int(rng.integers(200, 480))
        point = pixel_to_world(view, u, v)
        assert point[2] > -1e-6
        np.testing.assert_allclose(world_to_pixel(view, point), [u, v], atol=1e-3)
    assert np.isnan(world_to_pixel(view, [-2.0, 0.0, 0.5])).all(), "behind the camera"
    assert world_to_pixel(view, np.zeros((4, 5, 3))).shape == (4, 5, 2)


def test_a_hole_in_the_depth_borrows_from_its_neighbours():
    view = cast([])
    depth = view.depth.copy()
    depth[298:303, 318:323] = 0
    depth[300, 320] = np.nan
    holed = replace(view, depth=depth)
    np.testing.assert_allclose(
        pixel_to_world(holed, 320, 300), pixel_to_world(view, 320, 300), atol=0.005
    )
    with pytest.raises(EmptyObservation, match="choose another"):
        pixel_to_world(holed, 320, 300, radius=1)
    with pytest.raises(InvalidImage, match="outside"):
        pixel_to_world(view, 640, 0)


def test_points_are_uniform_in_a_region():
    rng = np.random.default_rng(2)
    points = np.array([sample_point(REGION, rng) for _ in range(4000)])
    assert (points >= [10, 20]).all() and (points <= [30, 60]).all()
    assert stats.chisquare(np.bincount(points[:, 0] - 10, minlength=21)).pvalue > 1e-3
    assert stats.chisquare(np.bincount(points[:, 1] - 20, minlength=41)).pvalue > 1e-3


def test_a_mask_leaves_out_holes_and_a_region_without_pixels_is_an_error():
    mask = np.zeros((100, 100), bool)
    mask[20:61, 25:31] = True
    rng = np.random.default_rng(3)
    assert all(sample_point(REGION, rng, mask)[0] >= 25 for _ in range(200))
    with pytest.raises(EmptyObservation):
        sample_point(REGION, rng, np.zeros((100, 100), bool))


def test_outlines_that_are_not_convex_and_lines():
    corner = np.array([[0, 0], [40, 0], [40, 4], [4, 4], [4, 40], [0, 40]], np.int32)
    region = Region(0, (0, 0, 41, 41), corner, 0.0, 1.0)
    rng = np.random.default_rng(4)
    for u, v in (sample_point(region, rng) for _ in range(500)):
        assert u <= 4 or v <= 4
    line = Region(0, (3, 7, 5, 1), np.array([[3, 7], [7, 7]], np.int32), 5.0, 1.0)
    assert {sample_point(line, rng) for _ in range(100)} == {(u, 7) for u in range(3, 8)}


def test_regions_are_drawn_evenly_and_none_is_an_error():
    regions = [Region(i, (0, 0, 1, 1), RING, 10.0**i, 1.0) for i in range(4)]
    rng = np.random.default_rng(5)
    counts = np.bincount([sample_region(regions, rng).id for _ in range(2000)])
    assert stats.chisquare(counts).pvalue > 1e-3
    with pytest.raises(EmptyObservation, match="empty"):
        sample_region([], rng)
