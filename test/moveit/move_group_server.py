"""move_group's counterpart: a process of its own with its service names and types.

    python move_group_server.py CONTROL.json --ros-args -r __ns:=/cell

Started with a moveit_msgs on PYTHONPATH: the real one, or what ``build_interfaces.py`` built.
The embedded planner plans in MoveIt's place. ``CONTROL.json`` is read for each request: ``mode``
(as in ``moveit_double.py``; ``delay`` answers no plan until it is another) and ``planners``, by
pipeline. What it was asked stands beside it in ``asked.jsonl``. Prints ``READY``.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import rclpy
from rclpy.node import Node

# Behind PYTHONPATH: this folder has a Python stand-in of moveit_msgs, too.
sys.path.append(str(Path(__file__).parent / "stand_in"))

from moveit_double import Double
from moveit_msgs.msg import MoveItErrorCodes, PlannerInterfaceDescription
from moveit_msgs.srv import ApplyPlanningScene, GetMotionPlan, QueryPlannerInterfaces


class MoveGroup(Node):
    def __init__(self, control: str):
        super().__init__("move_group")
        self.double = Double(control)
        self.create_service(GetMotionPlan, "plan_kinematic_path", self._plan)
        self.create_service(ApplyPlanningScene, "apply_planning_scene", self._scene)
        self.create_service(QueryPlannerInterfaces, "query_planner_interface", self._planners)

    def _planners(self, request, response):
        self.double.note(query=True)
        response.planner_interfaces = [
            PlannerInterfaceDescription(name=pipeline, pipeline_id=pipeline, planner_ids=planners)
            for pipeline, planners in self.double.content["planners"].items()
        ]
        return response

    def _scene(self, request, response):
        scene = request.scene
        objects = scene.world.collision_objects
        # As MoveIt: a whole scene would replace the robot's state, and a pose is in a frame.
        response.success = (
            self.double.mode != "no scene"
            and scene.is_diff
            and scene.robot_state.is_diff
            and all(o.header.frame_id and self._is_whole(o) for o in objects)
        )
        if response.success:
            for message in objects:
                self.double.take(message)
        return response

    def _is_whole(self, message) -> bool:
        if message.operation == message.REMOVE:
            return message.id in self.double.objects
        count = len(message.primitives) + len(message.meshes)
        poses = len(message.primitive_poses) + len(message.mesh_poses)
        return message.operation == message.ADD and count == poses > 0

    def _plan(self, request, response):
        asked, answer = request.motion_plan_request, response.motion_plan_response
        while self.double.mode == "delay":
            time.sleep(0.05)
        joints = asked.start_state.joint_state
        if not asked.start_state.is_diff or len(asked.goal_constraints) != 1:
            answer.error_code.val = MoveItErrorCodes.FAILURE
            return response
        code, path = self.double.plan(
            asked.group_name,
            dict(zip(joints.name, joints.position, strict=True)),
            {c.joint_name: c.position for c in asked.goal_constraints[0].joint_constraints},
            asked.pipeline_id,
            asked.planner_id,
            asked.max_velocity_scaling_factor,
            asked.start_state.attached_collision_objects,
        )
        answer.error_code.val = code
        answer.group_name = asked.group_name
        answer.trajectory.joint_trajectory = path
        return response


def main() -> None:
    from selfgrasp_nodes.nodes.main import die_with_parent

    die_with_parent()
    rclpy.init()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    node = MoveGroup(sys.argv[1])
    print("READY", flush=True)
    rclpy.spin(node)


if __name__ == "__main__":
    main()
