"""Grasps from a camera that the graph does not know: one picture, sent with the request."""

import sys

import rclpy
from rclpy.qos import qos_profile_sensor_data
from rclpy.wait_for_message import wait_for_message
from sensor_msgs.msg import CameraInfo, Image

from selfgrasp_nodes.client import SelfGrasp, observation_of

camera = sys.argv[1] if len(sys.argv) > 1 else "my_camera"
rclpy.init()
node = rclpy.create_node("my_camera_reader")


def hear(kind: type, topic: str) -> object:
    """The next message; depth must be aligned to colour."""
    name = f"{camera}/{topic}"
    profile = qos_profile_sensor_data
    found, message = wait_for_message(kind, node, name, qos_profile=profile, time_to_wait=20)
    return message if found else sys.exit(f"error: nothing on {name}; does the driver run?")


color, depth = hear(Image, "color/image_raw"), hear(Image, "depth/image_raw")
info = hear(CameraInfo, "color/camera_info")
with SelfGrasp() as robot:
    # Where the camera is, TF says; or give camera_pose=TransformStamped(...).
    for grasp in robot.plan(observation_of(color, depth, info), max_candidates=5):
        print(f"score {grasp.score:.2f} at {grasp.pose.position}")
