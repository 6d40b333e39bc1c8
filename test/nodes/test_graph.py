"""The whole graph, as an application meets it: real nodes, one process each."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest
from control_msgs.action import FollowJointTrajectory, GripperCommand, ParallelGripperCommand
from rclpy.qos import qos_profile_sensor_data
from scipy.spatial.transform import Rotation
from selfgrasp.action import ClearTable, Execute, MoveArm, Pick
from selfgrasp.msg import Observation, Status
from selfgrasp.srv import (
    Capture,
    GetTruth,
    Label,
    LoadCheckpoint,
    Plan,
    PutAway,
    ResetScene,
    StepSimulation,
)
from sensor_msgs.msg import Image, JointState

from selfgrasp_nodes import geometry
from selfgrasp_nodes.nodes import conversions, trial_messages
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.trials.reader import RunReader
from selfgrasp_nodes.types import Candidate, Primitive, Trajectory

ROBOT = load_robot("ur5_rg2")
ARM = ROBOT.arm()
HOME = np.asarray(ARM.home)


def a_candidate(x=-0.5, y=0.0, z=0.05, angle=0.3, **changes):
    values = {"width": 0.08, "max_force": 20.0, "id": "c"} | changes
    pose = geometry.grasp_pose(x, y, z, angle)
    return conversions.candidate_message(
        Candidate(Primitive.GRASP, pose, angle, **values), "world"
    )


def joints_now(graph) -> np.ndarray:
    """The arm's joint positions, from one message."""
    found: list[np.ndarray] = []
    here = threading.Event()

    def take(message: JointState) -> None:
        index = [list(message.name).index(joint) for joint in ARM.joints]
        found.append(np.asarray(message.position)[index])
        here.set()

    subscription = graph.node.create_subscription(JointState, "joint_states", take, 1)
    assert here.wait(5.0)
    graph.node.destroy_subscription(subscription)
    return found[-1]


def ramp(target: np.ndarray, start: np.ndarray, seconds: float) -> Trajectory:
    positions = np.array([start, target])
    return Trajectory(ARM.joints, np.array([0.0, seconds]), positions, np.zeros_like(positions))


# -- the robot's interfaces


def test_trajectory_runs_to_its_goal_and_back(graph) -> None:
    start = joints_now(graph)
    target = start.copy()
    target[0] += 0.3
    feedback: list = []
    for a, b in ((start, target), (target, start)):
        goal = FollowJointTrajectory.Goal()
        goal.trajectory = trial_messages.trajectory_message(ramp(b, a, 0.8))
        sent = graph.send(FollowJointTrajectory, ARM.trajectory_action, goal, feedback.append)
        result = sent.result(20.0)
        assert result.error_code == FollowJointTrajectory.Result.SUCCESSFUL, result.error_string
        assert np.abs(joints_now(graph) - b).max() < 0.02
    assert feedback and list(feedback[0].feedback.joint_names) == list(ARM.joints)


def test_cancel_stops_the_arm_within_a_tenth_of_a_second(graph) -> None:
    start = joints_now(graph)
    target = start.copy()
    target[0] -= 1.2
    goal = FollowJointTrajectory.Goal()
    goal.trajectory = trial_messages.trajectory_message(ramp(target, start, 2.0))
    track: list[tuple[float, np.ndarray]] = []

    def take(message: JointState) -> None:
        index = [list(message.name).index(joint) for joint in ARM.joints]
        at = conversions.stamp(message.header.stamp) * 1e-9
        track.append((at, np.asarray(message.velocity)[index]))

    subscription = graph.node.create_subscription(JointState, "joint_states", take, 100)
    sent = graph.send(FollowJointTrajectory, ARM.trajectory_action, goal)
    time.sleep(1.0)
    moving = np.abs(track[-1][1]).max()
    cancelled = track[-1][0]
    sent.cancel()
    assert sent.finished.wait(5.0)
    time.sleep(0.3)
    graph.node.destroy_subscription(subscription)
    assert moving > 0.3, "it has to move before it can be stopped"
    later = [np.abs(v).max() for at, v in track if at > cancelled + 0.13]
    # 0.1 s, and the tick in which the cancel was on its way.
    assert later and max(later) < 0.1
    back = FollowJointTrajectory.Goal()
    back.trajectory = trial_messages.trajectory_message(ramp(HOME, joints_now(graph), 1.5))
    assert (
        graph.send(FollowJointTrajectory, ARM.trajectory_action, back).result(20).error_code == 0
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("joints", "expected"),
        ("nan", "finite"),
        ("jump", "plan from its present joints"),
        ("fast", "more slowly"),
    ],
)
def test_bad_trajectories_are_refused_and_nothing_moves(graph, change, words) -> None:
    before = joints_now(graph)
    target = before.copy()
    target[0] += 0.2
    goal = FollowJointTrajectory.Goal()
    goal.trajectory = trial_messages.trajectory_message(ramp(target, before, 1.0))
    if change == "joints":
        goal.trajectory.joint_names[0] = "no_such_joint"
    elif change == "nan":
        goal.trajectory.points[1].positions[0] = float("nan")
    elif change == "jump":
        goal.trajectory.points[0].positions[0] += 0.5
    else:
        goal.trajectory.points[1].time_from_start = conversions.duration_message(0.005)
    result = graph.send(FollowJointTrajectory, ARM.trajectory_action, goal).result(10.0)
    assert result.error_code == FollowJointTrajectory.Result.INVALID_GOAL
    assert words in result.error_string
    assert np.abs(joints_now(graph) - before).max() < 0.01


