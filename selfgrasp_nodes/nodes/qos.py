"""Quality of service, by what a topic is for."""

from __future__ import annotations

import os
from collections.abc import Iterable

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

from selfgrasp_nodes.errors import InvalidConfig

OVERRIDES = "qos_overrides."
"""Prefix of the parameters that change the quality of service, as ROS names them."""

POLICIES = {
    kind.name.lower(): kind
    for kind in (
        QoSPolicyKind.HISTORY,
        QoSPolicyKind.DEPTH,
        QoSPolicyKind.RELIABILITY,
        QoSPolicyKind.DURABILITY,
    )
}
"""What may be overridden."""

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

SERVICE = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1000, reliability=ReliabilityPolicy.RELIABLE
)
"""Services and their clients: ROS's own 10 lose what is more than that at once."""

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


def overriding(
    given: Iterable[str], entity: str, topic: str, profile: QoSProfile | int
) -> tuple[QoSProfile, QoSOverridingOptions | None, set[str]]:
    """What rclpy needs to take a node's overrides of one topic.

    Args:
        given: Names of all parameters that the node was given.
        entity: ``publisher`` or ``subscription``.
        topic: Its whole name, after remapping.
        profile: The node's own choice.

    Returns:
        A profile that rclpy may write to, its options (None where nothing is
        overridden), and the parameters that are used up.

    Raises:
        InvalidConfig: If a policy is named that cannot be overridden.
    """
    if isinstance(profile, int):
        profile = QoSProfile(depth=profile)
    prefix = f"{OVERRIDES}{topic}.{entity}."
    mine = {name for name in given if name.startswith(prefix)}
    if not mine:
        return profile, None, set()
    names = {name.removeprefix(prefix) for name in mine}
    if not names <= set(POLICIES):
        raise InvalidConfig(
            f"{prefix}{sorted(names - set(POLICIES))[0]}: no such policy; valid: "
            f"{', '.join(POLICIES)}"
        )
    own = QoSProfile(
        history=profile.history,
        depth=profile.depth,
        reliability=profile.reliability,
        durability=profile.durability,
    )
    return own, QoSOverridingOptions([POLICIES[name] for name in sorted(names)]), mine
