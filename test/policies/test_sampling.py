"""The random policies and the eigenvector heuristic, on regions."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from policy_tables import box, observe

from selfgrasp_nodes.errors import EmptyObservation, NotReady
from selfgrasp_nodes.policies import make_policy
from selfgrasp_nodes.policies.eigenvector import principal_axes
from selfgrasp_nodes.policies.ranking import angle_difference
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.types import Primitive, Region, Regions, View


def with_regions(seen):
    """Regions from the true colours: whatever is not the table's white."""
    view = next(iter(seen.views.values()))
    mask = view.color.min(axis=2) < 200
    outlines, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    outlines = sorted(outlines, key=cv2.contourArea, reverse=True)
    regions = tuple(
        Region(i, tuple(cv2.boundingRect(o)), o[:, 0], cv2.contourArea(o), 1 - 0.1 * i)
        for i, o in enumerate(outlines)
        if cv2.contourArea(o) > 30
    )
    return replace(seen, regions=Regions(view.camera, regions, mask))


def uniform_p_value(values, low, high):
    from scipy.stats import kstest

    return kstest(values, "uniform", args=(low, high - low)).pvalue


def test_random_is_uniform_over_the_workspace(robot):
    found = make_policy("random", robot).propose(observe(robot, []), 7, max_candidates=800)
    workspace = robot.workspace.workspace
    x, y = (np.array([c.pose[i, 3] for c in found]) for i in (0, 1))
    assert uniform_p_value(x, workspace.low[0], workspace.high[0]) > 1e-3
    assert uniform_p_value(y, workspace.low[1], workspace.high[1]) > 1e-3
    assert uniform_p_value([c.angle for c in found], 0, np.pi) > 1e-3
    assert found[0].propensity == pytest.approx(1 / (0.448**2 * np.pi))


def test_random_is_repeatable(robot):
    policy, seen = make_policy("random", robot), observe(robot, [])
    a, b, c = (policy.propose(seen, s)[0].pose for s in (1, 1, 2))
    assert np.array_equal(a, b) and not np.allclose(a, c)


def test_roi_samples_lie_in_the_regions_with_the_right_density(robot):
    blocks = [box(-0.1, -0.1, (0.1, 0.05, 0.05)), box(0.1, 0.1, (0.05, 0.05, 0.05), 0.5)]
    seen = with_regions(observe(robot, blocks, scale=1.0))
    found = make_policy("random-roi", robot).propose(seen, 3, max_candidates=400)
    center = np.asarray(robot.workspace.center)
    places = np.array([c.pose[:2, 3] for c in found]) - center
    first = np.linalg.norm(places - [-0.1, -0.1], axis=1) < 0.07
    second = np.linalg.norm(places - [0.1, 0.1], axis=1) < 0.05
    assert (first | second).mean() > 0.97
    # Regions are equally likely, whatever their size.
    assert 0.4 < first.mean() < 0.6
    assert uniform_p_value([c.angle for c in found], 0, np.pi) > 1e-3
    # 1 / (regions * area * pi), for an area of about 100 x 50 mm.
    density = found[int(np.flatnonzero(first)[0])].propensity
    assert density == pytest.approx(1 / (2 * 0.1 * 0.05 * np.pi), rel=0.25)


def test_roi_needs_regions(robot):
    policy = make_policy("random-roi", robot)
    seen = observe(robot, [])
    with pytest.raises(NotReady, match="background subtraction"):
        policy.propose(seen)
    nothing = Regions("overhead", (), np.zeros((240, 320), bool))
    assert policy.propose(replace(seen, regions=nothing)) == []
    with pytest.raises(NotReady, match="capture it first"):
        policy.propose(replace(seen, regions=replace(nothing, background_ready=False)))
    with pytest.raises(EmptyObservation, match="arm was in view"):
        policy.propose(replace(seen, regions=replace(nothing, arm_in_view=True)))
    with pytest.raises(EmptyObservation, match="whose view is not in it"):
        policy.propose(replace(seen, regions=replace(nothing, camera="other")))


def test_without_a_hand_camera_nothing_is_looked_at(robot):
    seen = with_regions(observe(robot, [box(0, 0, (0.05, 0.05, 0.05))]))
    assert make_policy("random-roi", robot).look_pose(seen, 0) is None


