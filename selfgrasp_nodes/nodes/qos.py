"""Quality of service, by what a topic is for."""

from __future__ import annotations

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)

SENSOR = qos_profile_sensor_data
"""How cameras and other sensors are subscribed: best effort, small depth."""

EVENT = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=10, reliability=ReliabilityPolicy.RELIABLE
)
"""How results are published: reliable, so that either kind of subscriber hears them."""

STATE = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1000, reliability=ReliabilityPolicy.RELIABLE
)
"""Joint states and wrenches as they are published: label and recorder may miss none."""


def state(depth: int) -> QoSProfile:
    """As :data:`STATE`, for a subscriber with room for ``depth`` messages that wait."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=ReliabilityPolicy.RELIABLE
    )


LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""For what a late joiner needs: calibration, background, the last heightmap."""

IMAGE = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=2, reliability=ReliabilityPolicy.RELIABLE
)
"""How images are published: serves best-effort and reliable subscribers."""
