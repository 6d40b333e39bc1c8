"""The planner whose paths are MoveIt's, by both ways, with a double in MoveIt's place.

MoveIt itself is not run here; ``docs/moveit.md`` says so. moveit_py's way goes through its real
process and pipe, with a Python package of the bindings' signatures in it; move_group's
way through its real requests, answered by functions (``test_move_group.py`` has the services).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import MissingDependency, PlanningFailed, Unavailable, UnknownName
from selfgrasp_nodes.motion.moveit_parameters import moveit_parameters
from selfgrasp_nodes.motion.moveit_planner import MoveItPlanner
from selfgrasp_nodes.motion.options import load_options
from selfgrasp_nodes.motion.program import plan_candidate
from selfgrasp_nodes.nodes import moveit_py_client, planner_backend
from selfgrasp_nodes.nodes.move_group_client import MoveGroupClient
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.types import Candidate, Heightmap, Primitive

ROBOT = load_robot("ur5_rg2")
ARM = ROBOT.arms[0]
HOME, READY = np.array(ARM.home), np.array(ARM.ready)


class MoveGroup:
    """Answers move_group's services."""

    def __init__(self, control):
        from moveit_double import Double

        self.double, self.calls = Double(str(control.file)), []
        self.planners = {"ompl": ["arm", "arm[EST]"], "pilz_industrial_motion_planner": ["LIN"]}

    def __call__(self, name, request, timeout):
        from moveit_msgs.msg import PlannerInterfaceDescription
        from moveit_msgs.srv import ApplyPlanningScene, GetMotionPlan, QueryPlannerInterfaces

        self.calls.append(name)
        if self.double.mode == "gone":
            raise Unavailable(f"service {name} is not there after {timeout:g} s")
        if name == "query_planner_interface":
            found = [
                PlannerInterfaceDescription(pipeline_id=p, planner_ids=ids)
                for p, ids in self.planners.items()
            ]
            return QueryPlannerInterfaces.Response(planner_interfaces=found)
        if name == "apply_planning_scene":
            assert request.scene.is_diff and request.scene.robot_state.is_diff
            for message in request.scene.world.collision_objects:
                self.double.take(message)
            return ApplyPlanningScene.Response(success=self.double.mode != "no scene")
        assert name == "plan_kinematic_path"
        asked = request.motion_plan_request
        state = asked.start_state
        assert state.is_diff
        response = GetMotionPlan.Response()
        code, path = self.double.plan(
            asked.group_name,
            dict(zip(state.joint_state.name, state.joint_state.position, strict=True)),
            {c.joint_name: c.position for c in asked.goal_constraints[0].joint_constraints},
            asked.pipeline_id,
            asked.planner_id,
            asked.max_velocity_scaling_factor,
            state.attached_collision_objects,
        )
        response.motion_plan_response.error_code.val = code
        response.motion_plan_response.trajectory.joint_trajectory = path
        return response


def options(**planner):
    return load_options(robot=ROBOT.name, planner={"name": "EST", **planner})


@pytest.fixture
def parameters():
    return moveit_parameters(ROBOT, use_sim_time=False)


@pytest.fixture(params=["moveit_py", "move_group"])
def planner(request, double, parameters):
    if request.param == "moveit_py":
        backend = moveit_py_client.MoveItPyClient(parameters, margin=2.0)
    else:
        backend = MoveGroupClient(MoveGroup(double))
    made = MoveItPlanner(ROBOT, options(), backend, parameters)
    yield made
    backend.close()


def bump(height: float = 0.1) -> Heightmap:
    workspace = ROBOT.workspace.workspace
    rows, cols = workspace.shape
    z = np.zeros((rows, cols), np.float32)
    z[100:120, 100:120] = height
    return Heightmap(workspace, np.zeros((rows, cols, 3), np.uint8), z, np.ones_like(z, bool))


