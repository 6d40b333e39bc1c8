"""The simulated robot cell: world, perception, policy, motion, label, picker.

`ros2 launch selfgrasp sim.launch.py --show-args` lists the arguments. Without a ROS
launch system: `selfgrasp up sim`.
"""

from launch import LaunchDescription
from selfgrasp_nodes.nodes.launching import launch_description


def generate_launch_description() -> LaunchDescription:
    return launch_description("sim")
