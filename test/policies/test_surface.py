from __future__ import annotations

import numpy as np
from policy_tables import box, look, observe

from selfgrasp_nodes.geometry import point_to_pixel
from selfgrasp_nodes.policies.surface import build_surface, clean_height, hidden_bound


def at(surface, image, x, y, robot):
    cx, cy = robot.workspace.center
    return float(surface.sample(image, np.array([[cx + x]]), np.array([[cy + y]]))[0, 0])


def test_shadow_behind_a_block_is_bounded_by_the_ray_over_its_edge(robot):
    surface = build_surface(
        *parts(observe(robot, [box(0.0, 0.0, (0.05, 0.2, 0.05))], noise=False))
    )
    camera = robot.camera().pose.matrix[:3, 3]
    edge = robot.workspace.center[0] + 0.025
    for x in (0.04, 0.055, 0.07):
        # The ray from the camera over the far edge of the top.
        away = robot.workspace.center[0] + x - edge
        expected = 0.05 - away * (camera[2] - 0.05) / (edge - camera[0])
        assert abs(at(surface, surface.hidden, x, 0.0, robot) - expected) < 0.014
    assert at(surface, surface.hidden, 0.12, 0.0, robot) == 0
    assert at(surface, surface.hidden, -0.06, 0.0, robot) == 0


def parts(seen):
    return seen.heightmap, seen.views.values()


def test_two_views_leave_nothing_hidden_that_one_of_them_sees(robot):
    view = look(robot, [box(0.0, 0.0, (0.05, 0.2, 0.05))], noise=False)
    points = np.array([[robot.workspace.center[0] + 0.045, 0.0]])
    levels = np.arange(0, 0.06, 0.006)
    hidden, _ = hidden_bound([view], points, levels)
    assert hidden[0] > 0.02
    empty = look(robot, [], noise=False)
    hidden, _ = hidden_bound([view, empty], points, levels)
    assert hidden[0] == 0


def test_things_around_the_workspace_are_seen_in_the_views(robot):
    half = robot.workspace.size[1] / 2
    seen = observe(robot, [box(0.0, half + 0.03, (0.05, 0.05, 0.05))], noise=False)
    surface = build_surface(*parts(seen))
    assert at(surface, surface.height, 0.0, half + 0.03, robot) > 0.03
    assert at(surface, surface.height, 0.0, -half - 0.03, robot) == 0


def test_single_outliers_vanish_and_small_holes_close(robot):
    seen = observe(robot, [box(0.0, 0.0, (0.1, 0.1, 0.05))], noise=False, scale=1.0)
    heightmap = seen.heightmap
    r, c = point_to_pixel(heightmap.workspace, *robot.workspace.center)
    heightmap.valid[r, c] = False
    heightmap.height[r, c] = 0
    heightmap.height[20, 20] = 0.3
    clean = clean_height(heightmap)
    assert abs(clean[r, c] - 0.05) < 0.004
    assert clean[20, 20] < 0.01


def test_lone_points_are_obstacles(robot):
    seen = observe(robot, [], noise=False)
    heightmap = seen.heightmap
    heightmap.valid[100:120, 100:120] = False
    heightmap.height[100:120, 100:120] = 0
    heightmap.valid[110, 110] = True
    heightmap.height[110, 110] = 0.03
    surface = build_surface(*parts(seen))
    assert surface.obstacle.max() > 0.029
    assert surface.height.max() < 0.02
