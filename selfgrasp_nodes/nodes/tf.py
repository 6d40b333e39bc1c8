"""TF in and out: with ``tf2_ros`` where it is installed, else by the topics alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from selfgrasp_nodes.errors import Unavailable
from selfgrasp_nodes.nodes import conversions
from selfgrasp_nodes.nodes.tf_tree import TransformTree

try:
    import tf2_ros
except ImportError:
    tf2_ros = None

_DYNAMIC = QoSProfile(depth=100)
_STATIC = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class TransformPublisher:
    """Publishes /tf and /tf_static."""

    def __init__(self, node: Node):
        self._static: dict[str, TransformStamped] = {}
        self._dynamic_publisher = node.create_publisher(TFMessage, "/tf", _DYNAMIC)
        self._static_publisher = node.create_publisher(TFMessage, "/tf_static", _STATIC)

    def send(self, transforms: Sequence[TransformStamped]) -> None:
        """Transforms that hold at their stamps."""
        self._dynamic_publisher.publish(TFMessage(transforms=list(transforms)))

    def send_fixed(self, transforms: Sequence[TransformStamped]) -> None:
        """Transforms that hold for ever; a late joiner receives all of them."""
        self._static.update({item.child_frame_id: item for item in transforms})
        self._static_publisher.publish(TFMessage(transforms=list(self._static.values())))


class TransformListener:
    """Looks transforms up.

    Args:
        node: Whose executor hears the topics.
        group: Callback group of the subscriptions.
    """

    def __init__(self, node: Node, group: ReentrantCallbackGroup):
        self._buffer: Any = None
        self._tree = TransformTree()
        if tf2_ros is not None:
            self._buffer = tf2_ros.Buffer(node=node)
            self._listener = tf2_ros.TransformListener(self._buffer, node, spin_thread=False)
            return
        for topic, profile, take in (
            ("/tf", _DYNAMIC, self._take_moving),
            ("/tf_static", _STATIC, self._take_fixed),
        ):
            node.create_subscription(TFMessage, topic, take, profile, callback_group=group)

    def lookup(
        self, target: str, source: str, stamp: int | None = None, timeout: float = 0.0
    ) -> np.ndarray:
        """target_T_source as a 4 x 4 matrix.

        Args:
            target: Frame to express in.
            source: Frame that is expressed.
            stamp: Time [ns]; the newest where None.
            timeout: Wall-clock limit for it to become known [s].

        Raises:
            Unavailable: If it does not become known.
        """
        limit = time.monotonic() + timeout
        while True:
            try:
                return self._lookup(target, source, stamp)
            except Unavailable:
                if time.monotonic() >= limit:
                    raise
            time.sleep(0.005)

    def _lookup(self, target: str, source: str, stamp: int | None) -> np.ndarray:
        if self._buffer is None:
            return self._tree.lookup(target, source, stamp)
        from rclpy.time import Time

        try:
            found = self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp or 0))
        except Exception as error:
            raise Unavailable(f"no transform from {source!r} to {target!r}: {error}") from error
        return conversions.transform(found.transform)

    def _take_moving(self, message: TFMessage) -> None:
        for item in message.transforms:
            self._tree.add(
                item.header.frame_id,
                item.child_frame_id,
                conversions.stamp(item.header.stamp),
                conversions.transform(item.transform),
            )

    def _take_fixed(self, message: TFMessage) -> None:
        for item in message.transforms:
            matrix = conversions.transform(item.transform)
            self._tree.set_fixed(item.header.frame_id, item.child_frame_id, matrix)
