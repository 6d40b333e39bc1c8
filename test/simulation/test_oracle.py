from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from selfgrasp_nodes import geometry
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.objects import ObjectSpec
from selfgrasp_nodes.simulation.oracle import Oracle
from selfgrasp_nodes.simulation.scenes import Scene, SceneObject, random_scene, world_T_object
from selfgrasp_nodes.simulation.shapes import SIZES
from selfgrasp_nodes.simulation.surfaces import height_grid, object_surface
from selfgrasp_nodes.types import Observation, Primitive

ROBOT = load_robot("ur5_rg2")
SEEN = Observation("seen", 0, {})


def truth_of(scene):
    """What the oracle reads of a world: a scene and where its objects are."""
    workspace = ROBOT.workspace.workspace
    truth = [
        SimpleNamespace(id=name, world_T_object=world_T_object(obj, workspace))
        for name, obj in zip(scene.names(), scene.objects, strict=True)
    ]
    return SimpleNamespace(robot=ROBOT, scene=scene, truth=lambda: truth)


def lying(shape, x=0.0, y=0.0, yaw=0.0, z=None):
    height = SIZES[shape][2] / 2 if z is None else z
    pose = geometry.transform((x, y, height), (0, 0, yaw))
    return SceneObject(ObjectSpec(shape), (0, 0, 0), (1, 0, 0, 0)).moved(pose)


def propose(*objects, **options):
    return Oracle(truth_of(Scene("made", tuple(objects)))).propose(SEEN, **options)


@pytest.mark.parametrize("shape", SIZES)
def test_every_block_has_a_grasp_alone(shape):
    best = propose(lying(shape, yaw=0.3))[0]
    assert best.primitive is Primitive.GRASP and best.policy == "oracle"
    assert best.observation_id == "seen"
    assert best.score > 0.3
    x, y = best.pose[:2, 3] - ROBOT.workspace.center
    assert np.hypot(x, y) < 0.03
    np.testing.assert_allclose(best.pose, geometry.grasp_pose(*best.pose[:3, 3], best.angle))
    assert 0 < best.width <= ROBOT.arm().gripper.width_max


def test_a_turned_plank_is_gripped_across():
    for yaw in (0.0, 0.4, 1.3, 2.7):
        best = propose(lying("plank", yaw=yaw))[0]
        # The short side lies along the plank's y.
        turn = abs((best.angle - yaw - np.pi / 2 + np.pi / 2) % np.pi - np.pi / 2)
        assert turn < 0.03
        assert 0.05 < best.width < 0.05 + 0.03


def test_a_neighbour_forbids_the_side_where_it_stands():
    # Cubes on both sides along x leave only the closing direction along y.
    wall = 0.053
    cubes = [lying("cube"), lying("cube", x=wall), lying("cube", x=-wall)]
    for candidate in propose(*cubes, max_candidates=20):
        x, y = candidate.pose[:2, 3] - ROBOT.workspace.center
        if abs(x) < 0.02 and abs(y) < 0.02:
            assert abs(candidate.angle - np.pi / 2) < 0.4


def test_what_is_enclosed_has_no_grasp():
    wall = 0.0505
    around = [
        lying("brick", x=x, y=y) for x in (-wall, 0, wall) for y in (-wall, 0, wall) if x or y
    ]
    for candidate in propose(lying("cube"), *around, max_candidates=50):
        assert (
            candidate.pose[2, 3] > 0.05
            or np.abs(candidate.pose[:2, 3] - ROBOT.workspace.center).max() > 0.02
        )


def test_what_lies_on_top_comes_first():
    best = propose(lying("plank"), lying("cube", z=0.025 + 0.025))[0]
    assert best.pose[2, 3] > 0.03
    assert best.width > 0.05


def test_tips_stay_above_the_table_while_the_fingers_close():
    from selfgrasp_nodes.robots.gripper import tcp_distance

    gripper = ROBOT.arm().gripper
    for shape in SIZES:
        for candidate in propose(lying(shape), max_candidates=20):
            flange = candidate.pose[2, 3] + tcp_distance(gripper, candidate.width)
            for width in np.linspace(gripper.width_min, candidate.width, 20):
                tip = flange - tcp_distance(gripper, width) - gripper.pad_length / 2
                assert tip > 0.002


def test_failed_grasps_are_not_repeated():
    first = propose(lying("cube"))[0]
    second = propose(lying("cube"), avoid=[first, first])[0]
    apart = np.linalg.norm(first.pose[:2, 3] - second.pose[:2, 3])
    turn = abs((first.angle - second.angle + np.pi / 2) % np.pi - np.pi / 2)
    assert apart > 0.01 or turn > 0.3


def test_an_empty_table_and_other_primitives_give_nothing():
    assert propose() == []
    assert propose(lying("cube"), primitives=[Primitive.PUSH]) == []
    assert propose(lying("cube"), max_candidates=0) == []
    assert propose(lying("cube", x=0.4)) == []  # outside the workspace


def test_candidates_are_ranked_and_bounded():
    scene = random_scene(ROBOT, 10, 0)
    found = Oracle(truth_of(scene)).propose(SEEN, max_candidates=7)
    assert len(found) == 7
    scores = [candidate.score for candidate in found]
    assert scores == sorted(scores, reverse=True)


def test_surface_points_lie_on_the_outside_with_outward_normals():
    for shape in SIZES:
        obj = ObjectSpec(shape)
        surface = object_surface(obj)
        depth = np.min(
            [
                np.max(surface.points @ p.planes[:, :3].T + p.planes[:, 3], axis=1)
                for p in obj.pieces
            ],
            axis=0,
        )
        assert np.abs(depth).max() < 1e-6
        beyond = surface.points + 1e-4 * surface.normals
        for piece in obj.pieces:
            inside = np.max(beyond @ piece.planes[:, :3].T + piece.planes[:, 3], axis=1) < -1e-6
            assert inside.mean() < 0.01  # a few on the seams of the arch's pieces
        low, high = surface.points.min(axis=0), surface.points.max(axis=0)
        np.testing.assert_allclose(high - low, SIZES[shape], atol=1e-6)


def test_height_grid_shows_the_true_heights():
    surface = object_surface(ObjectSpec("prism")).transformed(geometry.transform((0, 0, 0.0243)))
    grid = height_grid([surface], np.array([-0.1, -0.1]), np.array([0.1, 0.1]))
    assert grid.at(np.array([0.0, 0.0])) == pytest.approx(0.0486, abs=0.003)
    assert grid.at(np.array([0.03, 0.01])) == pytest.approx(0.05 - 0.03, abs=0.004)
    assert grid.at(np.array([0.08, 0.0])) == 0
    assert grid.at(np.array([5.0, 0.0])) == 0
