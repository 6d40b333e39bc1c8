"""The policy on rendered scenes, with untrained networks: which ones does not matter here."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")


from selfgrasp_nodes.errors import InvalidConfig, InvalidImage, NotReady  # noqa: E402
from selfgrasp_nodes.perception.heightmap import build_heightmap  # noqa: E402
from selfgrasp_nodes.perception.regions import BackgroundModel  # noqa: E402
from selfgrasp_nodes.policies import make_policy  # noqa: E402
from selfgrasp_nodes.policies.areas import region_areas  # noqa: E402
from selfgrasp_nodes.policies.checkpoints import Card, GripperCard, save_checkpoint  # noqa: E402
from selfgrasp_nodes.policies.patch.encoding import STEP, angle_bin, encode  # noqa: E402
from selfgrasp_nodes.policies.patch.judge import input_card  # noqa: E402
from selfgrasp_nodes.policies.patch.networks import make_network  # noqa: E402
from selfgrasp_nodes.robots import load_robot  # noqa: E402
from selfgrasp_nodes.robots.patch import PatchGeometry  # noqa: E402
from selfgrasp_nodes.types import Observation, Primitive  # noqa: E402

NETWORK = {"name": "polar", "widths": [8, 8, 16, 16], "rings": 16}


@pytest.fixture(scope="module")
def seen(robot) -> Observation:
    from selfgrasp_nodes.simulation.scene import Scene
    from selfgrasp_nodes.simulation.scenes import random_scene
    from selfgrasp_nodes.simulation.world import World

    world = World(robot)
    world.reset(Scene("empty", ()), 0)
    background = BackgroundModel()
    empty = [world.render() for _ in range(10)]
    background.learn_empty([v.color for v in empty], [v.depth for v in empty])
    world.reset(random_scene(robot, 5, 11), 11)
    view = world.render()
    heightmap = build_heightmap([view], robot.workspace.workspace)
    regions = background.regions(view.color, view.camera, depth=view.depth)
    world.close()
    return Observation("o", view.stamp, {view.camera: view}, heightmap, regions)


@pytest.fixture(scope="module")
def checkpoint(robot, seen, tmp_path_factory) -> str:
    torch.manual_seed(4)
    gripper = robot.arms[0].gripper
    network = make_network(**NETWORK)
    card = Card(
        policy="patch",
        network={**NETWORK, "members": 1},
        input=input_card(PatchGeometry.of(gripper), 64),
        gripper=GripperCard.of(gripper),
        robot=robot.name,
        views=("overhead",),
    )
    path = tmp_path_factory.mktemp("checkpoint") / "net"
    weights = {f"0.{k}": v for k, v in network.state_dict().items()}
    save_checkpoint(path, card, weights)
    # An untrained network says nearly the same of everything: spread its answers.
    policy = make_policy("patch", robot, checkpoint=str(path), patches=100, select="sample")
    chance = np.array([g.probability for g in policy.propose(seen, 0, 1800)])
    odds = np.log(chance / (1 - chance))
    scale = 1.5 / odds.std()
    calibration = {"scale": float(scale), "offset": float(-1 - scale * odds.mean())}
    save_checkpoint(path, card.model_copy(update={"calibration": calibration}), weights)
    return str(path)


def test_the_best_come_first_and_are_repeatable(robot, seen, checkpoint) -> None:
    policy = make_policy("patch", robot, checkpoint=checkpoint, patches=150)
    found = policy.propose(seen, 3, 5)
    assert len(found) == 5
    assert all(a.score >= b.score for a, b in itertools.pairwise(found))
    workspace = robot.workspace.workspace
    for grasp in found:
        assert workspace.contains(*grasp.pose[:2, 3]) and 0 <= grasp.angle < np.pi
        assert grasp.rotation_index == angle_bin(grasp.angle)
        assert 0 < grasp.probability < 1 and len(grasp.checkpoint_digest) == 64
        assert grasp.width == robot.arms[0].gripper.width_max
    again = policy.propose(seen, 3, 5)
    assert [g.score for g in again] == [g.score for g in found]
    other = policy.propose(seen, 4, 5)
    assert not np.allclose(other[0].pose, found[0].pose)
    # What failed is proposed later.
    avoided = policy.propose(seen, 3, 5, avoid=[found[0]] * 6)
    assert not np.allclose(avoided[0].pose, found[0].pose)


def test_importance_sampling_follows_the_chances(robot, seen, checkpoint) -> None:
    options = {"checkpoint": checkpoint, "patches": 60, "select": "sample"}
    policy = make_policy("patch", robot, **options)
    drawn = [policy.propose(seen, 7, 1)[0]]
    judged = np.array([g.probability for g in policy.propose(seen, 7, 60 * 18)])
    assert len(judged) == 60 * 18 and judged.std() > 0.01
    # Density of an entry: share of its chance among all, times that of its point, over
    # the patches and a bin's width.
    everything = policy.propose(seen, 7, 60 * 18)
    share = judged / judged.sum()
    densities = np.array([g.propensity for g in everything]) * STEP / 60 / share
    levels = np.unique(np.round(densities, 3))
    regions = [r for r in seen.regions.regions]
    assert 1 <= len(levels) <= len(regions)  # one density of points for each region
    assert drawn[0].propensity > 0
    many = [policy.propose(seen, seed, 1)[0].probability for seed in range(40)]
    even = make_policy("patch", robot, **options, temperature=0.0)
    flat = [even.propose(seen, seed, 1)[0].probability for seed in range(40)]
    assert np.mean(many) > np.mean(flat)


def test_a_region_that_was_drawn_before_counts_in_the_propensity(robot, seen, checkpoint) -> None:
    # A hand camera sees one region, drawn of several: points in it are so much rarer.
    policy = make_policy("patch", robot, checkpoint=checkpoint, patches=20)
    areas = region_areas(seen, seen.heightmap, "patch")[:1]
    (view,) = seen.views.values()
    one, three = (
        policy._sample(areas, count, seen.heightmap, view, False, np.random.default_rng(0))
        for count in (1, 3)
    )
    np.testing.assert_allclose(one.density, 3 * three.density)
    np.testing.assert_array_equal(one.points, three.points)


def test_fingertips_at_no_height_are_refused(checkpoint) -> None:
    judge = make_policy("patch", load_robot("ur5_rg2"), checkpoint=checkpoint).judge
    patches = np.zeros((3, judge.pixels, judge.pixels, 4), np.uint8)
    assert judge.probabilities(patches, np.zeros(3)).shape == (3, 18)
    with pytest.raises(InvalidImage, match="1 of 3 patches"):
        judge.probabilities(patches, np.array([0.0, np.nan, 0.01]))


def test_reranking_prefers_good_neighbourhoods(robot, seen, checkpoint) -> None:
    options = {"checkpoint": checkpoint, "patches": 150}
    plain = make_policy("patch", robot, **options, rerank=0).propose(seen, 3, 5)
    ranked = make_policy("patch", robot, **options, rerank=10).propose(seen, 3, 5)
    assert all(abs(g.score - g.probability) < 1e-9 for g in plain)
    assert any(abs(g.score - g.probability) > 1e-6 for g in ranked)


def test_nan_depth_is_unknown_height(robot, seen, checkpoint) -> None:
    policy = make_policy("patch", robot, checkpoint=checkpoint, patches=50)
    (name, view), *_ = seen.views.items()
    depth = view.depth.copy()
    depth[::3] = np.nan
    depth[1::7] = 0
    broken = replace(seen, views={name: replace(view, depth=depth)})
    found = policy.propose(broken, 1, 3)
    assert len(found) == 3 and all(np.isfinite(g.pose).all() for g in found)
    nothing = np.full((2, 64, 64), np.nan, np.float32)
    blind = encode(np.zeros((2, 64, 64, 3), np.uint8), nothing)
    assert np.isfinite(policy.judge.probabilities(blind, np.full(2, -0.03))).all()


def test_no_region_and_nothing_to_push(robot, seen, checkpoint) -> None:
    policy = make_policy("patch", robot, checkpoint=checkpoint)
    empty = replace(seen, regions=replace(seen.regions, regions=()))
    assert policy.propose(empty, 1, 3) == []
    assert policy.propose(seen, 1, 3, primitives=(Primitive.PUSH,)) == []
    with pytest.raises(NotReady, match="regions"):
        policy.propose(replace(seen, regions=None), 1, 3)


def test_what_does_not_fit_is_refused_at_once(robot, seen, checkpoint, tmp_path) -> None:
    with pytest.raises(InvalidConfig, match="'electric'"):
        make_policy("patch", load_robot("baxter"), checkpoint=checkpoint)
    with pytest.raises(InvalidConfig, match="valid parameters"):
        make_policy("patch", robot, checkpoints=checkpoint)
    policy = make_policy("patch", robot, checkpoint=checkpoint, patches=50)
    before = policy.propose(seen, 1, 1)[0]
    with pytest.raises(Exception, match="no checkpoint"):
        policy.load_checkpoint(str(tmp_path / "none"))
    assert policy.propose(seen, 1, 1)[0].score == before.score
    assert "policy: patch" in policy.load_checkpoint(checkpoint)


def test_without_a_checkpoint_it_says_how_to_get_one(robot, seen, monkeypatch, tmp_path) -> None:
    from selfgrasp_nodes.policies.patch import policy as module

    monkeypatch.setattr(module, "default_checkpoint", lambda name: tmp_path / name)
    with pytest.raises(NotReady, match="selfgrasp train patch"):
        make_policy("patch", robot).propose(seen, 1, 1)
