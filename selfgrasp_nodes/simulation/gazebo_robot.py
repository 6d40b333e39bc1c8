"""A robot in Gazebo: its URDF with sensors, its controllers, and the bridge to ROS.

The URDF is the same xacro as everywhere, with ``gazebo:=true``. One controller manager
serves all arms, so controllers are named ``<arm>_...`` there: :func:`in_gazebo` is the
robot's description with those names.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.robots import ArmSpec, CameraSpec, RobotSpec
from selfgrasp_nodes.robots.urdf import expand_urdf, package_path
from selfgrasp_nodes.simulation.gazebo_world import Element, add, camera_sensor, pose_text

WRENCH_RATE = 200.0
CONTROL_RATE = 200
"""Of the wrist's wrench and of the controllers [1/s]."""

_GRIPPERS = {
    "parallel_gripper_command": "parallel_gripper_action_controller/GripperActionController",
    "gripper_command": "position_controllers/GripperActionController",
}


def in_gazebo(robot: RobotSpec) -> RobotSpec:
    """The robot with the names that its controllers and sensors have in Gazebo."""
    arms = []
    for arm in robot.arms:
        # Positions are commanded there: no force is measured, and none can be set.
        gripper = arm.gripper.model_copy(
            update={
                "command": "parallel_gripper_command",
                "command_topic": f"{gripper_controller(arm)}/gripper_cmd",
                "driver_joint": "",
                "driver_unit": "joint",
                "tool_io": None,
            }
        )
        arms.append(
            arm.model_copy(
                update={
                    "trajectory_action": f"{trajectory_controller(arm)}/follow_joint_trajectory",
                    "gripper": gripper,
                }
            )
        )
    return robot.model_copy(update={"arms": tuple(arms)})


def trajectory_controller(arm: ArmSpec) -> str:
    """Name of the controller of an arm's joints."""
    return f"{arm.name}_joint_trajectory_controller"


def gripper_controller(arm: ArmSpec) -> str:
    """Name of the controller of an arm's gripper."""
    return f"{arm.name}_gripper_controller"


def controllers(robot: RobotSpec) -> dict[str, Any]:
    """The parameter file of the controller manager and its controllers."""
    manager: dict[str, Any] = {
        "update_rate": CONTROL_RATE,
        "joint_state_broadcaster": {"type": "joint_state_broadcaster/JointStateBroadcaster"},
    }
    sections: dict[str, Any] = {"controller_manager": {"ros__parameters": manager}}
    for arm in robot.arms:
        manager[trajectory_controller(arm)] = {
            "type": "joint_trajectory_controller/JointTrajectoryController"
        }
        manager[gripper_controller(arm)] = {"type": _GRIPPERS[arm.gripper.command]}
        sections[trajectory_controller(arm)] = {
            "ros__parameters": {
                "joints": list(arm.joints),
                "command_interfaces": ["position"],
                "state_interfaces": ["position", "velocity"],
                "allow_partial_joints_goal": False,
                "constraints": {"goal_time": 1.0},
            }
        }
        sections[gripper_controller(arm)] = {
            "ros__parameters": {
                "joint": arm.gripper.joint,
                "allow_stalling": True,
                "stall_timeout": 0.3,
                "stall_velocity_threshold": 0.002,
                "goal_tolerance": 0.002,
            }
        }
    return sections


def controller_names(robot: RobotSpec) -> list[str]:
    """What the spawner starts."""
    names = ["joint_state_broadcaster"]
    for arm in robot.arms:
        names += [trajectory_controller(arm), gripper_controller(arm)]
    return names


