from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bench.boxes import INTRINSICS, OBLIQUE, WORKSPACE, Box, cast, noisy
from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import UnknownName
from selfgrasp_nodes.perception.draw import decision_picture, save_decision
from selfgrasp_nodes.perception.glyphs import BEST, OTHER, glyph, overlay
from selfgrasp_nodes.perception.heightmap import build_heightmap
from selfgrasp_nodes.perception.pixels import workspace_mask, world_to_pixel
from selfgrasp_nodes.perception.regions import BackgroundModel
from selfgrasp_nodes.types import Candidate, Observation, Primitive

BOX = Box((-0.5, 0.05), (0.05, 0.05, 0.05), 0.4, (60, 60, 200))
GRASP = Candidate(
    Primitive.GRASP, geometry.grasp_pose(-0.5, 0.05, 0.04, 0.4), 0.4, width=0.08, policy="p"
)
PUSH = Candidate(
    Primitive.PUSH, geometry.push_pose(-0.6, -0.1, 0.02, 5.5), 5.5, push_length=0.1, score=-1.0
)


def painted(image, color):
    return np.argwhere((image == color).all(axis=2))[:, ::-1]  # (u, v)


def test_a_grasp_is_a_jaw_of_its_width_along_its_angle():
    closing, left, right = glyph(GRASP, finger=0.02)
    span = closing[1] - closing[0]
    assert np.linalg.norm(span) == pytest.approx(0.08)
    assert np.arctan2(span[1], span[0]) == pytest.approx(0.4)
    np.testing.assert_allclose(closing.mean(axis=0), [-0.5, 0.05, 0.04])
    for finger, end in ((left, closing[0]), (right, closing[1])):
        np.testing.assert_allclose(finger.mean(axis=0), end, atol=1e-12)
        assert np.linalg.norm(finger[1] - finger[0]) == pytest.approx(0.02)
        assert (finger[1] - finger[0]) @ span == pytest.approx(0, abs=1e-12)


def test_a_push_is_an_arrow_along_its_stroke():
    shaft, head = glyph(PUSH)
    np.testing.assert_allclose(shaft[0], [-0.6, -0.1, 0.02])
    np.testing.assert_allclose(
        shaft[1] - shaft[0], [0.1 * np.cos(5.5), 0.1 * np.sin(5.5), 0], atol=1e-12
    )
    np.testing.assert_allclose(head[1], shaft[1])


def test_the_overlay_lies_where_the_camera_sees_the_pose():
    view = cast([BOX])
    image = overlay(view, [GRASP, PUSH])
    for candidate, color in ((GRASP, BEST), (PUSH, OTHER)):
        pixels = painted(image, color)
        shaft = world_to_pixel(view, glyph(candidate)[0])
        assert len(pixels) > 50
        # Every end of the glyph has paint within two pixels of it.
        for end in shaft:
            assert np.hypot(*(pixels - end).T).min() < 2
        middle = shaft.mean(axis=0)
        assert np.hypot(*(pixels - middle).T).min() < 2
        assert np.hypot(*(pixels - middle).T).max() < np.hypot(*(shaft[1] - shaft[0]))
    assert not painted(view.color, BEST).size, "the view itself is not painted on"


def test_what_the_camera_cannot_see_is_not_drawn():
    behind = replace(GRASP, pose=geometry.grasp_pose(-3.0, 0.0, 0.5, 0.0))
    view = cast([])
    np.testing.assert_array_equal(overlay(view, [behind]), view.color)


@pytest.fixture(scope="module")
def observation():
    view = noisy(cast([BOX]), 0)
    model = BackgroundModel()
    model.learn_empty([noisy(cast([]), seed).color for seed in range(5)])
    within = workspace_mask(INTRINSICS, OBLIQUE, WORKSPACE, (480, 640), 0.12)
    regions = model.regions(view.color, "overhead", within=within)
    heightmap = build_heightmap([view], WORKSPACE)
    return Observation("3", 0, {"overhead": view}, heightmap, regions)


def test_the_panel_is_a_png_with_the_candidates_in_both_pictures(observation, tmp_path):
    path = save_decision(tmp_path / "new" / "first.png", observation, [GRASP, PUSH], title="T")
    picture = np.asarray(Image.open(path))
    assert picture.shape == (1000, 1300, 3)
    upper = picture[:500]
    for half in (upper[:, :650], upper[:, 650:]):
        assert len(painted(half, BEST)) > 30 and len(painted(half, OTHER)) > 30
    plain = decision_picture(observation, [])
    assert not len(painted(plain, BEST)), "no candidate, no paint"


def test_the_panel_does_without_heightmap_regions_and_candidates(observation):
    bare = Observation("4", 0, observation.views)
    assert decision_picture(bare, []).shape == (1000, 1300, 3)
    blind = replace(observation, regions=replace(observation.regions, camera="other"))
    assert len(painted(decision_picture(blind, [GRASP]), BEST))
    with pytest.raises(UnknownName, match=r"'wrist'.*overhead"):
        decision_picture(observation, [], camera="wrist")
