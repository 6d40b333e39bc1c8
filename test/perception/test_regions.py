from __future__ import annotations

import numpy as np
import pytest

from bench.boxes import INTRINSICS, OBLIQUE, TABLE_COLOR, WORKSPACE, Box, cast, noisy
from selfgrasp_nodes.errors import EmptyObservation, InvalidConfig, InvalidImage
from selfgrasp_nodes.perception.pixels import workspace_mask
from selfgrasp_nodes.perception.regions import BackgroundModel, RegionOptions

BOXES = [
    Box((-0.6, 0.1), (0.05, 0.05, 0.05), color=(200, 40, 40)),
    Box((-0.4, -0.1), (0.1, 0.05, 0.05), 0.7, color=(40, 60, 200)),
    Box((-0.58, -0.08), (0.03, 0.03, 0.03), color=(30, 160, 60)),
]
WITHIN = workspace_mask(INTRINSICS, OBLIQUE, WORKSPACE, (480, 640), height=0.12)


@pytest.fixture(scope="module")
def empties():
    table = cast([])
    return [noisy(table, seed) for seed in range(10)]


@pytest.fixture()
def model(empties):
    model = BackgroundModel()
    model.learn_empty([view.color for view in empties])
    return model


def covered(regions, boxes):
    """Share of each box's pixels that lies in the regions' mask."""
    return [regions.mask[(cast(boxes).color == box.color).all(axis=2)].mean() for box in boxes]


def test_each_separate_object_is_one_region(model):
    view = noisy(cast(BOXES), 77)
    found = model.regions(view.color, "overhead", within=WITHIN)
    assert found.background_ready and not found.arm_in_view and found.camera == "overhead"
    assert len(found.regions) == 3
    assert min(covered(found, BOXES)) > 0.97
    truth = (cast(BOXES).color != TABLE_COLOR).any(axis=2)
    assert (found.mask & ~truth).sum() < 0.02 * truth.sum()
    assert [region.id for region in found.regions] == [0, 1, 2]
    areas = [region.area for region in found.regions]
    assert areas == sorted(areas, reverse=True) and sum(areas) == found.mask.sum()
    assert found.regions[0].score == 1 and all(0 < r.score <= 1 for r in found.regions)
    for region in found.regions:
        x, y, w, h = region.box
        assert (region.outline.min(axis=0) == (x, y)).all()
        assert (region.outline.max(axis=0) == (x + w - 1, y + h - 1)).all()


def test_the_empty_table_has_no_regions(model):
    for seed in range(100, 105):
        found = model.regions(noisy(cast([]), seed).color, "overhead", within=WITHIN)
        assert found.regions == () and not found.mask.any()


def test_before_the_table_was_learnt():
    model = BackgroundModel()
    color = cast(BOXES).color
    found = model.regions(color, "overhead")
    assert not found.background_ready and found.regions == () and not model.ready
    model.adapt(color)
    assert not model.ready
    with pytest.raises(EmptyObservation, match="learn_empty"):
        model.foreground(color)
    with pytest.raises(EmptyObservation, match="capture"):
        model.learn_empty([])


def test_frames_with_the_arm_are_left_out(model):
    reaching = [*BOXES, Box((-0.2, 0.0), (0.6, 0.08, 0.05), bottom=0.1, color=(90, 90, 95))]
    view = noisy(cast(reaching), 5)
    asked = model.regions(view.color, "overhead", within=WITHIN)
    assert asked.arm_in_view and asked.regions == () and not asked.mask.any()
    told = model.regions(noisy(cast(BOXES), 5).color, "overhead", arm_in_view=True)
    assert told.arm_in_view and told.regions == ()
    overruled = model.regions(view.color, "overhead", within=WITHIN, arm_in_view=False)
    assert not overruled.arm_in_view and overruled.regions


