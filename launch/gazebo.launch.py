"""A robot in Gazebo, with its controllers, sensors and bridge, and all nodes but `sim`.

`ros2 launch selfgrasp gazebo.launch.py robot:=baxter --show-args` lists the arguments. It
needs ros_gz_sim, ros_gz_bridge, gz_ros2_control, ros2_controllers and
robot_state_publisher: `docs/gazebo.md`.
"""

from launch import LaunchDescription
from selfgrasp_nodes.nodes.launching import launch_description


def generate_launch_description() -> LaunchDescription:
    return launch_description("gazebo")
