"""MoveIt through a running ``move_group``: its services.

The way where moveit_py is missing, or where ``move_group`` runs anyway. Services alone:
the runner executes, and it also guards the wrist.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from selfgrasp_nodes.errors import PlanningFailed, Unavailable, UnknownName
from selfgrasp_nodes.motion.moveit_parameters import LINE, OMPL, PILZ
from selfgrasp_nodes.motion.moveit_types import PlanReply, PlanRequest, SceneShape
from selfgrasp_nodes.nodes import moveit_messages as messages

PLAN = "plan_kinematic_path"
SCENE = "apply_planning_scene"
PLANNERS = "query_planner_interface"

Call = Callable[[str, Any, float], Any]
"""Calls a service by name: (name, request, wall-clock limit [s]) -> response.

Raises:
    Unavailable: If it is not there or does not answer in time.
"""


class MoveGroupClient:
    """A :class:`selfgrasp_nodes.motion.moveit_types.MoveItBackend`.

    Args:
        call: Calls a service and waits for its answer.
        margin: Wall-clock limit beyond the planning time [s].
    """

    def __init__(self, call: Call, margin: float = 5.0):
        self._call = call
        self._margin = margin
        self._checked: set[tuple[str, str, str]] = set()
        self._scene: dict[str, SceneShape] = {}
        self._lost = False

    def show(self, shapes: list[SceneShape], removed: list[str]) -> None:
        """See :class:`selfgrasp_nodes.motion.moveit_types.MoveItBackend`."""
        for name in removed:
            self._scene.pop(name, None)
        self._scene.update((shape.name, shape) for shape in shapes)
        self._apply(shapes, removed)

    def _apply(self, shapes: list[SceneShape], removed: list[str]) -> None:
        from moveit_msgs.srv import ApplyPlanningScene

        request = ApplyPlanningScene.Request(scene=messages.scene_diff(shapes, removed))
        if not self._ask(SCENE, request, self._margin).success:
            names = ", ".join([s.name for s in shapes] + removed)
            raise PlanningFailed(f"move_group did not take the scene ({names})")

    def plan(self, request: PlanRequest) -> PlanReply:
        """See :class:`selfgrasp_nodes.motion.moveit_types.MoveItBackend`.

        Raises:
            UnknownName: If ``move_group`` does not have the planner for the group.
        """
        from moveit_msgs.srv import GetMotionPlan

        self._check(request)
        if self._lost:
            self._apply(list(self._scene.values()), [])
            self._lost = False
        question = GetMotionPlan.Request(motion_plan_request=messages.motion_plan_request(request))
        answer = self._ask(PLAN, question, request.timeout + self._margin).motion_plan_response
        return messages.reply(int(answer.error_code.val), answer.trajectory.joint_trajectory)

    def close(self) -> None:
        """Nothing to end: ``move_group`` is not ours."""

    def _check(self, request: PlanRequest) -> None:
        """Ask ``move_group`` once whether it has the planner.

        It would take its default with a warning, and its response repeats the name that was
        asked for, so that nothing there shows which planner was used.
        """
        key = (request.pipeline, request.group, request.planner)
        if key in self._checked:
            return
        from moveit_msgs.srv import QueryPlannerInterfaces

        answer = self._ask(PLANNERS, QueryPlannerInterfaces.Request(), self._margin)
        known = {
            planner
            for interface in answer.planner_interfaces
            if interface.pipeline_id == request.pipeline
            for planner in interface.planner_ids
        }
        wanted = {LINE} if request.pipeline == PILZ else {f"{request.group}[{request.planner}]"}
        if not known & wanted:
            raise UnknownName(
                f"planner of move_group's pipeline {request.pipeline!r} "
                f"(start move_group with config/moveit; {OMPL} lists planners by group)",
                wanted.pop(),
                known,
            )
        self._checked.add(key)

    def _ask(self, service: str, request: Any, timeout: float) -> Any:
        try:
            return self._call(service, request, timeout)
        except Unavailable as error:
            # It may come back as another one, which has not seen the scene.
            self._checked.clear()
            self._lost = True
            raise PlanningFailed(f"move_group: {error}") from error