def test_a_free_path(planner, double) -> None:
    path = planner.plan_free("arm", HOME, READY, width=0.05, scale=0.5)
    assert path.joints == ARM.joints
    np.testing.assert_allclose(path.positions[0], HOME, atol=1e-9)
    np.testing.assert_allclose(path.positions[-1], READY, atol=1e-6)
    (asked,) = double.plans
    assert (asked["pipeline"], asked["planner"]) == ("ompl", "EST")
    assert asked["velocity"] == pytest.approx(0.5 * planner.options.speed.velocity)
    assert asked["others"] == [ARM.gripper.joint] and not asked["attached"]
    walls = {f"bin {w}" for w in ("floor", "wall +x", "wall -x", "wall +y", "wall -y")}
    assert set(asked["objects"]) == {"table", "camera overhead"} | walls


def test_a_straight_line_without_the_objects_that_it_may_touch(planner, double) -> None:
    planner.set_obstacles(bump())
    planner.plan_free("arm", HOME, READY)
    down = planner.fk("arm", READY) @ geometry.transform((0, 0, 0.05))
    path = planner.plan_linear("arm", READY, down, speed=0.3)
    end = planner.fk("arm", path.positions[-1])
    np.testing.assert_allclose(end[:3, 3], down[:3, 3], atol=1e-3)
    free, straight = double.plans
    assert "objects" in free["objects"] and "objects" not in straight["objects"]
    assert (straight["pipeline"], straight["planner"]) == ("pilz_industrial_motion_planner", "LIN")
    assert straight["velocity"] == pytest.approx(0.3 / 0.6)
    planner.plan_free("arm", READY, HOME)  # and they are back
    assert "objects" in double.plans[-1]["objects"]


def test_what_is_carried_is_attached(planner, double) -> None:
    planner.plan_free("arm", READY, HOME, width=0.05, carries=True)
    assert double.plans[-1]["attached"] == ["carried"]
    planner.plan_free("arm", HOME, READY, width=0.05)
    assert not double.plans[-1]["attached"]


def test_only_what_changed_is_shown_again(planner, double) -> None:
    planner.plan_free("arm", HOME, READY)
    first = len(double.asked)
    planner.plan_free("arm", READY, HOME)
    assert len(double.asked) == first + 1
    planner.set_obstacles(bump())
    planner.plan_free("arm", HOME, READY)
    assert [a.get("object") for a in double.asked[first + 1 :]] == ["objects", None]


def test_nothing_is_asked_where_the_arm_is_there_already(planner, double) -> None:
    assert planner.plan_free("arm", READY, READY).duration < 0.1
    planner.plan_linear("arm", READY, planner.fk("arm", READY))
    assert not double.plans


def test_a_whole_try(planner, double) -> None:
    """Approach, descend, lift, carry, home: the primitives do not know who plans."""
    pose = geometry.grasp_pose(*ROBOT.workspace.center, 0.025, 0.3)
    candidate = Candidate(Primitive.GRASP, pose, 0.3, width=0.09, arm="arm")
    planner.set_obstacles(None)
    program = plan_candidate(planner, candidate, HOME, planner.options, None)
    assert program.act and program.place and program.home
    kinds = [(a["pipeline"][:4], bool(a["attached"])) for a in double.plans]
    assert ("pilz", False) in kinds and ("ompl", True) in kinds and ("ompl", False) in kinds


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("fail", "error -12: the goal is in collision"),
        ("elsewhere", "ends 0.100 rad beside"),
        ("fast", "too fast: joint .* would reach"),
        ("short", "fewer than two timed points"),
    ],
)
def test_what_moveit_gets_wrong_is_named(planner, double, mode, reason) -> None:
    double.set(mode)
    with pytest.raises(PlanningFailed, match=reason):
        planner.plan_free("arm", HOME, READY)
    double.set()
    planner.plan_free("arm", HOME, READY)  # and it goes on


def test_a_path_through_what_is_in_the_way_is_refused(planner, double) -> None:
    """The double plans without obstacles, as MoveIt would that had lost its scene."""
    q = READY.copy()
    tip = planner.fk("arm", READY)
    tip[2, 3] = 0.26
    tip[1, 3] = -0.15
    start = planner.ik("arm", tip, READY)
    tip[1, 3] = 0.15
    q = planner.ik("arm", tip, READY)
    planner.plan_free("arm", start, q)
    heightmap = bump(0.0)
    heightmap.height[104:120, 60:170] = 0.2
    planner.set_obstacles(heightmap)
    with pytest.raises(PlanningFailed, match="MoveIt's path collides"):
        planner.plan_free("arm", start, q)


