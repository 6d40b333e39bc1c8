from __future__ import annotations

import numpy as np
import pytest
from policy_tables import box, observe

from selfgrasp_nodes.geometry import push_angle
from selfgrasp_nodes.policies import make_policy
from selfgrasp_nodes.policies.push_heuristic import stroke_inside
from selfgrasp_nodes.types import Primitive


@pytest.fixture(scope="module")
def policy(robot):
    return make_policy("push-heuristic", robot)


def test_pushes_start_in_free_room_and_meet_the_object(policy, robot):
    block = box(0.0, 0.0, (0.06, 0.06, 0.05), 0.3)
    found = policy.propose(observe(robot, [block]))
    assert found
    for push in found:
        assert push.primitive is Primitive.PUSH
        assert push_angle(push.pose) == pytest.approx(push.angle)
        start = push.pose[:2, 3] - np.asarray(robot.workspace.center)
        c, s = np.cos(0.3), np.sin(0.3)
        local = np.array([c * start[0] + s * start[1], -s * start[0] + c * start[1]])
        assert np.abs(local).max() > 0.03 + 0.01  # outside the block, room for a finger
        direction = np.array([np.cos(push.angle), np.sin(push.angle)])
        # The stroke's line passes through the block.
        assert abs(direction[0] * start[1] - direction[1] * start[0]) < 0.035
        assert direction @ -start > 0
        assert 0.015 < push.pose[2, 3] < 0.04


def test_an_object_at_the_edge_is_pushed_inward(policy, robot):
    best = policy.propose(observe(robot, [box(0.0, 0.16, (0.05, 0.05, 0.05))]))[0]
    assert np.sin(best.angle) < 0.2


def test_strokes_end_inside_the_workspace(policy, robot):
    workspace = robot.workspace.workspace
    rng = np.random.default_rng(1)
    blocks = [box(*rng.uniform(-0.18, 0.18, 2), (0.05, 0.05, 0.05), i) for i in range(6)]
    for push in policy.propose(observe(robot, blocks), max_candidates=20):
        end = push.pose[:2, 3] + push.push_length * np.array(
            [np.cos(push.angle), np.sin(push.angle)]
        )
        assert workspace.contains(*end)
        assert 0.04 <= push.push_length <= 0.1


def test_stroke_is_clipped():
    from selfgrasp_nodes.types import Workspace

    length = stroke_inside(
        Workspace((0.0, 0.0)), np.array([0.2, 0.0]), np.zeros(2), np.array([0.0, 0.0]), 0.1
    )
    assert length == pytest.approx([0.024, 0.1])


def test_empty_table_and_other_primitives(policy, robot):
    assert policy.propose(observe(robot, [])) == []
    seen = observe(robot, [box(0, 0, (0.05, 0.05, 0.05))])
    assert policy.propose(seen, primitives=(Primitive.GRASP,)) == []


def walled(robot):
    """Nine flush blocks, too wide together: no finger fits anywhere."""
    return observe(
        robot,
        [
            box(0.05 * i, 0.05 * j, (0.05, 0.05, 0.05), color=(60 * i + 90, 60 * j + 90, 120))
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
        ],
    )


def test_combined_pushes_where_nothing_can_be_grasped(robot):
    policy = make_policy("antipodal+push", robot)
    assert policy.propose(walled(robot))[0].primitive is Primitive.PUSH
    free = observe(robot, [box(0, 0, (0.05, 0.05, 0.05))])
    assert policy.propose(free)[0].primitive is Primitive.GRASP
    assert policy.propose(free, primitives=(Primitive.PUSH,))[0].primitive is Primitive.PUSH


def test_strokes_along_an_axis_are_cut_alike_at_all_four_borders(robot) -> None:
    workspace = robot.workspace.workspace
    middle = (workspace.low + workspace.high) / 2
    for k in range(4):
        angle = k * np.pi / 2
        ahead = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-ahead[1], ahead[0]])
        half = (workspace.high - workspace.low)[0] / 2
        # Near either border that it runs along: no stroke inside the margin, a whole one beyond.
        for side in (1, -1):
            for inset, wanted in ((0.02, 0.0), (0.10, 0.1)):
                x, y = middle + across * side * (half - inset)
                found = stroke_inside(
                    workspace, np.array([x]), np.array([y]), np.array([angle]), 0.1, border=0.09
                )
                assert found == pytest.approx(wanted, abs=1e-9), (k, side, inset)
