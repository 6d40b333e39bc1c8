"""The ROS environment that programs of this project run in.

``.venv/bin/selfgrasp`` works from a shell with nothing sourced: it computes
these variables and, where they are not set yet, starts itself again with them
(the dynamic linker reads some of them only at start). In a sourced ROS
workspace there is nothing to change.
"""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from selfgrasp_nodes.cli import shared_memory

ROOT = Path(__file__).resolve().parents[2]
RMW = "rmw_fastrtps_cpp"

# Names the process that has entered already, so that it never starts itself twice.
_ENTERED = "_SELFGRASP_ENTERED"
_LISTS = ("PATH", "AMENT_PREFIX_PATH", "LD_LIBRARY_PATH", "PYTHONPATH")


def ros_environment(current: Mapping[str, str]) -> dict[str, str]:
    """The variables to set, on top of the current ones.

    What the user has set wins; lists get what they lack put in front.
    Computing it again on its own result changes nothing.
    """
    base = {**_recorded(), **current}
    front: dict[str, list[str]] = {name: [] for name in _LISTS}
    for prefix in _prefixes():
        front["AMENT_PREFIX_PATH"].append(str(prefix))
        front["LD_LIBRARY_PATH"].append(str(prefix / "lib"))
        front["PYTHONPATH"] += [str(path) for path in _python_folders(prefix)]
    if _is_checkout():
        front["PYTHONPATH"].insert(0, str(ROOT))
        front["PATH"].append(str(Path(sys.executable).parent))
    recorded = _recorded()
    wanted: dict[str, str] = {k: v for k, v in recorded.items() if k not in current}
    for name in _LISTS:
        present = _split(current.get(name, ""))
        back = [*present, *_split(recorded.get(name, ""))]
        if name == "PATH" and not present:
            back = [*back, *_split(os.defpath)]
        # Complete in any order is complete: the wheels shuffle LD_LIBRARY_PATH at each start.
        complete = set(present) >= {*front[name], *back}
        value = os.pathsep.join(present if complete else _unique([*front[name], *back]))
        if value:
            wanted[name] = value
    wanted["HOME"] = base.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir  # ROS logs below it.
    wanted["RMW_IMPLEMENTATION"] = base.get("RMW_IMPLEMENTATION") or RMW
    wanted["MUJOCO_GL"] = base.get("MUJOCO_GL") or "egl"
    if wanted["RMW_IMPLEMENTATION"] == RMW and not base.get("FASTDDS_DEFAULT_PROFILES_FILE"):
        choice = shared_memory.choose_profile()
        if choice.file is not None:
            wanted["FASTDDS_DEFAULT_PROFILES_FILE"] = str(choice.file)
    return wanted


def missing(current: Mapping[str, str]) -> dict[str, str]:
    """Those of :func:`ros_environment` that are not set to their value yet."""
    return {k: v for k, v in ros_environment(current).items() if current.get(k) != v}


def enter() -> None:
    """Start this very command again in its environment, unless it runs there already."""
    if os.environ.pop(_ENTERED, "") == str(os.getpid()):
        return
    changes = missing(os.environ)
    if not changes:
        return
    message = shared_memory.choose_profile().message
    if message and "FASTDDS_DEFAULT_PROFILES_FILE" in changes:
        print(f"selfgrasp: {message}", file=sys.stderr)
    environment = {**os.environ, **changes, _ENTERED: str(os.getpid())}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def _is_checkout() -> bool:
    return (ROOT / "package.xml").is_file() and (ROOT / "CMakeLists.txt").is_file()


def _prefixes() -> list[Path]:
    """Install prefixes in which this program's own packages lie."""
    candidates = [Path(sys.prefix)]
    if _is_checkout():
        candidates.insert(0, ROOT / "install")
    marker = Path("share", "ament_index", "resource_index", "packages")
    return [prefix for prefix in candidates if (prefix / marker).is_dir()]


def _python_folders(prefix: Path) -> list[Path]:
    """Folders of Python packages below a prefix that is not this Python's own."""
    if prefix == Path(sys.prefix):
        return []
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    places = [prefix / "lib" / version, prefix / "local" / "lib" / version]
    kinds = ("site-packages", "dist-packages")
    return [place / kind for place in places for kind in kinds if (place / kind).is_dir()]


def _recorded() -> dict[str, str]:
    """Variables of the ROS distribution that the set-up found sourced; often none."""
    file = Path(sys.prefix) / ".setup" / "ros-environment.json"
    try:
        found: dict[str, str] = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found


def _split(value: str) -> list[str]:
    return [part for part in value.split(os.pathsep) if part]


def _unique(parts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(parts))
