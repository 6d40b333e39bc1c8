"""A whole graph whose paths a move_group plans: another process, over ROS, in a namespace.

In move_group's place runs ``move_group_server.py``. Whatever it does wrong must end the goal
with a clear error before anything moves; and once it is well again the next goal works,
without anything else being started again.
"""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("selfgrasp.msg", reason="the interfaces are not built")

from sensor_msgs.msg import JointState

from selfgrasp_nodes import bringup, geometry
from selfgrasp_nodes.client import SelfGrasp
from selfgrasp_nodes.errors import PlanningFailed, SelfGraspError, UnknownName
from selfgrasp_nodes.nodes import conversions
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.supervisor import Supervisor
from selfgrasp_nodes.types import Candidate, Primitive

ARM = load_robot("ur5_rg2").arm()
STILL = 0.01  # an arm that holds its position moves less [rad]


class Cell:
    """The graph's client, and what the arm did."""

    def __init__(self, namespace: str) -> None:
        self.client = SelfGrasp(namespace=namespace, timeout=60.0)
        self._seen: list[np.ndarray] = []
        self.client.node.create_subscription(JointState, "joint_states", self._take, 10)

    def _take(self, message: JointState) -> None:
        index = [list(message.name).index(joint) for joint in ARM.joints]
        self._seen.append(np.asarray(message.position)[index])

    def execute(self, plan_only: bool = False):
        """A grasp in the air, so that each goal begins and ends at home with nothing held."""
        del self._seen[:]
        pose = geometry.grasp_pose(-0.5, 0.0, 0.15, 0.3)
        candidate = Candidate(Primitive.GRASP, pose, 0.3, width=0.08, max_force=20.0, id="c")
        message = conversions.candidate_message(candidate, "world")
        return self.client.execute(message, plan_only=plan_only)

    def moved(self) -> float:
        """Largest way of a joint since the last goal began, and for a moment from now [rad]."""
        count, limit = len(self._seen), time.monotonic() + 5.0
        while len(self._seen) < count + 20 and time.monotonic() < limit:
            time.sleep(0.02)
        assert len(self._seen) >= count + 20, "no joint states"
        return float(np.ptp(np.array(self._seen), axis=0).max())

    def refuses(self, error: type[SelfGraspError], words: str) -> None:
        """A goal ends with that error, and the arm has stood still."""
        with pytest.raises(error, match=words):
            self.execute()
        assert self.moved() < STILL

    def plans(self) -> None:
        """A goal is planned as a whole."""
        result = self.execute(plan_only=True)
        assert result.success and len(result.execution.commanded) >= 2, result.message


@pytest.fixture(scope="module")
def cell(move_group, moveit_environment):
    given = {
        "backend": "move_group",
        "namespace": move_group.namespace,
        "objects": "3",
        "seed": "3",
    }
    lines: list[str] = []
    supervisor = Supervisor(bringup.describe("sim", given), lines.append)
    cell = None
    try:
        with pytest.MonkeyPatch.context() as patch:  # for the graph's processes alone
            for name, value in moveit_environment.items():
                patch.setenv(name, value)
            supervisor.start()
        supervisor.wait_ready(120)
        cell = Cell(move_group.namespace)
        yield cell
    finally:
        if cell is not None:
            cell.client.close()
        supervisor.stop()
        print("\n".join(lines))  # shown where a test fails


def plans(move_group) -> list[dict]:
    return move_group.control.plans


def test_a_grasp_is_planned_by_the_other_process(cell, move_group) -> None:
    begun = len(plans(move_group))
    result = cell.execute()
    assert result.success and result.outcome.code != result.outcome.SUCCESS, result.message
    assert cell.moved() > 10 * STILL
    asked = plans(move_group)[begun:]
    assert {a["pid"] for a in asked} == {move_group.pid} and move_group.pid != os.getpid()
    ways = {(a["pipeline"], a["planner"]) for a in asked}
    assert ways == {("ompl", "RRTConnect"), ("pilz_industrial_motion_planner", "LIN")}
    assert all({"table", "camera overhead"} <= set(a["objects"]) for a in asked)
    assert all(a["others"] == [ARM.gripper.joint] for a in asked)


def test_an_abort_is_named(cell, move_group) -> None:
    move_group.set("fail")
    cell.refuses(PlanningFailed, "error -12: the goal is in collision")
    move_group.set()
    cell.plans()


def test_a_scene_that_is_refused_is_named(cell, move_group) -> None:
    cell.client.observe()  # so that there is something new to show
    move_group.set("no scene")
    cell.refuses(PlanningFailed, r"did not take the scene \(.*objects.*\)")
    move_group.set()
    cell.plans()


def test_a_late_answer_is_given_up_and_not_taken_for_the_next_one(cell, move_group) -> None:
    move_group.set("delay")
    begun = time.monotonic()
    cell.refuses(PlanningFailed, r"the answer of \S*plan_kinematic_path did not come within 6 s")
    assert time.monotonic() - begun < 30.0
    move_group.set()  # it answers what nobody waits for any more
    cell.plans()


def test_silence_is_named(cell, move_group) -> None:
    move_group.freeze()
    try:
        cell.refuses(PlanningFailed, r"move_group: the answer of \S+ did not come within")
    finally:
        move_group.thaw()
    cell.plans()


def test_one_that_is_started_again_is_asked_for_its_planners_and_shown_the_scene(
    cell, move_group
) -> None:
    cell.plans()
    move_group.kill()
    cell.refuses(PlanningFailed, r"move_group: .* (is not there after|did not come within)")
    move_group.set(planners={"ompl": ["arm", "arm[EST]"]})
    move_group.start()
    begun = len(plans(move_group))
    limit = time.monotonic() + 30
    while not any("query" in a and a["pid"] == move_group.pid for a in move_group.control.asked):
        assert time.monotonic() < limit, "it was not asked for its planners"
        with pytest.raises((UnknownName, PlanningFailed)):  # its services must be found first
            cell.execute()
    cell.refuses(UnknownName, r"arm\[RRTConnect\].*EST")
    assert len(plans(move_group)) == begun  # or it would have taken another planner
    move_group.set()
    cell.plans()
    asked = plans(move_group)[begun:]
    assert {a["pid"] for a in asked} == {move_group.pid}
    assert all({"table", "camera overhead"} <= set(a["objects"]) for a in asked)


def test_objects_are_picked_around_what_the_camera_sees(cell, move_group) -> None:
    begun = len(plans(move_group))
    result = cell.client.pick(seed=1, max_attempts=3)
    assert result.success, result.message
    asked = plans(move_group)[begun:]
    assert any("objects" in a["objects"] for a in asked)  # a mesh
    assert any(a["attached"] == ["carried"] for a in asked)
