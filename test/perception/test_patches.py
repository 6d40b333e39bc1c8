"""Patches: windows in a horizontal plane, out of views and out of crops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import EmptyObservation, InvalidConfig, InvalidImage
from selfgrasp_nodes.perception.heightmap import build_heightmap
from selfgrasp_nodes.perception.patches import (
    candidate_crop,
    cut_crop,
    cut_patches,
    cut_windows,
    surface_height,
)
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.simulation.objects import ObjectSpec
from selfgrasp_nodes.simulation.scene import Scene, SceneObject
from selfgrasp_nodes.simulation.world import World, WorldOptions
from selfgrasp_nodes.types import Candidate, Observation, Primitive

ROBOT = load_robot("ur5_rg2")
CENTER = np.array(ROBOT.workspace.center)
SIZES = PatchGeometry.of(ROBOT.arms[0].gripper)
TURN = 0.5  # of the brick about the vertical [rad]


@pytest.fixture(scope="module")
def seen():
    """An oblique view of a brick that lies turned, its top 50 mm high, without noise."""
    quaternion = geometry.quaternion(
        geometry.transform(rpy=(0, 0, TURN)) @ geometry.transform(rpy=(0, np.pi / 2, 0))
    )
    brick = SceneObject(
        ObjectSpec("brick", color=(1.0, 0.0, 0.0)),
        (0.03, -0.02, 0.025),
        tuple(float(q) for q in quaternion),
    )
    world = World(ROBOT, WorldOptions(noise=False))
    world.reset(Scene("brick", (brick,)), 1)
    view = world.render()
    heightmap = build_heightmap([view], ROBOT.workspace.workspace)
    world.close()
    return Observation("o", 0, {view.camera: view}, heightmap), CENTER + np.array([0.03, -0.02])


def top_mask(height: np.ndarray) -> np.ndarray:
    return np.abs(height) < 0.003


def axis_of(mask: np.ndarray) -> float:
    """Direction of a mask's long axis, from its column to its row axis, in [0, pi)."""
    points = np.argwhere(mask)[:, ::-1].astype(float)
    _, vectors = np.linalg.eigh(np.cov(points.T))
    return float(np.arctan2(vectors[1, 1], vectors[0, 1]) % np.pi)


def test_the_geometry_is_half_again_as_large_as_the_open_hand() -> None:
    assert PatchGeometry.of(load_robot("baxter").arms[0].gripper).patch_side == pytest.approx(
        1.5 * (0.075 + 2 * 0.0148)
    )
    assert SIZES.crop_side == pytest.approx(1.5 * SIZES.patch_side)
    assert PatchGeometry.from_dict(SIZES.as_dict()) == SIZES
    with pytest.raises(InvalidConfig, match="crop side"):
        PatchGeometry(0.2, 0.1)


def test_a_window_on_the_top_face_has_true_lengths_and_angles(seen) -> None:
    observation, (x, y) = seen
    view = observation.views["overhead"]
    crop = cut_crop(view, (x, y, 0.05), SIZES)
    top = top_mask(crop.height)
    millimetre = 1e3 * SIZES.crop_side / SIZES.crop_pixels
    assert top.sum() * millimetre**2 == pytest.approx(100 * 50, rel=0.06)
    np.testing.assert_allclose(np.argwhere(top).mean(axis=0), 95.5, atol=1.0)
    # The camera looks from 45 degrees, and yet the long side lies as the brick does.
    assert axis_of(top) == pytest.approx(TURN, abs=0.03)
    assert crop.color[96, 96, 0] > 1.5 * crop.color[96, 96, 1]
    table = crop.height[:20, :20]
    np.testing.assert_allclose(table[np.isfinite(table)], -0.05, atol=0.003)


def test_turned_windows_and_turned_patches_agree(seen) -> None:
    observation, (x, y) = seen
    view = observation.views["overhead"]
    crop = cut_crop(view, (x, y, 0.05), SIZES)
    angles, shift = np.array([0.0, TURN, 2.0]), np.array([0.01, -0.005])
    centers = np.array([[x + 0.01, y - 0.005, 0.05]] * 3)
    direct, direct_height = cut_windows(view, centers, SIZES.patch_side, 64, angles)
    stored, stored_height = cut_patches(
        np.stack([crop.color] * 3), np.stack([crop.height] * 3), SIZES, 64, angles, shift
    )
    assert np.abs(direct.astype(float) - stored).mean() < 3.0
    difference = np.abs(direct_height - stored_height)
    assert np.nanmedian(difference) < 0.001 and (difference > 0.01).mean() < 0.05
    # Cut along the brick, its long side is the patch's column axis.
    assert np.sin(axis_of(top_mask(stored_height[1]))) == pytest.approx(0, abs=0.06)
    wrong, _ = cut_patches(crop.color[None], crop.height[None], SIZES, 64, -TURN, shift)
    assert np.abs(direct[1].astype(float) - wrong[0]).mean() > 10.0


def test_what_the_image_does_not_show_is_unknown(seen) -> None:
    observation, (x, y) = seen
    view = observation.views["overhead"]
    depth = view.depth.copy()
    depth[::2] = np.nan
    holes = cut_crop(replace(view, depth=depth), (x, y, 0.05), SIZES)
    assert 0.3 < np.isnan(holes.height).mean() < 0.7
    outside, height = cut_patches(
        holes.color[None], holes.height[None], SIZES, 32, 0.0, (0.4, 0.0)
    )
    assert not outside.any() and np.isnan(height).all()
    with pytest.raises(InvalidImage, match="before camera"):
        cut_crop(view, (-1.3, 0.0, 0.6), SIZES)


def test_the_plane_is_the_surface_under_the_grasp(seen) -> None:
    observation, (x, y) = seen
    heights = surface_height(observation.heightmap, np.array([x, x + 0.15]), np.array([y, y]))
    np.testing.assert_allclose(heights, [0.05, 0.0], atol=0.002)
    blind = replace(observation.heightmap, valid=np.zeros_like(observation.heightmap.valid))
    assert surface_height(blind, x, y) == 0.0


def test_a_candidates_crop_comes_from_its_view(seen) -> None:
    observation, (x, y) = seen
    candidate = Candidate(Primitive.GRASP, geometry.grasp_pose(x, y, 0.02, TURN), TURN)
    crop = candidate_crop(observation, candidate, SIZES)
    assert crop.view == "overhead" and crop.center[2] == pytest.approx(0.05, abs=0.002)
    with pytest.raises(EmptyObservation, match="heightmap"):
        candidate_crop(replace(observation, heightmap=None), candidate, SIZES)
    with pytest.raises(EmptyObservation, match="no view"):
        candidate_crop(replace(observation, views={}), candidate, SIZES)