def test_both_gripper_actions_reach_their_position(graph) -> None:
    from selfgrasp_nodes.robots.gripper import joint_from_width

    folder = ARM.gripper.command_topic.rsplit("/", 1)[0]
    half = joint_from_width(ARM.gripper, 0.05)
    goal = GripperCommand.Goal()
    goal.command.position, goal.command.max_effort = half, 1.0
    result = graph.send(GripperCommand, f"{folder}/single_gripper_cmd", goal).result(10.0)
    assert (
        result.reached_goal
        and not result.stalled
        and result.position == pytest.approx(half, abs=0.05)
    )
    wide = joint_from_width(ARM.gripper, 0.11)
    parallel = ParallelGripperCommand.Goal(
        command=JointState(name=[ARM.gripper.joint], position=[wide], effort=[1.0])
    )
    result = graph.send(ParallelGripperCommand, ARM.gripper.command_topic, parallel).result(10.0)
    assert result.reached_goal and result.state.position[0] == pytest.approx(wide, abs=0.05)


def test_pictures_come_on_request_only(graph) -> None:
    from std_msgs.msg import Empty

    stamps: list[int] = []
    camera = ROBOT.camera()
    subscription = graph.node.create_subscription(
        Image,
        f"{camera.namespace}/color/image_raw",
        lambda m: stamps.append(conversions.stamp(m.header.stamp)),
        qos_profile_sensor_data,
    )
    trigger = graph.node.create_publisher(Empty, f"{camera.namespace}/trigger", 5)
    time.sleep(0.7)
    unasked = len(stamps)
    trigger.publish(Empty())
    limit = time.monotonic() + 5
    while len(stamps) == unasked and time.monotonic() < limit:
        time.sleep(0.01)
    graph.node.destroy_subscription(subscription)
    assert unasked == 0 and len(stamps) == 1


@pytest.mark.parametrize("what", ["arm", "gripper"])
def test_a_picture_is_taken_where_a_phase_of_motion_ends(graph, what) -> None:
    stamps: list[int] = []
    camera = ROBOT.camera()
    subscription = graph.node.create_subscription(
        Image,
        f"{camera.namespace}/color/image_raw",
        lambda m: stamps.append(conversions.stamp(m.header.stamp)),
        qos_profile_sensor_data,
    )
    time.sleep(0.5)
    assert not stamps
    if what == "arm":
        start = joints_now(graph)
        goal = FollowJointTrajectory.Goal()
        aside = start + np.array([0.1, 0, 0, 0, 0, 0])
        goal.trajectory = trial_messages.trajectory_message(ramp(aside, start, 0.5))
        graph.send(FollowJointTrajectory, ARM.trajectory_action, goal).result(20.0)
    else:
        folder = ARM.gripper.command_topic.rsplit("/", 1)[0]
        grip = GripperCommand.Goal()
        grip.command.position, grip.command.max_effort = 0.3, 1.0
        graph.send(GripperCommand, f"{folder}/single_gripper_cmd", grip).result(10.0)
    time.sleep(0.5)
    graph.node.destroy_subscription(subscription)
    assert len(stamps) == 1
    assert graph.send(MoveArm, "move_arm", MoveArm.Goal()).result(30.0).success


# -- scenes


def test_equal_seeds_give_equal_scenes(graph) -> None:
    first, second, third = graph.drop(3, 5), graph.drop(3, 6), graph.drop(3, 5)
    assert first == third != second


@pytest.mark.parametrize(
    ("scene", "words"),
    [
        (
            {
                "objects": [
                    {"shape": "teapot", "position": [0, 0, 0.05], "quaternion": [1, 0, 0, 0]}
                ]
            },
            "teapot",
        ),
        (
            {
                "objects": [
                    {"shape": "cube", "position": [0, 0, 0.025], "quaternion": [1, 0, 0, 0]},
                    {"shape": "cube", "position": [0.01, 0, 0.025], "quaternion": [1, 0, 0, 0]},
                ]
            },
            "interpenetrate",
        ),
    ],
)
def test_scenes_that_cannot_be_are_refused_and_the_old_one_stays(graph, scene, words) -> None:
    graph.drop(3, 5)
    if words == "interpenetrate":
        from selfgrasp_nodes.simulation.objects import shape_names

        for entry in scene["objects"]:
            entry["shape"] = shape_names()[0]
    request = ResetScene.Request(scene_json=json.dumps(scene))
    answer = graph.call(ResetScene, "sim/reset", request)
    assert answer.code == Status.INVALID_SCENE and words in answer.message
    assert len(graph.call(GetTruth, "sim/get_truth", GetTruth.Request()).truth.objects) == 3


def test_time_stands_still_while_paused(graph) -> None:
    step = StepSimulation.Request
    refused = graph.call(StepSimulation, "sim/step", step(command=step.STEP))
    assert refused.code == Status.NOT_READY
    paused = graph.call(StepSimulation, "sim/step", step(command=step.PAUSE))
    stepped = graph.call(
        StepSimulation,
        "sim/step",
        step(command=step.STEP, duration=conversions.duration_message(0.1)),
    )
    graph.call(StepSimulation, "sim/step", step(command=step.RUN))
    moved = conversions.stamp(stepped.now) - conversions.stamp(paused.now)
    assert moved == pytest.approx(100_000_000, abs=5_000_000)


# -- perception and policy


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


# -- motion


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
    graph.node.destroy_subscription(subscription)
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
    graph.node.destroy_subscription(subscription)
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
    graph.node.destroy_subscription(subscription)
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
