"""Builds the test's own moveit_msgs below ``build/`` and prints where it lies.

    python build_interfaces.py

``interfaces/`` defines what the nodes use of moveit_msgs: the real names, and the fields
whose types are used (constraints are those of joints alone, no octomap). ROS generates
real types of it, which go over the wire. It has no ``package.xml`` in the source tree and is never
installed: nothing but a process that is given its prefix takes MoveIt to be there. Once built it
is kept until a definition changes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEFINITIONS = Path(__file__).with_name("interfaces")
DEPENDENCIES = ("geometry_msgs", "sensor_msgs", "shape_msgs", "std_msgs", "trajectory_msgs")
NAME = "moveit_msgs"

_CMAKE = """cmake_minimum_required(VERSION 3.20)
project({name})
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
{found}
include({root}/cmake/python_only.cmake)
selfgrasp_python_only()
rosidl_generate_interfaces(${{PROJECT_NAME}}
{files}
  DEPENDENCIES {dependencies})
ament_package()
"""
_PACKAGE = """<?xml version="1.0"?>
<package format="3">
  <name>{name}</name>
  <version>0.0.0</version>
  <description>Part of moveit_msgs, for tests.</description>
  <maintainer email="selfgrasp@example.org">The selfgrasp developers</maintainer>
  <license>Apache-2.0</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
  {depends}
  <exec_depend>rosidl_default_runtime</exec_depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
"""


def write_package(folder: Path) -> None:
    """A ROS package of the definitions."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DEFINITIONS, folder)
    files = sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    cmake = _CMAKE.format(
        name=NAME,
        root=ROOT,
        found="\n".join(f"find_package({d} REQUIRED)" for d in DEPENDENCIES),
        files="\n".join(f'  "{file}"' for file in files),
        dependencies=" ".join(DEPENDENCIES),
    )
    depends = "\n  ".join(f"<depend>{d}</depend>" for d in DEPENDENCIES)
    (folder / "CMakeLists.txt").write_text(cmake)
    (folder / "package.xml").write_text(_PACKAGE.format(name=NAME, depends=depends))


def main() -> None:
    """Build what is not built yet."""
    sys.path.insert(0, str(ROOT / "tools" / "setup"))
    import interfaces
    from console import Console
    from interpreter import choose_interpreter
    from steps import Step, digest, run_steps

    place = ROOT / "build" / "test_interfaces"
    place.mkdir(parents=True, exist_ok=True)
    install, source = place / "install", place / NAME
    interpreter = choose_interpreter(os.environ, ROOT)
    console = Console(place / "build.log")

    def run() -> None:
        write_package(source)
        finish = interfaces.build(
            f"test_interfaces/build_{NAME}",
            source,
            install,
            ROOT,
            ROOT / ".venv",
            interpreter,
            console,
        )
        shutil.rmtree(install, ignore_errors=True)
        finish()

    inputs = (DEFINITIONS, Path(__file__), Path(interfaces.__file__), ROOT / "cmake")
    key = digest(str(ROOT), interpreter.key, *inputs)
    step = Step(
        NAME, f"Building {NAME} for tests", key, run, place / ".setup", present=install.is_dir
    )
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run_steps([[step]], console)
    print(install)


if __name__ == "__main__":
    main()
