"""The oracle's pushes: what the rehearsal foretells happens, and makes grasping possible."""

from __future__ import annotations

import numpy as np
import pytest

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.orchestration.fast import FastExecutor
from selfgrasp_nodes.orchestration.fast_ports import FastObserver
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.lookahead import CLEAN, spread
from selfgrasp_nodes.simulation.objects import ObjectSpec
from selfgrasp_nodes.simulation.oracle import Oracle
from selfgrasp_nodes.simulation.rehearsal import Rehearsal, scene_now
from selfgrasp_nodes.simulation.scenes import Scene, SceneObject, load_scenes
from selfgrasp_nodes.simulation.surfaces import object_surface
from selfgrasp_nodes.simulation.world import World
from selfgrasp_nodes.types import Candidate, Primitive

ROBOT = load_robot("ur5_rg2")
FOLDER = share_dir() / "config" / "scenes"


def hard(name: str) -> Scene:
    files = (FOLDER / "vpg_hard_dev.json", FOLDER / "vpg_hard_final.json")
    return next(s for file in files for s in load_scenes(file) if s.name == name)


@pytest.fixture(scope="module")
def world():
    world = World(ROBOT)
    yield world
    world.close()


@pytest.fixture(scope="module")
def planner():
    return EmbeddedPlanner(ROBOT)


def observed(world: World, planner: EmbeddedPlanner, scene: Scene):
    """The scene in the world, and what its camera sees."""
    world.reset(scene, 3)
    observer = FastObserver(world, ("heightmap",), planner)
    return observer, observer.observe()


def poses(truth) -> np.ndarray:
    return np.array([t.world_T_object for t in truth])


def run(world: World, planner: EmbeddedPlanner, observer: FastObserver, push: Candidate) -> None:
    running = FastExecutor(world, planner, observer).start(push, "t")
    running.wait_acted()
    world.set_arm("arm", ROBOT.arm("arm").home)
    observer._settle()


def test_a_push_of_lookahead_makes_a_grasp_possible(world, planner) -> None:
    observer, seen = observed(world, planner, hard("four-cubes"))
    before = poses(world.truth())
    oracle = Oracle(world, lookahead=6)
    now = oracle.judge(oracle._surfaces())
    assert now.grasp < CLEAN and now.graspable == 0
    rehearsed = oracle.lookahead.pushes(seen)
    totals = [r.value.total for r in rehearsed]
    assert totals == sorted(totals, reverse=True) and len(rehearsed) <= 6
    best = rehearsed[0]
    assert best.value.grasp >= CLEAN and best.push.score == best.value.grasp
    np.testing.assert_array_equal(poses(world.truth()), before)  # nothing moved here
    proposed = oracle.propose(seen)
    assert proposed[0].primitive is Primitive.PUSH and proposed[0].policy == "oracle"
    np.testing.assert_allclose(proposed[0].pose, best.push.pose)
    # In the world itself it does what it did in the rehearsal.
    copy = scene_now(world)
    foretold = Rehearsal(ROBOT, world.options.physics).after(copy, best.push, seen.heightmap)
    assert foretold is not None
    run(world, planner, observer, best.push)
    apart = np.abs(poses(world.truth()) - poses(foretold))[:, :3, 3].max()
    assert apart < 0.003
    assert np.abs(poses(world.truth()) - before)[:, :3, 3].max() > 0.02
    assert oracle.judge(oracle._surfaces()).graspable >= 1
    assert oracle.propose(seen)[0].primitive is Primitive.GRASP


def test_without_pushes_there_is_nothing_to_do(world, planner) -> None:
    _, seen = observed(world, planner, hard("pinwheel"))
    assert Oracle(world, pushes=False).propose(seen) == []
    heuristic = Oracle(world).propose(seen)
    assert heuristic and all(c.primitive is Primitive.PUSH for c in heuristic)
    assert Oracle(world, lookahead=4).propose(seen, primitives=(Primitive.GRASP,)) == []


def test_what_cannot_be_planned_is_not_foretold(world, planner) -> None:
    _, seen = observed(world, planner, hard("four-cubes"))
    rehearsal = Rehearsal(ROBOT, world.options.physics)
    x, y = ROBOT.workspace.center
    outside = Candidate(
        Primitive.PUSH, geometry.push_pose(x + 0.5, y, 0.03, 0.0), 0.0, push_length=0.1
    )
    assert rehearsal.after(scene_now(world), outside, seen.heightmap) is None


def test_a_copy_holds_what_is_left_where_it_lies(world) -> None:
    scene = hard("brick-on-planks")
    world.reset(scene, 0)
    world.remove_object("object_04")
    copy = scene_now(world)
    assert [o.spec for o in copy.objects] == [o.spec for o in scene.objects[:4]]
    for now, then in zip(copy.objects, scene.objects, strict=False):
        np.testing.assert_allclose(now.pose, then.pose, atol=1e-9)


def test_wrong_parameters_are_refused_with_the_valid_ones(world) -> None:
    with pytest.raises(InvalidConfig, match=r"lookahed.*[Vv]alid: .*lookahead.*pushes"):
        Oracle(world, lookahed=3)
    with pytest.raises(InvalidConfig, match="lookahead"):
        Oracle(world, lookahead=-1)


def test_spread_is_the_distance_to_the_nearest() -> None:
    cube = object_surface(ObjectSpec("cube"))
    at = [cube.transformed(geometry.transform((x, 0, 0))) for x in (0.0, 0.1, 0.16)]
    assert spread(at) == pytest.approx((0.1 + 0.06 + 0.06) / 3)
    assert spread(at[:1]) == spread([]) == 0.2


@pytest.mark.parametrize("kind", ["dev", "final"])
def test_hard_scenes_leave_no_clean_grasp(kind, world) -> None:
    """Of what belongs to the arrangement; a block that stands alone or on top does not."""
    for scene in load_scenes(FOLDER / f"vpg_hard_{kind}.json"):
        alone = {"prisms-end-to-end": 3, "brick-on-planks": 4}.get(scene.name)
        kept: list[SceneObject] = list(scene.objects)
        if alone is not None:
            kept.pop(alone)
        world.reset(Scene(scene.name, tuple(kept)), 0)
        oracle = Oracle(world)
        assert oracle.judge(oracle._surfaces()).graspable == 0, scene.name
