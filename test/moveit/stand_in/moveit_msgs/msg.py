from geometry_msgs.msg import Pose, PoseStamped, Vector3Stamped
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory

from moveit_msgs.strict import message

CollisionObject = message(
    "CollisionObject",
    {
        "header": Header,
        "pose": Pose,
        "id": str,
        "primitives": list,
        "primitive_poses": list,
        "meshes": list,
        "mesh_poses": list,
        "planes": list,
        "plane_poses": list,
        "subframe_names": list,
        "subframe_poses": list,
        "operation": bytes,
    },
    ADD=b"\x00",
    REMOVE=b"\x01",
)
AttachedCollisionObject = message(
    "AttachedCollisionObject",
    {
        "link_name": str,
        "object": CollisionObject,
        "touch_links": list,
        "detach_posture": JointTrajectory,
        "weight": float,
    },
)
RobotState = message(
    "RobotState",
    {"joint_state": JointState, "attached_collision_objects": list, "is_diff": bool},
)
JointConstraint = message(
    "JointConstraint",
    {
        "joint_name": str,
        "position": float,
        "tolerance_above": float,
        "tolerance_below": float,
        "weight": float,
    },
)
Constraints = message(
    "Constraints",
    {
        "name": str,
        "joint_constraints": list,
        "position_constraints": list,
        "orientation_constraints": list,
        "visibility_constraints": list,
    },
)
MotionPlanRequest = message(
    "MotionPlanRequest",
    {
        "start_state": RobotState,
        "goal_constraints": list,
        "path_constraints": Constraints,
        "pipeline_id": str,
        "planner_id": str,
        "group_name": str,
        "num_planning_attempts": int,
        "allowed_planning_time": float,
        "max_velocity_scaling_factor": float,
        "max_acceleration_scaling_factor": float,
    },
)
MoveItErrorCodes = message("MoveItErrorCodes", {"val": int}, SUCCESS=1)
RobotTrajectory = message("RobotTrajectory", {"joint_trajectory": JointTrajectory})
MotionPlanResponse = message(
    "MotionPlanResponse",
    {
        "trajectory_start": RobotState,
        "group_name": str,
        "trajectory": RobotTrajectory,
        "planning_time": float,
        "error_code": MoveItErrorCodes,
    },
)
PlanningSceneWorld = message("PlanningSceneWorld", {"collision_objects": list})
PlanningScene = message(
    "PlanningScene",
    {"name": str, "robot_state": RobotState, "world": PlanningSceneWorld, "is_diff": bool},
)
PlannerInterfaceDescription = message(
    "PlannerInterfaceDescription", {"name": str, "pipeline_id": str, "planner_ids": list}
)
GripperTranslation = message(
    "GripperTranslation",
    {"direction": Vector3Stamped, "desired_distance": float, "min_distance": float},
)
Grasp = message(
    "Grasp",
    {
        "id": str,
        "pre_grasp_posture": JointTrajectory,
        "grasp_posture": JointTrajectory,
        "grasp_pose": PoseStamped,
        "grasp_quality": float,
        "pre_grasp_approach": GripperTranslation,
        "post_grasp_retreat": GripperTranslation,
        "post_place_retreat": GripperTranslation,
        "max_contact_force": float,
        "allowed_touch_objects": list,
    },
)
