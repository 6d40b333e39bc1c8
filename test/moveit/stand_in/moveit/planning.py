"""moveit_py's classes with the signatures of its bindings (moveit2 8fcb5d2), and its traps."""

import contextlib
import os
import sys
import time

import yaml
from moveit_double import Double
from moveit_msgs.msg import MoveItErrorCodes, RobotTrajectory

from moveit.core.robot_state import RobotState

if "--params-file" in sys.argv:  # evaluated at import, as there
    raise RuntimeError("the command line's parameter files were taken")


class PlanRequestParameters:
    def __init__(self, moveit_cpp, ns):
        loaded = moveit_cpp._parameters[ns]["plan_request_params"]
        for key in ("planner_id", "planning_pipeline", "planning_attempts", "planning_time"):
            setattr(self, key, loaded[key])
        self.max_velocity_scaling_factor = loaded["max_velocity_scaling_factor"]
        self.max_acceleration_scaling_factor = loaded["max_acceleration_scaling_factor"]


class _Scene:
    def __init__(self, double):
        self._double, self._state = double, RobotState(None)

    def __deepcopy__(self, memo):
        other = _Scene(self._double)
        other._state = self._state.__copy__()
        return other

    @property
    def current_state(self):
        return self._state

    @current_state.setter
    def current_state(self, state):
        self._state = state

    def apply_collision_object(self, collision_object_msg, color_msg=None):
        self._double.take(collision_object_msg)

    def process_attached_collision_object(self, object):
        self._state._attached.append(object)
        return True


class _Monitor:
    def __init__(self, double):
        self._scene = _Scene(double)

    @contextlib.contextmanager
    def read_write(self):
        yield self._scene

    @contextlib.contextmanager
    def read_only(self):
        yield self._scene


class _Trajectory:
    def __init__(self, message):
        self._message = message

    def get_robot_trajectory_msg(self, joint_filter=()):
        return RobotTrajectory(joint_trajectory=self._message)


class _Response:
    def __init__(self, code, message):
        self.error_code = MoveItErrorCodes(val=code)
        self.trajectory = _Trajectory(message)

    def __bool__(self):
        return self.error_code.val == 1


class _Component:
    def __init__(self, name, double):
        self._name, self._double = name, double

    def set_start_state(self, configuration_name=None, robot_state=None):
        self._start = robot_state

    def set_goal_state(
        self,
        configuration_name=None,
        robot_state=None,
        pose_stamped_msg=None,
        pose_link=None,
        motion_plan_constraints=None,
    ):
        (self._goal,) = motion_plan_constraints

    def plan(
        self,
        single_plan_parameters=None,
        multi_plan_parameters=None,
        planning_scene=None,
        solution_selection_function=None,
        stopping_criterion_callback=None,
    ):
        mode, asked = self._double.mode, single_plan_parameters
        if mode == "crash":
            os.abort()
        if mode == "silent":
            time.sleep(60)
        if mode == "raise":
            raise RuntimeError("from inside MoveIt")
        goal = {c.joint_name: c.position for c in self._goal.joint_constraints}
        code, message = self._double.plan(
            self._name,
            self._start.joint_positions,
            goal,
            asked.planning_pipeline,
            asked.planner_id,
            asked.max_velocity_scaling_factor,
            self._start._attached,
        )
        return _Response(code, message)


class MoveItPy:
    def __init__(
        self,
        node_name="moveit_py",
        name_space="",
        launch_params_filepaths=(),
        config_dict=None,
        provide_planning_service=True,
        remappings=None,
    ):
        (file,) = launch_params_filepaths
        with open(file) as text:
            self._parameters = yaml.safe_load(text)["/**"]["ros__parameters"]
        self._double = Double()
        if self._double.mode == "no start":
            raise RuntimeError("Unable to configure planning scene monitor")
        self._monitor = _Monitor(self._double)

    def __del__(self):
        os.abort()  # as it may when it is destroyed

    def get_planning_component(self, planning_component_name):
        return _Component(planning_component_name, self._double)

    def get_planning_scene_monitor(self):
        return self._monitor
