"""The whole graph: candidates and postures are executed."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from graph_cases import HOME, a_candidate, joints_now
from scipy.spatial.transform import Rotation
from selfgrasp.action import Execute, MoveArm
from selfgrasp.msg import Status
from selfgrasp.srv import (
    Capture,
    GetTruth,
    Plan,
    PutAway,
)

from selfgrasp_nodes import geometry
from selfgrasp_nodes.nodes import conversions, trial_messages


@pytest.mark.parametrize(
    ("candidate", "code", "words"),
    [
        (a_candidate(x=-0.9), Status.INVALID_CANDIDATE, "outside the workspace"),
        (a_candidate(width=0.3), Status.INVALID_CANDIDATE, "stroke"),
        (a_candidate(arm="third"), Status.UNKNOWN_NAME, "valid: arm"),
    ],
)
def test_bad_candidates_are_refused_before_anything_moves(graph, candidate, code, words) -> None:
    before = joints_now(graph)
    result = graph.send(Execute, "execute", Execute.Goal(candidate=candidate)).result(20.0)
    assert result.code == code and words in result.message
    assert np.abs(joints_now(graph) - before).max() < 0.01


def test_a_pose_that_is_nan_is_refused(graph) -> None:
    candidate = a_candidate()
    candidate.pose.position.z = float("nan")
    result = graph.send(Execute, "execute", Execute.Goal(candidate=candidate)).result(20.0)
    assert result.code == Status.INVALID_CANDIDATE and "not finite" in result.message


def test_an_unreachable_pose_is_refused_with_the_reason(graph) -> None:
    candidate = a_candidate()
    # At the far corner, tilted so that the flange is farther still than the arm is long.
    tilted = geometry.grasp_pose(-0.72, 0.22, 0.02, 0.0)
    inward = np.array([0.956, -0.292, 0.0])
    turn = Rotation.from_rotvec(0.95 * np.cross([0, 0, -1], inward))
    tilted[:3, :3] = turn.as_matrix() @ tilted[:3, :3]
    candidate.pose = conversions.pose_message(tilted)
    before = joints_now(graph)
    result = graph.send(Execute, "execute", Execute.Goal(candidate=candidate)).result(30.0)
    assert result.code == Status.PLANNING_FAILED and "reach" in result.message
    assert np.abs(joints_now(graph) - before).max() < 0.01


def test_plan_only_moves_nothing(graph) -> None:
    graph.empty_table()
    graph.call(Capture, "capture", Capture.Request())
    before = joints_now(graph)
    goal = Execute.Goal(candidate=a_candidate(), plan_only=True, trial_id="only")
    result = graph.send(Execute, "execute", goal).result(30.0)
    assert result.success and len(result.execution.commanded) >= 2, result.message
    assert np.abs(joints_now(graph) - before).max() < 0.01


def test_an_object_is_placed_where_the_goal_says(graph) -> None:
    graph.drop(1, 7)
    planned = graph.call(Plan, "plan", Plan.Request(seed=1, primitives=[0]))
    assert planned.success, planned.message
    grasp = conversions.candidate(planned.candidates[0])
    x, y = (-0.6, -0.12) if grasp.pose[1, 3] > 0 else (-0.6, 0.12)
    place = geometry.grasp_pose(x, y, grasp.pose[2, 3] + 0.002, 0.2)
    goal = Execute.Goal(candidate=planned.candidates[0], trial_id="placed", use_place_pose=True)
    goal.place_pose.header.frame_id = "elsewhere"
    refused = graph.send(Execute, "execute", goal).result(20.0)
    assert refused.code == Status.INVALID_CANDIDATE and "elsewhere" in refused.message
    goal.place_pose = conversions.pose_stamped(place, "world")
    result = graph.send(Execute, "execute", goal).result(60.0)
    assert result.success and result.outcome.code == result.outcome.SUCCESS, result.message
    truth = graph.call(GetTruth, "sim/get_truth", GetTruth.Request()).truth
    at = truth.objects[0].pose.position
    assert np.hypot(at.x - x, at.y - y) < 0.03
    assert np.abs(joints_now(graph) - HOME).max() < 0.05


def test_put_away_of_nothing_names_what_waits(graph) -> None:
    answer = graph.call(PutAway, "put_away", PutAway.Request(trial_id="ghost"))
    assert answer.code == Status.UNKNOWN_NAME and "ghost" in answer.message


def test_an_empty_grasp_is_labelled_missed_and_the_arm_comes_home(graph) -> None:
    graph.empty_table()
    graph.call(Capture, "capture", Capture.Request())
    phases: list[int] = []
    acted: list[bool] = []

    def feedback(message) -> None:
        phases.append(message.feedback.phase.phase)
        acted.append(message.feedback.acted)

    goal = Execute.Goal(candidate=a_candidate(), trial_id="empty", after_acting=Execute.Goal.PLACE)
    result = graph.send(Execute, "execute", goal, feedback).result(60.0)
    assert result.success, result.message
    assert result.outcome.code == result.outcome.MISSED, result.outcome.reason
    done = [phase.phase for phase in result.execution.phases]
    assert done[:4] == [1, 2, 3, 4] and phases[0] == 1 and any(acted)
    trace = trial_messages.trace(result.execution.trace[0])
    assert len(trace.time) > 50 and np.isfinite(trace.width).all()
    assert (np.diff(trace.time) > 0).all()
    assert np.abs(joints_now(graph) - HOME).max() < 0.05


def test_cancelling_an_execution_stops_it_and_home_brings_it_back(graph) -> None:
    graph.empty_table()
    graph.call(Capture, "capture", Capture.Request())
    moving = threading.Event()

    def feedback(message) -> None:
        if message.feedback.phase.phase >= 2:
            moving.set()

    goal = Execute.Goal(candidate=a_candidate(), trial_id="cancelled")
    sent = graph.send(Execute, "execute", goal, feedback)
    assert moving.wait(20.0)
    sent.cancel()
    result = sent.result(10.0)
    assert result.code == Status.CANCELLED
    time.sleep(0.2)
    a = joints_now(graph)
    time.sleep(0.2)
    assert np.abs(joints_now(graph) - a).max() < 0.01
    home = graph.send(MoveArm, "move_arm", MoveArm.Goal(target=MoveArm.Goal.HOME)).result(30.0)
    assert home.success, home.message
    assert np.abs(joints_now(graph) - HOME).max() < 0.05


def test_third_goal_behind_two_is_busy(graph) -> None:
    graph.empty_table()
    graph.call(Capture, "capture", Capture.Request())
    sent = [
        graph.send(Execute, "execute", Execute.Goal(candidate=a_candidate(), trial_id=f"q{i}"))
        for i in range(3)
    ]
    assert sent[2].result(10.0).code == Status.BUSY
    sent[1].cancel()
    sent[0].cancel()
    for goal in sent[:2]:
        assert goal.result(20.0).code == Status.CANCELLED
    assert graph.send(MoveArm, "move_arm", MoveArm.Goal()).result(30.0).success
