"""Which ROS middleware is loaded."""

from __future__ import annotations


def loaded_middleware() -> str:
    """Identifier of the RMW implementation, as in ``rmw_fastrtps_cpp``.

    Raises:
        Exception: Whatever rclpy raises where RMW_IMPLEMENTATION names one that is not there.
    """
    from rclpy.utilities import get_rmw_implementation_identifier

    return str(get_rmw_implementation_identifier())
