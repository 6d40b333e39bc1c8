"""Which topics a trial bag may hold: what was sensed and decided, never a command.

``ros2 bag play`` publishes every topic of a bag. A bag that holds no topic that
a controller, a gripper or an action server listens to therefore moves nothing,
wherever it is replayed. What was commanded is kept inside the trial's record.
"""

from __future__ import annotations

import re

from selfgrasp_nodes.errors import InvalidConfig

#: Last parts of topic names that controllers and drivers listen to.
_COMMAND_NAMES = re.compile(
    r"(^|/)(cmd|command|commands|cmd_[a-z_]*|[a-z_]*_cmd|[a-z_]*_commands?|joint_trajectory|"
    r"reference|setpoint|goal|goal_pose|cancel|stop|emergency_stop|twist_cmd|move_base_simple"
    r"|speed_scaling_factor|script_command)$"
)
#: Topics of actions (goal, feedback, status) and of services' introspection.
_HIDDEN = re.compile(r"(^|/)_action(/|$)|(^|/)_service_event$")
#: Message types that are commands by themselves.
_COMMAND_TYPES = re.compile(
    r"^(trajectory_msgs/msg/.*|control_msgs/msg/.*Command(Array)?|geometry_msgs/msg/Twist(Stamped)?"
    r"|geometry_msgs/msg/AccelStamped|std_msgs/msg/Float64MultiArray|action_msgs/msg/.*"
    r"|[a-z0-9_]+/action/.*|[a-z0-9_]+/srv/.*)$"
)
_NAME = re.compile(r"^/?[A-Za-z_~{][A-Za-z0-9_/~{}]*$")
_TYPE = re.compile(r"^[a-z][a-z0-9_]*/(msg|action|srv)/[A-Z][A-Za-z0-9_]*$")


def refusal(topic: str, msgtype: str) -> str:
    """Why a topic may not be recorded; empty where it may."""
    if not _NAME.match(topic):
        return "it is not a topic name"
    if not _TYPE.match(msgtype):
        return f"its type {msgtype!r} is not of the form package/msg/Name"
    if _HIDDEN.search(topic):
        return "it belongs to an action or a service"
    if _COMMAND_NAMES.search(topic):
        return "its name is that of a command topic"
    if _COMMAND_TYPES.match(msgtype):
        return f"its type {msgtype} is that of a command"
    return ""


def check_topic(topic: str, msgtype: str) -> None:
    """Refuse a topic whose replay could move hardware.

    Raises:
        InvalidConfig: With the reason.
    """
    reason = refusal(topic, msgtype)
    if reason:
        raise InvalidConfig(
            f"topic {topic!r} is not recorded: {reason}. Trial bags hold state topics only "
            "(images, joint states, gripper state, wrench, tf, candidates, outcomes), so that "
            "a replay commands no hardware; take it off the recorder's list"
        )
