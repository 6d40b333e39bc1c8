"""The whole graph: it sees, decides, labels, picks and records."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from graph_cases import ARM, a_candidate, forget, joints_now
from selfgrasp.action import ClearTable, MoveArm, Pick
from selfgrasp.msg import Observation, Status
from selfgrasp.srv import (
    Capture,
    Label,
    LoadCheckpoint,
    Plan,
)
from sensor_msgs.msg import JointState

from selfgrasp_nodes.nodes import conversions
from selfgrasp_nodes.trials.reader import RunReader


def test_capture_is_newer_than_the_request(graph) -> None:
    graph.drop(3, 5)
    before = graph.call(Capture, "capture", Capture.Request(require_arm_clear=True))
    after = graph.call(Capture, "capture", Capture.Request(require_arm_clear=True))
    assert before.success and after.success, after.message
    assert after.observation.observation_id != before.observation.observation_id
    at = [conversions.stamp(a.observation.header.stamp) for a in (before, after)]
    assert at[1] > at[0]
    heightmap = conversions.heightmap(after.observation.heightmap[0])
    assert 0.01 < heightmap.height.max() < 0.2


def test_an_unknown_policy_is_refused_with_the_names(graph) -> None:
    answer = graph.call(Plan, "plan", Plan.Request(policy="clairvoyant"))
    assert answer.code == Status.UNKNOWN_NAME and "antipodal" in answer.message


def test_plan_with_and_without_an_observation(graph) -> None:
    graph.drop(3, 5)
    taken = graph.call(Capture, "capture", Capture.Request(require_arm_clear=True))
    given = graph.call(Plan, "plan", Plan.Request(observation=[taken.observation], seed=1))
    again = graph.call(Plan, "plan", Plan.Request(observation=[taken.observation], seed=1))
    fresh = graph.call(Plan, "plan", Plan.Request(seed=1, max_candidates=2))
    assert given.success and given.observation_id == taken.observation.observation_id
    assert [c.pose for c in given.candidates] == [c.pose for c in again.candidates]
    assert fresh.success and 1 <= len(fresh.candidates) <= 2
    scores = [c.score for c in given.candidates]
    assert scores == sorted(scores, reverse=True)


def test_an_empty_table_is_said_to_be_empty(graph) -> None:
    graph.empty_table()
    answer = graph.call(Plan, "plan", Plan.Request(seed=1))
    assert answer.code == Status.EMPTY_OBSERVATION and not answer.candidates


def test_a_policy_without_checkpoint_says_so(graph) -> None:
    answer = graph.call(LoadCheckpoint, "load_checkpoint", LoadCheckpoint.Request(path="/x"))
    assert answer.code == Status.UNKNOWN_NAME and "checkpoint" in answer.message


def test_a_label_without_what_it_needs_is_refused(graph) -> None:
    answer = graph.call(Label, "label", Label.Request(candidate=a_candidate(arm="arm")))
    assert answer.code == Status.INVALID_CANDIDATE and "phases" in answer.message
    old = Label.Request(candidate=a_candidate(arm="arm"), rule_version="grasp/0")
    answer = graph.call(Label, "label", old)
    assert answer.code == Status.UNKNOWN_NAME and "grasp/" in answer.message


def test_policy_and_label_never_hear_simulator_truth(graph) -> None:
    limit = time.monotonic() + 10
    while not graph.node.get_publishers_info_by_topic("/sim/truth"):
        assert time.monotonic() < limit
        time.sleep(0.1)
    heard_by = {i.node_name for i in graph.node.get_subscriptions_info_by_topic("/sim/truth")}
    assert not heard_by & {"policy", "label", "heightmap", "roi", "motion", "picker", "recorder"}
    for name in ("policy", "label"):
        topics = dict(graph.node.get_subscriber_names_and_types_by_node(name, "/"))
        clients = dict(graph.node.get_client_names_and_types_by_node(name, "/"))
        assert topics, f"{name} hears nothing at all?"
        assert not [t for t in (*topics, *clients) if "/sim/" in t]


# -- picker and recorder


def test_the_picker_clears_the_table_and_records_it(graph) -> None:
    graph.drop(3, 3)
    observed: list[str] = []
    subscription = graph.node.create_subscription(
        Observation, "observation", lambda m: observed.append(m.observation_id), 10
    )
    feedback: list = []
    goal = ClearTable.Goal(seed=3, max_actions=15)
    first = graph.send(ClearTable, "clear_table", goal, feedback.append)
    second = graph.send(Pick, "pick", Pick.Goal())
    refused = second.result(10.0)
    assert refused.code == Status.BUSY and "another goal runs" in refused.message
    result = first.result(150.0)
    forget(graph, subscription)
    assert result.cleared >= 1 and result.actions == len(result.trial_ids), result.message
    assert feedback[-1].feedback.cleared >= 1
    run = RunReader(graph.bag)
    records = {record.trial_id: record for record in run.records}
    assert set(result.trial_ids) <= set(records)
    last = records[result.trial_ids[-1]]
    # The session says with what it was recorded: the goal's seed, and all options.
    assert run.session["seed"] == 3
    assert run.session["config_digest"] == last.config_digest != run.session["robot_digest"]
    assert last.outcome["rule_version"].startswith(("grasp/", "push/"))
    trials = {t.record.trial_id: t for t in run.trials()}
    trial = trials[result.trial_ids[0]]
    topics = trial.topics()
    wanted = {"/joint_states", "/arm/gripper/state", "/arm/wrench", "/observation", "/candidates"}
    assert wanted <= set(topics), topics
    assert trial.observation("before").heightmap is not None
    assert not [t for t in topics if "cmd" in t or "_action" in t]


def test_nothing_to_pick(graph) -> None:
    graph.empty_table()
    result = graph.send(Pick, "pick", Pick.Goal(seed=1)).result(60.0)
    assert result.code == Status.EMPTY_OBSERVATION and not result.trials


def test_a_wrong_policy_name_ends_the_goal_and_not_the_picker(graph) -> None:
    graph.drop(3, 3)
    result = graph.send(Pick, "pick", Pick.Goal(policy="clairvoyant")).result(60.0)
    assert result.code == Status.UNKNOWN_NAME and "antipodal" in result.message


def test_cancelling_the_picker_stops_the_arm(graph) -> None:
    graph.drop(3, 3)
    started = threading.Event()

    def feedback(message) -> None:
        if message.feedback.phase.phase >= 2:
            started.set()

    sent = graph.send(ClearTable, "clear_table", ClearTable.Goal(seed=1), feedback)
    assert started.wait(40.0)
    sent.cancel()
    result = sent.result(20.0)
    assert result.code == Status.CANCELLED
    before = joints_now(graph)
    time.sleep(0.3)
    assert np.abs(joints_now(graph) - before).max() < 0.01
    assert graph.send(MoveArm, "move_arm", MoveArm.Goal()).result(30.0).success


@pytest.mark.parametrize("phase", [1, 3, 4, 5])
def test_a_cancel_of_the_picker_stops_the_arm_in_any_phase(graph, phase) -> None:
    """Within 0.1 s: approach, closing, lift and, after the label, the carry; then it goes on."""
    graph.drop(3, 3)
    track: list[tuple[float, float]] = []

    def take(message: JointState) -> None:
        index = [list(message.name).index(joint) for joint in ARM.joints]
        at = conversions.stamp(message.header.stamp) * 1e-9
        track.append((at, float(np.abs(np.asarray(message.velocity)[index]).max())))

    reached = threading.Event()

    def feedback(message) -> None:
        if message.feedback.phase.phase == phase:
            reached.set()

    subscription = graph.node.create_subscription(JointState, "joint_states", take, 500)
    sent = graph.send(ClearTable, "clear_table", ClearTable.Goal(seed=1), feedback)
    assert reached.wait(40.0)
    time.sleep(0.1)  # into the motion
    cancelled = track[-1][0]
    sent.cancel()
    result = sent.result(20.0)
    time.sleep(0.5)
    forget(graph, subscription)
    assert result.code == Status.CANCELLED, result.message
    # 0.1 s, and the tick in which the cancel was on its way.
    later = [speed for at, speed in track if at > cancelled + 0.13]
    assert later and max(later) < 0.1
    if phase == 5:
        # The label came before the cancel: the try counts and is recorded.
        assert result.cleared == 1 and len(result.trial_ids) == 1
        records = {record.trial_id: record for record in RunReader(graph.bag).records}
        assert records[result.trial_ids[0]].code == "SUCCESS"
    # Wherever the arm was stopped, the next goal works.
    again = graph.send(Pick, "pick", Pick.Goal(seed=2, max_attempts=5)).result(90.0)
    assert again.success, again.message


def test_every_node_reports_diagnostics(graph) -> None:
    from diagnostic_msgs.msg import DiagnosticArray

    seen: dict[str, dict[str, str]] = {}

    def take(message) -> None:
        for status in message.status:
            seen[status.name.strip("/")] = {v.key: v.value for v in status.values}

    subscription = graph.node.create_subscription(DiagnosticArray, "/diagnostics", take, 20)
    limit = time.monotonic() + 30
    while len(seen) < len(graph.description.nodes) and time.monotonic() < limit:
        time.sleep(0.05)
    forget(graph, subscription)
    assert set(seen) == set(graph.description.nodes)
    assert float(seen["sim"]["real_time_factor"]) > 0


def test_the_client_of_ten_lines(graph) -> None:
    from selfgrasp_nodes.client import SelfGrasp
    from selfgrasp_nodes.errors import EmptyObservation

    graph.drop(2, 3)
    with SelfGrasp() as robot:
        grasps = robot.plan(max_candidates=3)
        assert 1 <= len(grasps) <= 3
        planned = robot.execute(grasps[0], plan_only=True)
        assert planned.success and planned.execution.commanded
        graph.empty_table()
        with pytest.raises(EmptyObservation, match="nothing"):
            robot.plan()
        robot.home()
