"""Which Python the environment is made with, and where its ROS 2 comes from."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from console import SetupError

OLDEST = (3, 10)
NEWEST_WITH_WHEELS = (3, 13)
DISTRIBUTIONS = ("jazzy", "kilted", "lyrical")

# What a ROS 2 installation tells its programs; kept so that the command works
# later from a shell in which nothing is sourced.
ROS_VARIABLES = (
    "ROS_DISTRO",
    "ROS_VERSION",
    "ROS_PYTHON_VERSION",
    "AMENT_PREFIX_PATH",
    "CMAKE_PREFIX_PATH",
    "COLCON_PREFIX_PATH",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
)

_PROBE = """
import importlib.util, json, os, sys, sysconfig
def version(name):
    try:
        return __import__(name).__version__
    except Exception:
        return ""
print(json.dumps({
    "executable": os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable),
    "version": list(sys.version_info[:3]),
    "headers": sysconfig.get_paths()["include"],
    "prefix": sys.base_prefix,
    "ensurepip": importlib.util.find_spec("ensurepip") is not None,
    "rclpy": importlib.util.find_spec("rclpy") is not None,
    "numpy": version("numpy") if importlib.util.find_spec("rclpy") else "",
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """The Python to build on.

    Attributes:
        path: Of its executable.
        version: (major, minor, micro).
        headers: Folder that should hold Python.h.
        can_make_venv: Whether ensurepip is there.
        distribution: Sourced ROS 2 distribution; empty where the wheels are used.
        numpy: Version that the distribution's messages were built against.
        ros_environment: The distribution's variables.
    """

    path: Path
    version: tuple[int, int, int]
    headers: Path
    can_make_venv: bool
    distribution: str = ""
    numpy: str = ""
    ros_environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def minor(self) -> str:
        """As in ``3.11``."""
        return f"{self.version[0]}.{self.version[1]}"

    @property
    def key(self) -> str:
        """What the environment depends on."""
        return json.dumps([str(self.path), self.version, self.distribution, self.numpy])


def choose_interpreter(environment: Mapping[str, str], root: Path) -> Interpreter:
    """``$PYTHON``, else the first Python 3.10 to 3.13 on the path that fits.

    Args:
        environment: Usually ``os.environ``.
        root: The checkout; what it has itself put into the environment is left out.

    Raises:
        SetupError: If none fits, or an unsupported ROS distribution is sourced.
    """
    distribution = _sourced_distribution(environment)
    named = environment.get("PYTHON", "")
    names = (
        [named] if named else ["python3", "python3.12", "python3.11", "python3.13", "python3.10"]
    )
    seen = []
    for name in names:
        path = shutil.which(name)
        found = _probe(path) if path else None
        if found is None:
            seen.append(f"{name}: not found")
            continue
        version = tuple(found["version"])
        problem = _problem(version, found, distribution)
        if not problem:
            return Interpreter(
                # Of a virtual environment the Python below it: .venv is made from that one.
                path=Path(found["executable"]),
                version=version,
                headers=Path(found["headers"]),
                can_make_venv=found["ensurepip"],
                distribution=distribution,
                numpy=found["numpy"] if distribution else "",
                ros_environment=_ros_variables(environment, root) if distribution else {},
            )
        seen.append(f"{name}: {problem}")
    wanted = (
        f"the Python that ROS 2 {distribution} was built for"
        if distribution
        else "Python 3.10 to 3.13 (ROS 2 comes as wheels for these)"
    )
    raise SetupError(
        f"no usable Python; needed: {wanted}. Looked at: {'; '.join(seen)}. "
        "Install one, or name it: PYTHON=/path/to/python3.12 make setup"
    )


def _sourced_distribution(environment: Mapping[str, str]) -> str:
    distribution = environment.get("ROS_DISTRO", "")
    if not distribution or not environment.get("AMENT_PREFIX_PATH"):
        return ""
    if distribution not in DISTRIBUTIONS:
        raise SetupError(
            f"ROS distribution '{distribution}' is sourced in this shell; supported: "
            f"{', '.join(DISTRIBUTIONS)}. Source one of these, or use a shell without it "
            "(ROS 2 then comes as wheels)."
        )
    return distribution


def _ros_variables(environment: Mapping[str, str], root: Path) -> dict[str, str]:
    found = {}
    for name in ROS_VARIABLES:
        parts = environment.get(name, "").split(os.pathsep)
        kept = [p for p in parts if p and p != str(root) and not p.startswith(f"{root}/")]
        if kept:
            found[name] = os.pathsep.join(kept)
    return found


def _problem(version: tuple[int, ...], found: dict, distribution: str) -> str:
    shown = ".".join(map(str, version))
    if version[:2] < OLDEST:
        return f"{shown} is too old"
    if distribution:
        return "" if found["rclpy"] else f"{shown} does not import rclpy"
    if version[:2] > NEWEST_WITH_WHEELS:
        return f"{shown} is newer than the wheels"
    if platform.machine() != "x86_64" or platform.system() != "Linux":
        return (
            f"the wheels are for Linux on x86-64, this is {platform.system()} on "
            f"{platform.machine()}; source a ROS 2 installation instead"
        )
    return ""


def _probe(path: str) -> dict | None:
    try:
        output = subprocess.run(
            [path, "-c", _PROBE], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        found: dict = json.loads(output)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return found