def test_a_tall_object_at_the_far_border_is_not_an_arm(model):
    tall = [Box((-0.3, y), (0.05, 0.05, 0.1), color=(200, 40, 40)) for y in (-0.18, 0.0, 0.18)]
    found = model.regions(noisy(cast(tall), 5).color, "overhead", within=WITHIN)
    assert not found.arm_in_view and len(found.regions) == 3


def test_adapts_to_slow_light_but_never_learns_an_object(model):
    rng = np.random.default_rng(0)
    view = cast(BOXES)
    for step in range(40):
        light = 1 + 0.15 * step / 40
        color = np.clip(view.color * light + rng.normal(0, 2, view.color.shape), 0, 255)
        model.adapt(color.astype(np.uint8))
    last = color.astype(np.uint8)
    found = model.regions(last, "overhead", within=WITHIN)
    assert len(found.regions) == 3 and min(covered(found, BOXES)) > 0.95
    frozen = BackgroundModel()
    frozen.learn_empty([noisy(cast([]), seed).color for seed in range(10)])
    assert frozen.foreground(last).mean() > 0.5, "without adapting, the light is foreground"


def test_adapt_leaves_out_frames_with_the_arm(model):
    before = model.background.copy()
    model.adapt(np.full_like(before, 255), arm_in_view=True)
    np.testing.assert_array_equal(model.background, before)


def test_depth_finds_what_has_the_tables_colour(empties):
    model = BackgroundModel()
    model.learn_empty([v.color for v in empties], [v.depth for v in empties])
    boxes = [*BOXES, Box((-0.45, 0.12), (0.05, 0.05, 0.05), color=TABLE_COLOR)]
    view = noisy(cast(boxes), 3)
    plain = model.regions(view.color, "overhead", within=WITHIN)
    both = model.regions(view.color, "overhead", within=WITHIN, depth=view.depth)
    assert len(plain.regions) == 3 and len(both.regions) == 4
    empty = noisy(cast([]), 9)
    assert model.regions(empty.color, "overhead", within=WITHIN, depth=empty.depth).regions == ()


def test_shadows_are_no_regions_where_asked(empties):
    view = cast(BOXES).color.astype(float)
    view[250:290, 300:340] *= 0.7
    shaded = np.clip(view, 0, 255).astype(np.uint8)
    counts = []
    for shadows in (False, True):
        model = BackgroundModel(RegionOptions(shadows=shadows))
        model.learn_empty([v.color for v in empties])
        counts.append(len(model.regions(shaded, "overhead", within=WITHIN).regions))
    assert counts[1] < counts[0]


def test_learning_again_forgets(model):
    model.learn_empty([noisy(cast(BOXES), seed).color for seed in range(5)])
    found = model.regions(noisy(cast(BOXES), 50).color, "overhead", within=WITHIN)
    assert found.regions == ()


def test_pictures_that_do_not_fit_are_refused(model):
    with pytest.raises(InvalidImage, match=r"320x240.*640x480.*learn"):
        model.regions(np.zeros((240, 320, 3), np.uint8), "overhead")
    with pytest.raises(InvalidImage, match="RGB"):
        model.regions(np.zeros((480, 640), np.uint8), "overhead")
    color = cast([]).color
    with pytest.raises(InvalidImage, match="learn"):
        model.learn_empty([color, color[:100]])
    with pytest.raises(InvalidImage, match="align"):
        model.learn_empty([color], [np.ones((10, 10), np.float32)])
    model.learn_empty([color], [np.ones((480, 640), np.float32)])
    with pytest.raises(InvalidImage, match="align"):
        model.foreground(color, np.ones((10, 10), np.float32))


@pytest.mark.parametrize(
    "bad", [{"threshold": 0}, {"min_area": -1}, {"adapt_rate": 2.0}, {"opening": -1}]
)
def test_bad_options_are_refused(bad):
    with pytest.raises(InvalidConfig, match=next(iter(bad))):
        RegionOptions(**bad)
