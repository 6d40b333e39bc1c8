"""Perception on rendered pictures with all sensor noise, judged by the simulator's truth."""

from __future__ import annotations

import numpy as np
import pytest

from bench import perception as measure
from selfgrasp_nodes.errors import MissingDependency
from selfgrasp_nodes.perception.change import changed_area
from selfgrasp_nodes.perception.heightmap import build_heightmap
from selfgrasp_nodes.perception.pixels import pixel_to_world, sample_point, workspace_mask
from selfgrasp_nodes.perception.regions import BackgroundModel
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.scenes import Scene, random_scene
from selfgrasp_nodes.simulation.world import World

ROBOT = load_robot("ur5_rg2")
WORKSPACE = ROBOT.workspace.workspace


@pytest.fixture(scope="module")
def world():
    world = World(ROBOT)
    try:
        world.render()
    except MissingDependency as error:
        pytest.skip(str(error))
    yield world
    world.close()


@pytest.fixture(scope="module")
def model(world):
    world.reset(Scene("empty", ()), 100)
    views = [world.render() for _ in range(10)]
    model = BackgroundModel()
    model.learn_empty([v.color for v in views], [v.depth for v in views])
    return model


@pytest.fixture(scope="module")
def within(world):
    view = world.render()
    return workspace_mask(
        view.intrinsics, view.world_T_camera, WORKSPACE, view.depth.shape, height=0.12
    )


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_heights_are_right_to_3_mm_and_regions_hold_every_block(world, model, within, seed):
    world.reset(random_scene(ROBOT, 10, seed), seed)
    view = world.render()
    heightmap = build_heightmap([view], WORKSPACE)
    truth = measure.true_heights(world, WORKSPACE)
    flat = measure.away_from_edges(truth)
    error = np.abs(heightmap.height - truth)[heightmap.valid & flat]
    assert error.size > 20000
    assert (error <= 0.003).mean() > 0.999 and error.mean() < 0.0015
    assert (truth[heightmap.valid & flat] > 0.01).sum() > 500, "blocks are among them"

    bodies = measure.true_bodies(world, view)
    blocks = [world.model.body(item.id).id for item in world.truth()]
    regions = model.regions(view.color, view.camera, within=within)
    judged = measure.judge_regions(regions, bodies, blocks)
    assert judged["found"] == judged["visible"] >= 9
    assert judged["empty_regions"] == 0
    assert judged["wrong_pixels"] < 0.02 * judged["pixels"]

    rng = np.random.default_rng(seed)
    for region in regions.regions:
        pixels = [sample_point(region, rng, regions.mask) for _ in range(30)]
        seen = [bodies[v // measure.STRIDE, u // measure.STRIDE] for u, v in pixels]
        assert np.isin(seen, blocks).mean() > 0.9, "a random try is a try at a block"
        for u, v in pixels:
            x, y, z = pixel_to_world(view, u, v)
            assert WORKSPACE.contains(x, y, -0.03) and -0.006 < z < 0.15


def test_an_empty_table_has_no_region_and_does_not_change(world, model, within):
    world.reset(Scene("empty", ()), 5)
    first, second = world.render(), world.render()
    assert not np.array_equal(first.depth, second.depth), "noise is on"
    assert model.regions(first.color, "overhead", depth=first.depth, within=within).regions == ()
    maps = [build_heightmap([view], WORKSPACE) for view in (first, second)]
    assert changed_area(*maps).pixels == 0


def test_a_block_taken_away_is_a_change_and_noise_is_none(world):
    world.reset(random_scene(ROBOT, 10, 3), 3)
    before, again = (build_heightmap([world.render()], WORKSPACE) for _ in range(2))
    assert not changed_area(before, again).changed
    top = max(world.truth(), key=lambda item: item.world_T_object[2, 3])
    world.remove_object(top.id)
    assert changed_area(before, build_heightmap([world.render()], WORKSPACE)).changed


def test_blocks_of_the_tables_colour_need_depth(world, model, within):
    world.reset(Scene("empty", ()), 21)
    empty = world.render()
    world.reset(random_scene(ROBOT, 8, 21), 21)
    blocks = [world.model.body(item.id).id for item in world.truth()]
    measure.paint(world, blocks, empty)
    view = world.render()
    bodies = measure.true_bodies(world, view)
    by_color, by_both = (
        measure.judge_regions(
            model.regions(view.color, view.camera, depth=depth, within=within), bodies, blocks
        )
        for depth in (None, view.depth)
    )
    assert by_both["found"] == by_both["visible"] > by_color["found"]


def test_the_arm_over_the_table_is_seen_as_such(world, model, within):
    arm = ROBOT.arms[0]
    world.reset(random_scene(ROBOT, 5, 1), 1)
    assert not model.regions(world.render().color, "overhead", within=within).arm_in_view
    world.set_arm(arm.name, arm.ready)
    found = model.regions(world.render().color, "overhead", within=within)
    assert found.arm_in_view and found.regions == ()
