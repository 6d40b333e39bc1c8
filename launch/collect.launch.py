"""A night's run in simulation: tries are recorded until there are enough of them.

`ros2 launch selfgrasp collect.launch.py --show-args` lists the arguments. Without a ROS
launch system: `selfgrasp up collect`.
"""

from launch import LaunchDescription
from selfgrasp_nodes.nodes.launching import launch_description


def generate_launch_description() -> LaunchDescription:
    return launch_description("collect")
