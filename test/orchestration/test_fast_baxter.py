"""The fast loop on a robot with two arms and a camera on each hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidScene, PlanningFailed, Unavailable
from selfgrasp_nodes.orchestration.fast import FastLoop
from selfgrasp_nodes.orchestration.fast_ports import FastObserver
from selfgrasp_nodes.orchestration.sequence import Event, Limits
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.objects import ObjectSpec
from selfgrasp_nodes.simulation.scene import Scene, SceneObject
from selfgrasp_nodes.simulation.scenes import random_scene
from selfgrasp_nodes.types import Candidate, OutcomeCode, Primitive

ROBOT = load_robot("baxter")
CENTER = np.array(ROBOT.workspace.center)
CUBE = (0.02, -0.03)  # of the cube, from the workspace's centre


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


def cube_at(x: float, y: float) -> Scene:
    cube = SceneObject(ObjectSpec("cube"), (x, y, 0.025), (1.0, 0.0, 0.0, 0.0))
    return Scene("one cube", (cube,))


def grasp(x: float, y: float, arm: str) -> Candidate:
    pose = geometry.grasp_pose(CENTER[0] + x, CENTER[1] + y, 0.025, 0.0)
    return Candidate(Primitive.GRASP, pose, 0.0, width=0.075, arm=arm)


@pytest.fixture(scope="module")
def fixed():
    policy = Fixed()
    return FastLoop(ROBOT, policy), policy


@pytest.fixture(scope="module")
def random_loop():
    return FastLoop(ROBOT, "random-roi")


@pytest.mark.parametrize("arm, y", [("left", 0.1), ("right", -0.1), ("left", -0.1), ("", 0.0)])
def test_each_arm_grasps_a_cube(fixed, arm: str, y: float) -> None:
    loop, policy = fixed
    policy.left = [grasp(0.0, y, arm)]
    run = loop.run(cube_at(0.0, y), seed=1)
    (trial,) = run.trials
    assert trial.outcome.code == OutcomeCode.SUCCESS, trial.outcome.reason
    assert run.cleared == 1 and len(run.held[0]) == 1
    assert trial.candidate.arm == arm or (not arm and trial.candidate.arm in ("left", "right"))
    assert trial.outcome.width_lifted == pytest.approx(0.05, abs=0.003)
    assert not loop.world.truth()


def looked(loop, arm, x, y, height=0.30, yaw=0.0):
    """What the observer sees from above a point, and the pose that was asked for."""
    c, s = np.cos(yaw), np.sin(yaw)
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2] = (c, s, 0), (s, -c, 0), (0, 0, -1)
    pose[:3, 3] = (CENTER[0] + x, CENTER[1] + y, height)
    before = loop._observer.observe()
    return before, loop._observer.look(before, arm, pose), pose


@pytest.mark.parametrize("arm", ["left", "right"])
@pytest.mark.parametrize("yaw", [0.0, 1.0])
def test_look_adds_the_hand_cameras_view_at_the_pose(random_loop, arm: str, yaw: float) -> None:
    loop = random_loop
    loop.world.reset(cube_at(*CUBE), 1)
    before, after, pose = looked(loop, arm, 0.0, 0.0, yaw=yaw)
    camera = f"{arm}_hand_camera"
    assert set(after.views) == {"head", camera} and set(before.views) == {"head"}
    assert after.id != before.id and after.heightmap is before.heightmap
    view = after.views[camera]
    assert view.depth.shape == (720, 1280)
    np.testing.assert_allclose(view.world_T_camera, pose, atol=1e-4)
    # The middle of the cube's upper face, projected: its height is what is measured there.
    top = np.array([*(CENTER + CUBE), 0.05])
    local = pose[:3, :3].T @ (top - pose[:3, 3])
    u, v = (round(float(c)) for c in geometry.project(view.intrinsics, local))
    patch = view.depth[v - 3 : v + 4, u - 3 : u + 4]
    assert np.median(patch[patch > 0]) == pytest.approx(0.25, abs=0.002)
    # Beside it the table is seen, so that the projection is right to a centimetre.
    outside = local + pose[:3, :3].T @ np.array([0.035, 0.0, -0.05])
    u, v = (round(float(c)) for c in geometry.project(view.intrinsics, outside))
    patch = view.depth[v - 3 : v + 4, u - 3 : u + 4]
    assert np.median(patch[patch > 0]) == pytest.approx(0.30, abs=0.002)


def test_after_a_look_the_arm_is_home_and_nothing_has_moved(random_loop) -> None:
    loop = random_loop
    loop.world.reset(cube_at(*CUBE), 1)
    loop._observer.observe()
    rest = loop.world.truth()[0].world_T_object.copy()
    now = loop.world.time
    looked(loop, "left", *CUBE)
    # Noise of the joint readings aside.
    np.testing.assert_allclose(
        loop.world.joint_state("left")[0], ROBOT.arm("left").home, atol=0.002
    )
    np.testing.assert_allclose(loop.world.truth()[0].world_T_object, rest, atol=1e-4)
    assert loop.world.time - now <= 2.1e9


def test_a_look_out_of_reach_is_refused_before_anything_moves(random_loop) -> None:
    loop = random_loop
    loop.world.reset(cube_at(*CUBE), 1)
    with pytest.raises(PlanningFailed):
        looked(loop, "left", 0.9, 0.0)
    np.testing.assert_allclose(
        loop.world.joint_state("left")[0], ROBOT.arm("left").home, atol=0.002
    )


def test_a_robot_without_hand_cameras_says_so(random_loop) -> None:
    blind = [arm.model_copy(update={"hand_camera": ""}) for arm in ROBOT.arms]
    robot = ROBOT.model_copy(update={"arms": tuple(blind)})
    observer = FastObserver(random_loop.world, ("heightmap",), random_loop.planner)
    random_loop.world.reset(cube_at(*CUBE), 1)
    before = observer.observe()
    observer._world = type("World", (), {"robot": robot})()
    with pytest.raises(Unavailable, match="no hand camera"):
        observer.look(before, "left", np.eye(4))


def test_random_trials_sample_from_the_hand_cameras_view(random_loop) -> None:
    events: list[Event] = []
    limits = Limits(max_actions=1)
    run = random_loop.run(cube_at(0.0, 0.08), 4, limits, on_event=events.append)
    assert [e.state.name for e in events].count("LOOK") == 1
    (trial,) = run.trials
    first = trial.candidate
    assert first.view == "left_hand_camera" and first.arm == "left"
    assert set(trial.before.views) == {"head", "left_hand_camera"}
    view = trial.before.views[first.view]
    # The pixel looks at where the grasp is aimed at.
    local = geometry.inverse(view.world_T_camera) @ np.array([*first.pose[:2, 3], 0.05, 1])
    np.testing.assert_allclose(geometry.project(view.intrinsics, local[:3]), first.pixel, atol=12)


def test_a_finger_in_the_hand_cameras_view_is_no_surface(random_loop) -> None:
    loop = random_loop
    loop.world.reset(cube_at(*CUBE), 1)
    _, after, _ = looked(loop, "left", *CUBE)
    view = after.views["left_hand_camera"]
    hidden = replace(
        after, views={**after.views, view.camera: replace(view, depth=view.depth * 0.4)}
    )
    plain = loop._policy.propose(after, 7, 3)
    fingers = loop._policy.propose(hidden, 7, 3)
    for a, b in zip(plain, fingers, strict=True):
        np.testing.assert_allclose(a.pose[:3, 3], b.pose[:3, 3], atol=0.006)


def test_random_scenes_have_blocks_that_the_gripper_can_hold() -> None:
    kinds = {o.spec.shape for seed in range(12) for o in random_scene(ROBOT, 5, seed).objects}
    assert kinds <= set(ROBOT.blocks) and "plank" not in kinds and len(kinds) >= 6
    only = random_scene(ROBOT, 3, 1, ("brick",))
    assert {o.spec.shape for o in only.objects} == {"brick"}
    with pytest.raises(InvalidScene, match=r"valid: .*brick"):
        random_scene(ROBOT, 1, 1, ("teapot",))
