from __future__ import annotations

import numpy as np
import pytest

from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.noise import CameraNoise, edges

CAMERA = load_robot("ur5_rg2").camera()


def flat(distance):
    return np.full((480, 640), distance, np.float32)


@pytest.mark.parametrize("distance", [0.3, 1.0, 3.0])
def test_depth_noise_grows_with_the_square_of_the_distance(distance):
    noisy = CameraNoise(CAMERA).depth(flat(distance))
    a, b = CAMERA.depth_noise
    assert noisy.dtype == np.float32
    assert noisy.mean() == pytest.approx(distance, abs=1e-4)
    assert (noisy - distance).std() == pytest.approx(a + b * distance**2, rel=0.02)


def test_holes_lie_at_edges_only_and_in_the_given_share():
    depth = flat(1.0)
    depth[100:300, 200:400] = 0.9
    noisy = CameraNoise(CAMERA).depth(depth)
    near_edge = edges(depth)
    holes = noisy == 0
    assert near_edge[100, 300] and near_edge[99, 300] and not near_edge[90, 300]
    assert not np.any(holes & ~near_edge)
    assert holes[near_edge].mean() == pytest.approx(CAMERA.depth_dropout, abs=0.05)


def test_a_slanted_table_has_no_edges():
    depth = np.linspace(0.5, 1.5, 480, dtype=np.float32)[:, None].repeat(640, axis=1)
    assert not edges(depth).any()


def test_invalid_depth_stays_invalid():
    depth = flat(1.0)
    depth[:50] = 0
    assert np.all(CameraNoise(CAMERA).depth(depth)[:50] == 0)


def test_colour_noise_has_the_given_strength_and_saturates():
    grey = np.full((480, 640, 3), 128, np.uint8)
    noisy = CameraNoise(CAMERA).color(grey)
    assert noisy.dtype == np.uint8
    assert noisy.astype(float).std() == pytest.approx(CAMERA.color_noise, rel=0.05)
    assert CameraNoise(CAMERA).color(np.full_like(grey, 255)).min() > 240
    assert CameraNoise(CAMERA).color(np.zeros_like(grey)).max() < 15


def test_noise_follows_the_seed_and_changes_from_frame_to_frame():
    grey, depth = np.full((480, 640, 3), 128, np.uint8), flat(1.0)
    noise = CameraNoise(CAMERA, seed=1)
    first, second = noise.apply(grey, depth), noise.apply(grey, depth)
    assert not np.array_equal(first[0], second[0])
    correlation = np.corrcoef((first[1] - 1).ravel(), (second[1] - 1).ravel())[0, 1]
    assert abs(correlation) < 0.02
    noise.reseed(1)
    again = noise.apply(grey, depth)
    np.testing.assert_array_equal(again[0], first[0])
    np.testing.assert_array_equal(again[1], first[1])
    fresh = CameraNoise(CAMERA, seed=1).apply(grey, depth)
    other = CameraNoise(CAMERA, seed=2)
    other.reseed(1)
    for result in (fresh, other.apply(grey, depth)):  # no memory of earlier seeds
        np.testing.assert_array_equal(result[1], first[1])
    assert not np.array_equal(CameraNoise(CAMERA, seed=2).apply(grey, depth)[1], first[1])


def test_no_strength_no_noise():
    silent = CAMERA.model_copy(
        update={"depth_noise": (0.0, 0.0), "depth_dropout": 0.0, "color_noise": 0.0}
    )
    rng = np.random.default_rng(0)
    color = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    depth = rng.uniform(0.5, 2, (480, 640)).astype(np.float32)
    noisy_color, noisy_depth = CameraNoise(silent).apply(color, depth)
    np.testing.assert_array_equal(noisy_color, color)
    np.testing.assert_array_equal(noisy_depth, depth)