def bridge(robot: RobotSpec) -> list[dict[str, Any]]:
    """The configuration of ros_gz_bridge: the clock, pictures and wrenches, to ROS."""

    def to_ros(ros: str, gz: str, ros_type: str, gz_type: str) -> dict[str, Any]:
        return {
            "ros_topic_name": ros,
            "gz_topic_name": gz,
            "ros_type_name": ros_type,
            "gz_type_name": f"gz.msgs.{gz_type}",
            "direction": "GZ_TO_ROS",
        }

    entries = [to_ros("/clock", "/clock", "rosgraph_msgs/msg/Clock", "Clock")]
    image, info = ("sensor_msgs/msg/Image", "Image"), ("sensor_msgs/msg/CameraInfo", "CameraInfo")
    for camera in robot.cameras:
        ros, gz = camera.namespace, f"/{camera.namespace}"
        entries += [
            to_ros(f"{ros}/color/image_raw", f"{gz}/image", *image),
            to_ros(f"{ros}/depth/image_raw", f"{gz}/depth_image", *image),
            # One sensor makes both pictures: depth is aligned to colour.
            to_ros(f"{ros}/color/camera_info", f"{gz}/camera_info", *info),
            to_ros(f"{ros}/depth/camera_info", f"{gz}/camera_info", *info),
        ]
    for arm in robot.arms:
        wrench = ("geometry_msgs/msg/WrenchStamped", "Wrench")
        entries.append(to_ros(arm.wrench_topic, f"/{arm.wrench_topic}", *wrench))
    return entries


def gazebo_urdf(robot: RobotSpec, controllers_file: str) -> str:
    """The robot's URDF for Gazebo: ros2_control, cameras on links, wrist sensors.

    Args:
        robot: The cell.
        controllers_file: Where :func:`controllers` was written.

    Raises:
        InvalidConfig: If the xacro knows no ``gazebo`` argument, or a sensor's link is
            not below its joint.
        MissingDependency: If a mesh's package is not installed.
    """
    base = robot.world_T_base
    text = expand_urdf(
        robot,
        resolve=False,
        world="true",
        world_xyz=" ".join(map(str, base.xyz)),
        world_rpy=" ".join(map(str, base.rpy)),
        gazebo="true",
        gz_controllers=controllers_file,
        gz_home=" ".join(str(q) for arm in robot.arms for q in arm.home),
    )
    if "<ros2_control" not in text:
        raise InvalidConfig(
            f"{robot.urdf} has no ros2_control for Gazebo; use the macros of urdf/gazebo.xacro "
            "behind an argument `gazebo`, as the robots of urdf/ do"
        )
    root = ElementTree.fromstring(text)
    for mesh in root.iter("mesh"):
        # Gazebo finds a package's meshes only where the package exports them: name the file.
        mesh.set("filename", f"file://{package_path(mesh.get('filename', ''))}")
    for camera in robot.cameras:
        if camera.parent != "world":
            root.append(_camera(camera))
    for arm in robot.arms:
        root.append(_wrist(root, arm))
    return ElementTree.tostring(root, encoding="unicode")


def _camera(camera: CameraSpec) -> Element:
    holder = Element("gazebo", reference=camera.parent)
    holder.append(camera_sensor(camera, np.eye(4)))
    return holder


def _wrist(root: Element, arm: ArmSpec) -> Element:
    """A force-torque sensor in the last joint, whose axes are the flange's.

    Links without mass cannot carry a joint of their own in Gazebo, so the sensor sits in
    the wrist's last joint, turned and moved to the flange: it feels the last link, too.
    """
    pose, link = np.eye(4), arm.tip_link
    joints = {j.find("child").get("link"): j for j in root.findall("joint")}  # type: ignore[union-attr]
    while link in joints and joints[link].get("type") == "fixed":
        joint = joints[link]
        origin = joint.find("origin")
        numbers = [
            [
                float(x)
                for x in (origin.get(key, "0 0 0") if origin is not None else "0 0 0").split()
            ]
            for key in ("xyz", "rpy")
        ]
        pose = geometry.transform(*numbers) @ pose
        link = joint.find("parent").get("link")  # type: ignore[union-attr,assignment]
    if link not in joints or joints[link].get("name") != arm.joints[-1]:
        raise InvalidConfig(f"arm {arm.name!r}: {arm.tip_link} is not fixed to {arm.joints[-1]}")
    holder = Element("gazebo", reference=arm.joints[-1])
    add(holder, "provideFeedback", "true")
    sensor = add(holder, "sensor", name=f"{arm.name}_wrist", type="force_torque")
    add(sensor, "pose", pose_text(pose))
    add(sensor, "topic", arm.wrench_topic)
    add(sensor, "update_rate", WRENCH_RATE)
    add(sensor, "always_on", "true")
    measured = add(sensor, "force_torque")
    add(measured, "frame", "sensor")
    add(measured, "measure_direction", "child_to_parent")
    return holder
