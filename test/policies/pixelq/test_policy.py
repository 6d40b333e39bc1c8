"""The policy behind the policies' protocol."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from policy_tables import box, cylinder, observe

torch = pytest.importorskip("torch")

from pixelq_checkpoints import NETWORK, write_checkpoint  # noqa: E402

from selfgrasp_nodes.errors import (  # noqa: E402
    EmptyObservation,
    InvalidConfig,
    InvalidImage,
    NotReady,
)
from selfgrasp_nodes.motion.candidates import check_candidate  # noqa: E402
from selfgrasp_nodes.policies import make_policy  # noqa: E402
from selfgrasp_nodes.policies.pixelq.actions import pose_to_pixel  # noqa: E402
from selfgrasp_nodes.policies.pixelq.state import make_state  # noqa: E402
from selfgrasp_nodes.robots import load_robot  # noqa: E402
from selfgrasp_nodes.types import (  # noqa: E402
    Execution,
    Heightmap,
    Observation,
    Outcome,
    OutcomeCode,
    Primitive,
    Trial,
    Workspace,
)


@pytest.fixture(scope="module")
def seen(robot) -> Observation:
    shapes = [
        box(-0.08, 0.05, (0.05, 0.05, 0.05), 0.3, color=(200, 60, 60)),
        box(0.06, -0.06, (0.1, 0.05, 0.025), 1.0, color=(60, 60, 200)),
        cylinder(0.1, 0.1, 0.045, 0.05),
    ]
    return observe(robot, shapes)


def test_ranked_repeatable_and_executable(robot, seen, checkpoint) -> None:
    policy = make_policy("pixelq", robot, checkpoint=checkpoint)
    found = policy.propose(seen, 1, 8)
    assert len(found) == 8 and {c.primitive for c in found} == set(Primitive)
    for candidate in found:
        check_candidate(candidate, robot, robot.arms[0])
        pixel = pose_to_pixel(robot.workspace.workspace, candidate.primitive, candidate.pose)
        assert (pixel.col, pixel.row) == candidate.pixel
        assert pixel.rotation == candidate.rotation_index
        assert candidate.policy == "pixelq" and len(candidate.checkpoint_digest) == 64
        assert 0 <= candidate.score <= 1
        assert np.isfinite(candidate.probability) == (candidate.primitive is Primitive.GRASP)
    for primitive in Primitive:
        scores = [c.score for c in found if c.primitive is primitive]
        assert all(a >= b for a, b in itertools.pairwise(scores))
    # What is worth more comes first.
    best = {p: max(c.score for c in found if c.primitive is p) for p in Primitive}
    assert found[0].primitive is max(best, key=best.get)
    again = policy.propose(seen, 2, 8)
    assert [c.pixel for c in again] == [c.pixel for c in found]


def test_only_what_is_asked_for(robot, seen, checkpoint) -> None:
    policy = make_policy("pixelq", robot, checkpoint=checkpoint)
    for primitive in Primitive:
        found = policy.propose(seen, 1, 5, primitives=(primitive,))
        assert len(found) == 5 and {c.primitive for c in found} == {primitive}
    assert policy.propose(seen, 1, 0) == []
    assert policy.propose(seen, 1, 5, primitives=()) == []
    assert policy.propose(seen, 1, 5000) != []


def test_failures_change_the_order(robot, seen, checkpoint) -> None:
    policy = make_policy("pixelq", robot, checkpoint=checkpoint)
    for primitive in Primitive:
        first = policy.propose(seen, 1, 5, primitives=(primitive,))[0]
        other = policy.propose(seen, 1, 5, primitives=(primitive,), avoid=[first] * 5)[0]
        assert other.pixel != first.pixel or other.rotation_index != first.rotation_index


def test_exploring_draws_primitives_and_pixels(robot, seen, checkpoint) -> None:
    policy = make_policy("pixelq", robot, checkpoint=checkpoint, epsilon=1.0)
    first = {policy.propose(seen, seed, 4)[0].primitive for seed in range(12)}
    assert first == set(Primitive)
    hot = make_policy("pixelq", robot, checkpoint=checkpoint, select="sample", temperature=1.0)
    assert len({hot.propose(seen, seed, 4)[0].pixel for seed in range(8)}) > 4


def test_exploring_confines_grasps_to_one_opening(robot, seen, checkpoint) -> None:
    policy = make_policy("pixelq", robot, checkpoint=checkpoint, openings=1.0)
    drawn = set()
    for seed in range(12):
        grasps = policy.propose(seen, seed, 10, (Primitive.GRASP,))
        (width,) = {c.width for c in grasps}
        drawn.add(width)
    assert drawn == set(policy.values.network.widths) and len(drawn) > 1


def test_push_weight_decides_between_primitives(robot, seen, checkpoint) -> None:
    eager = make_policy("pixelq", robot, checkpoint=checkpoint, push_weight=10.0)
    never = make_policy("pixelq", robot, checkpoint=checkpoint, push_weight=1e-6)
    assert eager.propose(seen, 1, 4)[0].primitive is Primitive.PUSH
    assert never.propose(seen, 1, 4)[0].primitive is Primitive.GRASP


def test_grasps_are_calibrated_and_keep_their_order(robot, seen, checkpoint, tmp_path) -> None:
    sober = {"grasp_scale": 0.5, "grasp_offset": -1.0}
    path = write_checkpoint(robot, tmp_path / "net", calibration=sober)
    plain, calm = (
        make_policy("pixelq", robot, checkpoint=str(p)).propose(seen, 1, 6, (Primitive.GRASP,))
        for p in (checkpoint, path)
    )
    assert [c.pixel for c in plain] == [c.pixel for c in calm]
    for a, b in zip(plain, calm, strict=True):
        odds = 0.5 * np.log(a.score / (1 - a.score)) - 1
        assert b.probability == pytest.approx(1 / (1 + np.exp(-odds)))


def test_a_checkpoint_of_grasps_alone_never_pushes(robot, seen, tmp_path) -> None:
    path = write_checkpoint(robot, tmp_path / "net", {"primitives": ["grasp"]})
    policy = make_policy("pixelq", robot, checkpoint=str(path))
    assert policy.primitives == (Primitive.GRASP,)
    assert {c.primitive for c in policy.propose(seen, 1, 20)} == {Primitive.GRASP}


def test_bad_heightmaps(robot, seen, checkpoint) -> None:
    policy = make_policy("pixelq", robot, checkpoint=checkpoint)
    assert policy.propose(observe(robot, []), 1, 5) == []
    nothing = replace(seen.heightmap, valid=np.zeros((224, 224), bool))
    with pytest.raises(EmptyObservation, match="no valid cell"):
        policy.propose(replace(seen, heightmap=nothing), 1, 5)
    height = seen.heightmap.height.copy()
    height[5, 5] = np.nan
    with pytest.raises(InvalidImage, match="NaN"):
        policy.propose(replace(seen, heightmap=replace(seen.heightmap, height=height)), 1, 5)
    coarse = Heightmap(
        Workspace((-0.5, 0.0), resolution=0.004),
        np.zeros((112, 112, 3), np.uint8),
        np.zeros((112, 112), np.float32),
        np.ones((112, 112), bool),
    )
    with pytest.raises(InvalidImage, match="112 x 112 cells of 4 mm"):
        policy.propose(replace(seen, heightmap=coarse), 1, 5)
    with pytest.raises(EmptyObservation, match="none"):
        policy.propose(replace(seen, heightmap=None), 1, 5)


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("cells", 112, "112 x 112 cells"),
        ("resolution", 0.004, "cells of 4 mm"),
        ("rotations", 8, "at 8 rotations"),
        ("strokes", {"depth": "deep"}, "wrong one"),
        ("strokes", None, "wrong one"),
    ],
)
def test_a_checkpoint_of_another_geometry_is_refused(robot, tmp_path, entry, value, message):
    from selfgrasp_nodes.policies.pixelq.actions import Strokes
    from selfgrasp_nodes.policies.pixelq.values import input_card

    path = write_checkpoint(robot, tmp_path / "net", input={**input_card(Strokes()), entry: value})
    with pytest.raises(InvalidConfig, match=message):
        make_policy("pixelq", robot, checkpoint=str(path))


def test_other_checkpoints_and_robots_are_refused(robot, seen, checkpoint, tmp_path) -> None:
    with pytest.raises(InvalidConfig, match="'electric'"):
        make_policy("pixelq", load_robot("baxter"), checkpoint=checkpoint)
    wide = robot.model_copy(
        update={"workspace": robot.workspace.model_copy(update={"resolution": 0.004})}
    )
    with pytest.raises(InvalidConfig, match="112 x 112 cells of 4 mm"):
        make_policy("pixelq", wide, checkpoint=checkpoint)
    foreign = write_checkpoint(robot, tmp_path / "a", policy="patch")
    with pytest.raises(InvalidConfig, match="for policy 'patch'"):
        make_policy("pixelq", robot, checkpoint=str(foreign))
    other = {**NETWORK, "filters": 9, "output": "probability"}
    misfit = write_checkpoint(robot, tmp_path / "b", network=other)
    with pytest.raises(InvalidConfig, match="do not fit"):
        make_policy("pixelq", robot, checkpoint=str(misfit))
    policy = make_policy("pixelq", robot, checkpoint=checkpoint)
    before = policy.propose(seen, 1, 1)[0].score
    with pytest.raises(Exception, match="no checkpoint"):
        policy.load_checkpoint(str(tmp_path / "none"))
    assert policy.propose(seen, 1, 1)[0].score == before
    assert "policy: pixelq" in policy.load_checkpoint(checkpoint)


def test_without_a_checkpoint_it_says_how_to_get_one(robot, seen, monkeypatch, tmp_path) -> None:
    from selfgrasp_nodes.policies.pixelq import policy as module

    monkeypatch.setattr(module, "default_checkpoint", lambda name: tmp_path / name)
    with pytest.raises(NotReady, match="selfgrasp train pixelq"):
        make_policy("pixelq", robot).propose(seen, 1, 1)


def trial(seen: Observation, candidate, code: OutcomeCode) -> Trial:
    return Trial(
        "t", "r", "0", 0, 0, "ur5_rg2", "", "", candidate, Outcome(code),
        Execution(candidate, (), None), seen.id, seen.id, before=seen, after=seen,
    )  # fmt: skip


def test_learning_while_running_is_off_by_default_and_forgotten(robot, seen, checkpoint) -> None:
    plain = make_policy("pixelq", robot, checkpoint=checkpoint, smooth=False)
    first = plain.propose(seen, 1, 4, primitives=(Primitive.GRASP,))[0]
    plain.learn(trial(seen, first, OutcomeCode.MISSED))
    assert plain.propose(seen, 1, 4, primitives=(Primitive.GRASP,))[0].score == first.score
    assert plain.params.learn is False and plain.params.learn_rate == 1e-5

    learning = make_policy("pixelq", robot, checkpoint=checkpoint, learn=True, learn_rate=0.01)

    def worth() -> float:
        state = make_state(seen.heightmap)
        scored = learning.values.evaluate(state, (Primitive.GRASP,))
        col, row = first.pixel
        mine = (scored.row == row) & (scored.col == col)
        mine &= scored.rotation == first.rotation_index
        return float(scored.value[mine].max())

    before = worth()
    assert before == pytest.approx(first.score)
    for _ in range(3):
        learning.learn(trial(seen, first, OutcomeCode.MISSED))
    assert worth() < before - 1e-3
    # What has no label, or was another policy's, teaches nothing.
    now = worth()
    learning.learn(trial(seen, first, OutcomeCode.CANCELLED))
    learning.learn(trial(seen, replace(first, policy="antipodal"), OutcomeCode.MISSED))
    assert worth() == now
    learning.begin()
    assert worth() == before


def test_values_below_nothing_are_ranked_too(robot, seen, checkpoint) -> None:
    """As a network has them that learns values, not chances."""
    policy = make_policy("pixelq", robot, checkpoint=checkpoint)
    raw = policy.values.evaluate

    def lowered(*args, **kwargs):
        found = raw(*args, **kwargs)
        return replace(found, value=found.value - 2.0)

    usual = policy.propose(seen, 1, 6)
    object.__setattr__(policy.values, "evaluate", lowered)
    low = policy.propose(seen, 1, 6)
    assert len(low) == 6 and {c.primitive for c in low} == set(Primitive)
    assert all(c.score < 0 for c in low)
    for primitive in Primitive:
        first = [next(c for c in found if c.primitive is primitive) for found in (usual, low)]
        assert first[0].pixel == first[1].pixel
    picky = make_policy("pixelq", robot, checkpoint=checkpoint, min_value=2.0)
    assert picky.propose(seen, 1, 6) == []
