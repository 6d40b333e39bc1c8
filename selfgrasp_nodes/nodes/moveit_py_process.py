"""The process that hosts moveit_py: reads requests as JSON lines, answers with JSON lines.

    python -m selfgrasp_nodes.nodes.moveit_py_process --reply-fd N --parameters FILE

A process of its own, for four reasons: ``plan()`` holds Python's lock for as long as
OMPL searches; MoveItPy makes an rclcpp context beside rclpy's and spins it in a detached
thread; it can crash when it is destroyed, even after ``shutdown()`` (moveit2 #3721), so
this process ends without destroying anything; and a crash takes no arm's control along.

Signatures are those of moveit_py's bindings at moveit2 8fcb5d2.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import sys
from typing import Any

NODE = "selfgrasp_moveit"


def main() -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--reply-fd", type=int, required=True)
    parser.add_argument("--parameters", required=True)
    parser.add_argument("--namespace", default="")
    given = parser.parse_args()
    # moveit.planning looks for parameter files in the command line when it is imported.
    sys.argv = [sys.argv[0]]
    with os.fdopen(given.reply_fd, "w", buffering=1) as replies:

        def send(**content: Any) -> None:
            replies.write(json.dumps(content) + "\n")
            replies.flush()

        try:
            host = Host(given.parameters, given.namespace)
            send(ready=True)
            for line in sys.stdin:
                try:
                    send(**host.answer(json.loads(line)))
                except Exception as error:  # whatever MoveIt throws is the caller's answer
                    send(error=f"{type(error).__name__}: {error}")
        except Exception as error:
            send(error=f"{type(error).__name__}: {error}", fatal=True)
        finally:
            # MoveItPy must not be destroyed: leave without cleaning up.
            sys.stdout.flush()
            sys.stderr.flush()
            replies.flush()
            os._exit(0)


class Host:
    """MoveItPy, and what is asked of it."""

    def __init__(self, parameters: str, namespace: str):
        from moveit.core.robot_state import RobotState
        from moveit.planning import MoveItPy, PlanRequestParameters

        self._state, self._parameters = RobotState, PlanRequestParameters
        # A file instead of config_dict: that one is written for the bare node name, so
        # that a node in a namespace reads none of it, and its file is left behind.
        self._moveit = MoveItPy(
            node_name=NODE, name_space=namespace, launch_params_filepaths=[parameters]
        )
        self._components: dict[str, Any] = {}

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """One answer, as JSON; raises what MoveIt raises."""
        from selfgrasp_nodes.motion.moveit_types import PlanRequest, SceneShape

        if "plan" in question:
            return {"reply": self._plan(PlanRequest(**question["plan"]))}
        shapes = [SceneShape(**shape) for shape in question["show"]]
        self._show(shapes, question["removed"])
        return {"done": True}

    def _show(self, shapes: list[Any], removed: list[str]) -> None:
        from selfgrasp_nodes.nodes import moveit_messages as messages

        with self._moveit.get_planning_scene_monitor().read_write() as scene:
            for name in removed:
                scene.apply_collision_object(messages.removal(name, "world"))
            for shape in shapes:
                scene.apply_collision_object(messages.collision_object(shape, "world"))
            scene.current_state.update()

    def _plan(self, request: Any) -> dict[str, Any]:
        from dataclasses import asdict

        from selfgrasp_nodes.nodes import moveit_messages as messages

        if request.group not in self._components:
            component = self._moveit.get_planning_component(request.group)
            self._components[request.group] = component
        component = self._components[request.group]
        scene = self._scene(request)
        component.set_start_state(robot_state=copy.copy(scene.current_state))
        component.set_goal_state(motion_plan_constraints=[messages.goal_constraints(request)])
        # Both arguments are needed; "free" holds every key, so that none is defaulted.
        asked = self._parameters(self._moveit, "free")
        asked.planning_pipeline = request.pipeline
        asked.planner_id = request.planner
        asked.planning_attempts = 1
        asked.planning_time = request.timeout
        asked.max_velocity_scaling_factor = request.velocity
        asked.max_acceleration_scaling_factor = request.acceleration
        result = component.plan(single_plan_parameters=asked, planning_scene=scene)
        code = int(result.error_code.val)
        path = result.trajectory.get_robot_trajectory_msg().joint_trajectory if result else None
        return asdict(messages.reply(code, path))

    def _scene(self, request: Any) -> Any:
        """A copy of the scene with the robot where the plan begins, and what it carries."""
        from selfgrasp_nodes.nodes import moveit_messages as messages

        with self._moveit.get_planning_scene_monitor().read_only() as shared:
            scene = copy.deepcopy(shared)
        state = copy.copy(scene.current_state)
        state.joint_positions = {
            **request.others,
            **dict(zip(request.joints, request.start, strict=True)),
        }
        state.update()
        scene.current_state = state
        if request.carried and not scene.process_attached_collision_object(
            messages.attached(request)
        ):
            raise RuntimeError("the carried object could not be attached")
        return scene


if __name__ == "__main__":
    main()
