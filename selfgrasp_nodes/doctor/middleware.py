"""ROS: its libraries, the middleware, who hears whom, and the interfaces."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from selfgrasp_nodes.doctor.findings import SETUP, Finding, Level, import_problem

INTERFACES = (
    "selfgrasp.msg",
    "selfgrasp.srv",
    "selfgrasp.action",
    "sensor_msgs.msg",
    "control_msgs.action",
    "tf2_msgs.msg",
    "diagnostic_msgs.msg",
)


def ros() -> Iterator[Finding]:
    """rclpy, the middleware, and the variables that decide who hears whom."""
    problem = import_problem("rclpy")
    if problem:
        yield Finding("ROS", "rclpy", Level.FAIL, problem, SETUP)
        return
    yield Finding("ROS", "rclpy", Level.OK, os.environ.get("ROS_DISTRO", "from PyPI wheels"))
    middleware = os.environ.get("RMW_IMPLEMENTATION", "")
    yield _middleware(middleware)
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    right = domain.isdigit() and int(domain) <= 101
    yield Finding(
        "ROS",
        "ROS_DOMAIN_ID",
        Level.OK if right else Level.FAIL,
        domain,
        "" if right else "set it to a number from 0 to 101",
    )
    reach = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    known = reach in ("OFF", "LOCALHOST", "SUBNET", "SYSTEM_DEFAULT")
    note = "" if known else "use LOCALHOST or SUBNET"
    if reach == "OFF":
        known, note = False, "OFF lets no node hear another: use LOCALHOST or SUBNET"
    level = Level.OK if known else Level.FAIL
    yield Finding("ROS", "ROS_AUTOMATIC_DISCOVERY_RANGE", level, reach, note)
    if middleware in ("", "rmw_fastrtps_cpp"):
        yield _profile(os.environ.get("FASTDDS_DEFAULT_PROFILES_FILE", ""))


def _middleware(name: str) -> Finding:
    from selfgrasp_nodes.nodes.middleware import loaded_middleware

    try:
        loaded = loaded_middleware()
    except Exception as error:
        remedy = "unset RMW_IMPLEMENTATION, or install the middleware that it names"
        return Finding("ROS", "middleware", Level.FAIL, f"{name!r}: {error}", remedy)
    return Finding("ROS", "middleware", Level.OK, loaded)


def _profile(file: str) -> Finding:
    if not file:
        return Finding(
            "ROS",
            "Fast DDS profile",
            Level.WARN,
            "FASTDDS_DEFAULT_PROFILES_FILE is not set: most camera images will be lost",
            'eval "$(.venv/bin/selfgrasp env)", or set it to config/fastdds.xml',
        )
    if not Path(file).is_file():
        remedy = "set it to an existing file, or unset it"
        return Finding("ROS", "Fast DDS profile", Level.FAIL, f"{file} does not exist", remedy)
    return Finding("ROS", "Fast DDS profile", Level.OK, file)


def interfaces() -> Iterator[Finding]:
    """Message packages, with the libraries behind them."""
    for name in INTERFACES:
        problem = import_problem(name) or _type_support_problem(name)
        remedy = f'{SETUP}; from another shell: eval "$(.venv/bin/selfgrasp env)"'
        level = Level.FAIL if problem else Level.OK
        where = getattr(sys.modules.get(name), "__file__", None) or ""
        yield Finding("interfaces", name, level, problem or where, remedy if problem else "")


def _type_support_problem(package: str) -> str:
    """Load the C library of one type; without LD_LIBRARY_PATH that fails, not the import."""
    module = import_module(package)
    kind = next(
        (
            value
            for value in vars(module).values()
            if hasattr(value, "__class__") and hasattr(value, "__import_type_support__")
        ),
        None,
    )
    if kind is None:
        return f"{package} holds no type"
    try:
        kind.__import_type_support__()
        support = getattr(kind, "_TYPE_SUPPORT", None) or getattr(
            type(kind), "_TYPE_SUPPORT", None
        )
    except Exception as error:
        return f"type support: {error}"
    return "" if support is not None else "its C library was not found (LD_LIBRARY_PATH)"
