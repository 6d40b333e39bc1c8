from __future__ import annotations

import time

import numpy as np
import rclpy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState

from selfgrasp_nodes.nodes import conversions
from selfgrasp_nodes.nodes.arm_view import ArmView, header_stamp
from selfgrasp_nodes.nodes.base import BaseNode


class Watcher(BaseNode):
    NAME = "watcher"


def test_stamp_is_read_from_the_bytes() -> None:
    for stamp in (0, 1, 7_123_456_789, 2**31 * 10**9 - 1):
        message = JointState(header=conversions.header("frame", stamp), name=["a"], position=[1.0])
        assert header_stamp(serialize_message(message)) == stamp


def test_an_arm_over_the_table_is_in_view_at_its_time_only(spinner) -> None:
    node = Watcher(namespace="/view")
    view = ArmView(node)
    talker = rclpy.create_node("talker", namespace="/view")
    publisher = talker.create_publisher(JointState, "joint_states", 10)
    spinner.add(node)
    spinner.add(talker)
    assert view.blocking(5) == "", "nothing is known yet"
    arm = node.robot.arm()
    limit = time.monotonic() + 5
    while not publisher.get_subscription_count() and time.monotonic() < limit:
        time.sleep(0.01)
    for stamp, q in ((1_000, arm.home), (2_000, arm.ready)):
        head = conversions.header("", stamp)
        joints = np.asarray(q, float).tolist()
        publisher.publish(JointState(header=head, name=list(arm.joints), position=joints))
    limit = time.monotonic() + 20
    while view.blocking(2_000) != arm.name and time.monotonic() < limit:
        time.sleep(0.05)
    assert view.blocking(2_000) == arm.name
    assert view.blocking(1_000) == ""
