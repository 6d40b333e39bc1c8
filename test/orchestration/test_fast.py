"""The fast loop on the real world, planner, policies and labels."""

from __future__ import annotations

import numpy as np
import pytest

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import UnknownName
from selfgrasp_nodes.orchestration.fast import FastLoop
from selfgrasp_nodes.orchestration.sequence import Limits, StopReason
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.objects import ObjectSpec
from selfgrasp_nodes.simulation.scene import Scene, SceneObject
from selfgrasp_nodes.simulation.scenes import random_scene
from selfgrasp_nodes.types import Candidate, OutcomeCode, PhaseCode, Primitive


@pytest.fixture(scope="module")
def loop() -> FastLoop:
    return FastLoop(load_robot("ur5_rg2"), "antipodal")


def cube_at(x: float, y: float) -> Scene:
    cube = SceneObject(ObjectSpec("cube"), (x, y, 0.025), (1.0, 0.0, 0.0, 0.0))
    return Scene("one cube", (cube,))


class Fixed:
    """A policy that proposes what it was given, once each."""

    name = "fixed"
    required_views = ("heightmap",)
    primitives = (Primitive.GRASP, Primitive.PUSH)

    def __init__(self, *candidates: Candidate):
        self.left = list(candidates)

    def look_pose(self, observation, seed):
        return None

    def propose(self, observation, rng_seed=0, max_candidates=10, primitives=(), avoid=()):
        return [self.left.pop(0)] if self.left else []


def grasp(x: float, y: float, z: float = 0.02, width: float = 0.08) -> Candidate:
    return Candidate(Primitive.GRASP, geometry.grasp_pose(x, y, z, 0.0), 0.0, width)


def test_a_cube_is_grasped_and_carried_away(loop: FastLoop) -> None:
    run = loop.run(cube_at(0.05, -0.05), seed=1, limits=Limits(max_cleared=1))
    trial = run.trials[-1]
    assert run.cleared == 1 and trial.outcome.code == OutcomeCode.SUCCESS
    assert run.held[-1] and run.stop_reason == StopReason.CLEARED
    codes = [phase.code for phase in trial.execution.phases]
    assert codes == [PhaseCode.APPROACH, PhaseCode.DESCEND, PhaseCode.ACT, PhaseCode.LIFT]
    assert trial.outcome.width_lifted == pytest.approx(0.05, abs=0.003)
    assert not loop.world.truth()


def test_an_empty_table_ends_the_run_at_once(loop: FastLoop) -> None:
    run = loop.run(Scene("empty", ()), seed=1)
    assert run.trials == () and run.stop_reason == StopReason.EMPTY


def test_a_grasp_beside_the_cube_is_labelled_missed() -> None:
    policy = Fixed(grasp(-0.5, 0.15))
    loop = FastLoop(load_robot("ur5_rg2"), policy)
    run = loop.run(cube_at(0.0, -0.1), seed=2)
    assert [t.outcome.code for t in run.trials] == [OutcomeCode.MISSED]
    assert run.cleared == 0 and len(loop.world.truth()) == 1


def test_a_push_is_labelled_by_the_change_it_makes() -> None:
    def push(x: float, y: float) -> Candidate:
        pose = geometry.push_pose(x, y, 0.02, 0.0)
        return Candidate(Primitive.PUSH, pose, 0.0, push_length=0.1)

    loop = FastLoop(load_robot("ur5_rg2"), Fixed(push(-0.56, 0.0), push(-0.5, 0.15)))
    run = loop.run(cube_at(0.0, 0.0), seed=3)
    codes = [t.outcome.code for t in run.trials]
    assert codes == [OutcomeCode.CHANGED, OutcomeCode.NO_CHANGE]
    assert loop.world.truth()[0].world_T_object[0, 3] > -0.49  # pushed along +x


@pytest.mark.parametrize(
    "candidate, reason",
    [
        (grasp(-0.5, 0.9), "outside the workspace"),
        (grasp(-0.5, 0.0, width=0.3), "stroke"),
        (Candidate(Primitive.GRASP, np.full((4, 4), np.nan), 0.0, 0.08), "NaN"),
    ],
)
def test_a_senseless_candidate_is_refused_before_anything_moves(
    loop: FastLoop, candidate: Candidate, reason: str
) -> None:
    refusing = FastLoop(loop.robot, Fixed(candidate))
    run = refusing.run(cube_at(0.0, 0.0), seed=1)
    assert run.trials[0].outcome.code == OutcomeCode.PLAN_FAILED
    assert reason in run.trials[0].outcome.reason
    assert not run.trials[0].execution.phases


def test_the_same_seed_gives_the_same_run(loop: FastLoop) -> None:
    scene = random_scene(loop.robot, 4, 20001)
    limits = Limits(max_actions=3)
    first, second = (loop.run(scene, seed=5, limits=limits) for _ in range(2))
    for a, b in zip(first.trials, second.trials, strict=True):
        np.testing.assert_array_equal(a.candidate.pose, b.candidate.pose)
        assert a.outcome == b.outcome
    assert first.held == second.held


def test_unknown_policy_lists_the_valid_ones() -> None:
    with pytest.raises(UnknownName, match="antipodal"):
        FastLoop(load_robot("ur5_rg2"), "no-such-policy")


def test_a_policy_hears_of_runs_and_of_what_came_of_its_tries() -> None:
    from selfgrasp_nodes.policies.antipodal import Antipodal, AntipodalParams

    class Heeding(Antipodal):
        heard: list[object] = []

        def begin(self) -> None:
            self.heard.append("begin")

        def learn(self, trial) -> None:
            self.heard.append(trial.outcome.code)

    robot = load_robot("ur5_rg2")
    policy = Heeding(robot, AntipodalParams())
    run = FastLoop(robot, policy).run(cube_at(0.0, 0.0), 1, Limits(max_actions=2, max_cleared=1))
    assert policy.heard == ["begin", *(trial.outcome.code for trial in run.trials)]
    assert run.trials