@pytest.fixture
def robot_with_hand(robot) -> RobotSpec:
    camera = robot.camera().model_copy(update={"name": "hand"})
    arm = robot.arm().model_copy(update={"hand_camera": "hand"})
    return robot.model_copy(update={"arms": (arm,), "cameras": (*robot.cameras, camera)})


def test_hand_camera_looks_from_25_cm_straight_down(robot_with_hand):
    robot = robot_with_hand
    seen = with_regions(observe(robot, [box(0.05, -0.04, (0.05, 0.05, 0.05))]))
    arm, pose = make_policy("random-roi", robot).look_pose(seen, 5)
    assert arm == "arm"
    assert np.allclose(pose[:3, 2], [0, 0, -1])
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
    assert pose[2, 3] == pytest.approx(0.05 + 0.25, abs=0.006)
    assert np.allclose(pose[:2, 3] - robot.workspace.center, [0.05, -0.04], atol=0.012)


def test_candidate_refers_to_the_hand_cameras_picture(robot_with_hand):
    robot = robot_with_hand
    policy = make_policy("random-roi", robot)
    seen = with_regions(observe(robot, [box(0.05, -0.04, (0.05, 0.05, 0.05))]))
    _, pose = policy.look_pose(seen, 5)
    k = np.array([[400.0, 0, 320], [0, 400.0, 240], [0, 0, 1]])
    depth = np.full((480, 640), pose[2, 3] - 0.05, np.float32)  # all as high as the block
    view = View("hand", np.zeros((480, 640, 3), np.uint8), depth, k, pose)
    looked = replace(seen, views={**seen.views, "hand": view})
    best = policy.propose(looked, 5)[0]
    assert best.view == "hand" and best.arm == "arm"
    ray = pose[:3, :3].T @ (np.array([*best.pose[:2, 3], 0.05]) - pose[:3, 3])
    assert best.pixel == pytest.approx(
        (400 * ray[0] / ray[2] + 320, 400 * ray[1] / ray[2] + 240), abs=8
    )


def test_principal_axes_of_a_rectangle():
    rng = np.random.default_rng(0)
    points = rng.uniform([-0.05, -0.02], [0.05, 0.02], (20000, 2))
    c, s = np.cos(0.4), np.sin(0.4)
    center, axes, extents = principal_axes(points @ np.array([[c, s], [-s, c]]))
    assert np.allclose(center, 0, atol=1e-3)
    assert extents == pytest.approx([0.04, 0.1], rel=0.02)
    assert abs(axes[0] @ [-s, c]) > 0.999


def test_eigenvector_takes_centre_and_smallest_width(robot):
    seen = with_regions(observe(robot, [box(0.02, 0.05, (0.1, 0.05, 0.025), 1.1)]))
    best = make_policy("eigenvector", robot).propose(seen)[0]
    assert angle_difference(best.angle, 1.1 + np.pi / 2, np.pi) < np.deg2rad(12)
    assert np.allclose(best.pose[:2, 3] - robot.workspace.center, [0.02, 0.05], atol=0.012)
    assert best.width == robot.arm().gripper.width_max


def test_eigenvector_leaves_what_is_too_thin(robot):
    seen = with_regions(observe(robot, [box(0, 0, (0.08, 0.02, 0.05), 0.3)]))
    gripper = robot.arm().gripper.model_copy(update={"width_min": 0.037})
    arm = robot.arm().model_copy(update={"gripper": gripper})
    thick_only = robot.model_copy(update={"arms": (arm,)})
    assert make_policy("eigenvector", robot).propose(seen)
    assert make_policy("eigenvector", thick_only).propose(seen) == []
    # The paper's letter: only the largest extent counts.
    assert make_policy("eigenvector", thick_only, thin_axis="largest").propose(seen)


@pytest.mark.parametrize("name", ["random", "random-roi", "eigenvector"])
def test_tips_stay_above_the_table(robot, name):
    from selfgrasp_nodes.robots.gripper import tcp_distance

    seen = with_regions(observe(robot, [box(0, 0, (0.05, 0.05, 0.025))]))
    gripper = robot.arm().gripper
    for candidate in make_policy(name, robot).propose(seen, 1):
        assert candidate.primitive is Primitive.GRASP
        flange = candidate.pose[2, 3] + tcp_distance(gripper, candidate.width)
        deepest = max(tcp_distance(gripper, w) for w in np.linspace(0, gripper.width_max, 30))
        assert flange - deepest - gripper.pad_length / 2 >= 0.003 - 1e-4