def test_an_unknown_planner_is_refused_before_moveit_takes_another(double, parameters) -> None:
    for arm in parameters["ompl"].values():
        if isinstance(arm, dict) and "default_planner_config" in arm:
            arm["planner_configs"].remove("EST")
    with pytest.raises(UnknownName, match="EST"):
        MoveItPlanner(ROBOT, options(), MoveGroupClient(MoveGroup(double)), parameters)


def test_a_move_group_without_the_planner_is_refused(double, parameters) -> None:
    group = MoveGroup(double)
    group.planners["ompl"] = ["arm", "arm[RRTConnect]"]
    planner = MoveItPlanner(ROBOT, options(), MoveGroupClient(group), parameters)
    with pytest.raises(UnknownName, match=r"arm\[EST\].*RRTConnect"):
        planner.plan_free("arm", HOME, READY)
    group.planners["ompl"].append("arm[EST]")
    planner.plan_free("arm", HOME, READY)
    planner.plan_free("arm", READY, HOME)
    assert group.calls.count("query_planner_interface") == 2  # asked until it is right


def test_a_move_group_that_goes_and_comes_back(double, parameters) -> None:
    group = MoveGroup(double)
    planner = MoveItPlanner(ROBOT, options(), MoveGroupClient(group), parameters)
    double.set("gone")
    with pytest.raises(PlanningFailed, match=r"move_group: service .* is not there"):
        planner.plan_free("arm", HOME, READY)
    double.set("no scene")
    with pytest.raises(PlanningFailed, match="did not take the scene"):
        planner.plan_free("arm", HOME, READY)
    double.set()
    planner.plan_free("arm", HOME, READY)


@pytest.fixture
def process(double, parameters):
    client = moveit_py_client.MoveItPyClient(parameters, margin=1.0)
    planner = MoveItPlanner(ROBOT, options(timeout=0.5), client, parameters)
    yield planner
    client.close()


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("crash", r"has ended by itself \(exit code -6"),
        ("silent", "did not answer within 1.5 s and was ended"),
        ("raise", "RuntimeError: from inside MoveIt"),
        ("no start", "Unable to configure planning scene monitor"),
    ],
)
def test_a_process_that_fails_is_started_again_with_the_scene(process, double, mode, reason):
    double.set(mode)
    with pytest.raises(PlanningFailed, match=reason):
        process.plan_free("arm", HOME, READY)
    double.set()
    process.plan_free("arm", HOME, READY)
    assert "table" in double.plans[-1]["objects"]
    assert double.plans[-1]["pid"] != os.getpid()


def test_the_process_loads_no_second_build_of_moveits_libraries() -> None:
    """Pinocchio, coal and OMPL of the wheels beside MoveIt's own would clash."""
    code = (
        "import sys; from selfgrasp_nodes.nodes import moveit_py_process, moveit_messages; "
        "import selfgrasp_nodes.motion.moveit_types; "
        "print(sorted({'pinocchio', 'coal', 'ompl', 'mujoco', 'rclpy'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_its_end_is_quick_and_leaves_nothing(double, parameters) -> None:
    client = moveit_py_client.MoveItPyClient(parameters)
    planner = MoveItPlanner(ROBOT, options(), client, parameters)
    planner.plan_free("arm", HOME, READY)
    folder, popen = client._folder, client._process
    begun = time.monotonic()
    client.close()
    assert time.monotonic() - begun < 2.0
    # MoveItPy's destructor would have aborted: it is never called.
    assert popen.returncode == 0 and not folder.exists()


def test_what_is_missing_is_named() -> None:
    with pytest.raises(UnknownName, match="valid: embedded"):
        planner_backend.resolve("movit")
    assert planner_backend.resolve("embedded") == "embedded"
    if not moveit_py_client.available():
        for backend in ("moveit", "moveit_py", "move_group"):
            with pytest.raises(MissingDependency, match="apt install ros-"):
                planner_backend.resolve(backend)


def test_the_way_is_chosen_by_what_is_installed(double) -> None:
    assert planner_backend.resolve("moveit") == "moveit_py"
    assert planner_backend.resolve("move_group") == "move_group"
