"""A robot's URDF: xacro expanded, meshes found.

``package://`` addresses are looked for in the ROS installation first, then among
the robot models that the ``example-robot-data`` package installs.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import threading
from pathlib import Path

from selfgrasp_nodes.errors import InvalidConfig, MissingDependency
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots.description import RobotSpec

_XACRO = threading.Lock()  # xacro keeps the arguments of the file it reads in a global
_PACKAGE = re.compile(r"package://([^/\"']+)/([^\"']*)")


def package_path(uri: str) -> Path:
    """The file behind a ``package://`` address.

    Raises:
        MissingDependency: If no installed package has it.
    """
    match = _PACKAGE.fullmatch(uri)
    if match is None:
        raise InvalidConfig(f"not a package address: {uri!r}; expected package://PACKAGE/FILE")
    package, rest = match.groups()
    for folder in _package_folders(package):
        if (folder / rest).exists():
            return folder / rest
    raise MissingDependency(
        f"{uri} was not found; install the ROS package {package!r} and source its setup file, "
        "or `pip install example-robot-data`"
    )


def _package_folders(package: str) -> list[Path]:
    """Where a package's shared files may lie, likeliest first."""
    if package == "selfgrasp":
        return [share_dir()]
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    folders = [Path(p) / "share" / package for p in prefixes]
    for entry in sys.path:
        data = Path(entry) / "cmeel.prefix" / "share" / "example-robot-data" / "robots"
        if data.is_dir():
            folders.append(data / package)
    return folders


def expand_urdf(robot: RobotSpec, *, resolve: bool = True, **args: str) -> str:
    """The URDF of a robot as text, root link ``robot.base_link``.

    Args:
        robot: Whose ``urdf`` and ``xacro_args`` are used.
        resolve: Replace ``package://`` by the files' paths and take STL visuals,
            for MuJoCo and Pinocchio; ``False`` keeps the addresses, for RViz.
        args: More xacro arguments; they win over the robot's.

    Raises:
        InvalidConfig: If the xacro cannot be expanded.
        MissingDependency: If a mesh's package is not installed.
    """
    merged = dict(robot.xacro_args)
    if resolve:
        merged.setdefault("visual_ext", "stl")
    merged.update(args)
    text = _expand(str(urdf_file(robot)), tuple(sorted(merged.items())))
    return _PACKAGE.sub(lambda m: str(package_path(m.group(0))), text) if resolve else text


def urdf_file(robot: RobotSpec) -> Path:
    """The xacro file of a robot.

    Raises:
        InvalidConfig: If it does not exist.
    """
    path = Path(robot.urdf)
    path = path if path.is_absolute() else share_dir() / path
    if not path.is_file():
        raise InvalidConfig(f"robot {robot.name!r}: urdf file {path} does not exist")
    return path


def _expand(path: str, args: tuple[tuple[str, str], ...]) -> str:
    with _XACRO:
        return _expand_one(path, args)


@functools.lru_cache(maxsize=16)
def _expand_one(path: str, args: tuple[tuple[str, str], ...]) -> str:
    try:
        import xacro
    except ImportError as error:
        raise MissingDependency("xacro is not installed: pip install xacro") from error
    try:
        document = xacro.process_file(path, mappings=dict(args))
    except Exception as error:  # xacro raises many kinds; the reason is in the text
        raise InvalidConfig(f"cannot expand {path}: {error}") from error
    return document.toprettyxml(indent="  ")
