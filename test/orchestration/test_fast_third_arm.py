"""A robot that the code knows nothing of: a YAML and an xacro, and it grasps."""

from __future__ import annotations

import numpy as np
import pinocchio as pin
import pytest

from selfgrasp_nodes import geometry
from selfgrasp_nodes.orchestration.fast import FastLoop
from selfgrasp_nodes.orchestration.sequence import Limits
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.robots.urdf import expand_urdf, package_path
from selfgrasp_nodes.simulation import physics_check as checks
from selfgrasp_nodes.simulation.model import PhysicsOptions
from selfgrasp_nodes.simulation.objects import ObjectSpec
from selfgrasp_nodes.simulation.scene import Scene, SceneObject
from selfgrasp_nodes.simulation.scenes import random_scene
from selfgrasp_nodes.types import Candidate, OutcomeCode, Primitive

ROBOT = load_robot("panda")
CENTER = np.array(ROBOT.workspace.center)


class Fixed:
    """A policy that proposes what it was given, once each."""

    name = "fixed"
    required_views = ("heightmap",)
    primitives = (Primitive.GRASP,)

    def __init__(self):
        self.left = []

    def look_pose(self, observation, seed):
        return None

    def propose(self, observation, rng_seed=0, max_candidates=10, primitives=(), avoid=()):
        return [self.left.pop(0)] if self.left else []


def test_no_code_knows_the_robot() -> None:
    for path in (share_dir() / "selfgrasp_nodes").rglob("*.py"):
        assert "panda" not in path.read_text(encoding="utf-8").lower(), path


def test_it_moves_as_the_published_description_says() -> None:
    model = pin.buildModelFromXML(expand_urdf(ROBOT))
    file = package_path("package://panda_description/urdf/panda.urdf")
    published = pin.buildModelFromUrdf(str(file))
    places = []
    rng = np.random.default_rng(4)
    q = rng.uniform(-1, 1, (10, 7))
    for one in (model, published):
        data, frames = one.createData(), []
        for joints in q:
            full = pin.neutral(one)
            for name, value in zip(ROBOT.arms[0].joints, joints, strict=True):
                full[one.idx_qs[one.getJointId(name)]] = value
            pin.framesForwardKinematics(one, data, full)
            frames.append(data.oMf[one.getFrameId("panda_hand")].homogeneous)
        places.append(np.array(frames))
    np.testing.assert_allclose(places[0], places[1], atol=1e-9)
    masses = [sum(i.mass for i in m.inertias[1:]) for m in (model, published)]
    assert masses[0] == pytest.approx(masses[1], rel=1e-3)
    for name in ROBOT.arms[0].joints:
        mine, other = model.getJointId(name), published.getJointId(name)
        for limit in ("lowerPositionLimit", "upperPositionLimit", "velocityLimit", "effortLimit"):
            a = getattr(model, limit)[model.idx_qs[mine]]
            assert a == getattr(published, limit)[published.idx_qs[other]], (name, limit)


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_it_grasps_a_cube(angle: float) -> None:
    policy = Fixed()
    loop = FastLoop(ROBOT, policy)
    x, y = CENTER + np.array((0.05, -0.08))
    turn = (float(np.cos(angle / 2)), 0.0, 0.0, float(np.sin(angle / 2)))
    cube = SceneObject(ObjectSpec("cube"), (0.05, -0.08, 0.025), turn)
    pose = geometry.grasp_pose(x, y, 0.025, angle)
    policy.left = [Candidate(Primitive.GRASP, pose, angle, width=0.08, arm="arm")]
    run = loop.run(Scene("one cube", (cube,)), seed=1)
    (trial,) = run.trials
    assert trial.outcome.code == OutcomeCode.SUCCESS, trial.outcome.reason
    assert run.cleared == 1 and len(run.held[0]) == 1
    assert trial.outcome.width_lifted == pytest.approx(0.05, abs=0.003)


def test_a_policy_sees_and_chooses_with_it() -> None:
    """What the camera shows, the antipodal policy grasps: nothing is told where objects are."""
    run = FastLoop(ROBOT, "antipodal").run(random_scene(ROBOT, 3, 2), 2, Limits(max_actions=6))
    assert run.cleared >= 2, [t.outcome.reason for t in run.trials]


@pytest.mark.parametrize("check", list(checks.CELL_CHECKS))
def test_physics_of_the_cell(check: str) -> None:
    result = checks.CELL_CHECKS[check](ROBOT, PhysicsOptions())
    assert result.passed, result


@pytest.mark.parametrize("check", list(checks.ARM_CHECKS))
def test_physics_of_the_arm(check: str) -> None:
    result = checks.ARM_CHECKS[check](ROBOT, PhysicsOptions(), ROBOT.arms[0])
    assert result.passed, result
