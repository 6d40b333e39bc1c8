"""Quality of service, by what a topic is for."""

from __future__ import annotations

import os

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)

SENSOR = qos_profile_sensor_data
"""How sensors are subscribed: best effort, small depth."""

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


def camera() -> QoSProfile:
    """How camera topics are subscribed: as sensor data, which every driver's publisher matches.

    Over UDP alone, on a machine without shared memory, pictures are cut into
    many packets and best effort loses nearly all of them (``bench/images.py``):
    there the subscription is reliable.
    """
    profile = os.environ.get("FASTDDS_DEFAULT_PROFILES_FILE", "")
    return IMAGE if profile.endswith("fastdds_udp.xml") else SENSOR
