"""A robot behind ros2_control and its camera: perception, policy, motion, label, picker.

`ros2 launch selfgrasp robot.launch.py --show-args` lists the arguments. Without a ROS
launch system: `selfgrasp up robot`.
"""

from launch import LaunchDescription
from selfgrasp_nodes.nodes.launching import launch_description


def generate_launch_description() -> LaunchDescription:
    return launch_description("robot")
