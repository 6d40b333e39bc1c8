from moveit_msgs import msg
from moveit_msgs.strict import message


def _service(name, request, response):
    return type(
        name,
        (),
        {
            "Request": message(f"{name}.Request", request),
            "Response": message(f"{name}.Response", response),
        },
    )


GetMotionPlan = _service(
    "GetMotionPlan",
    {"motion_plan_request": msg.MotionPlanRequest},
    {"motion_plan_response": msg.MotionPlanResponse},
)
ApplyPlanningScene = _service(
    "ApplyPlanningScene", {"scene": msg.PlanningScene}, {"success": bool}
)
QueryPlannerInterfaces = _service("QueryPlannerInterfaces", {}, {"planner_interfaces": list})
