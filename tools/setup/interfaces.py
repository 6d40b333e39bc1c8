"""The interface build: msg/, srv/ and action/, and stand-ins for absent packages."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from console import Console
from interpreter import Interpreter
from steps import Step, digest

STAND_INS = ("control_msgs", "tf2_msgs")


def step(root: Path, venv: Path, interpreter: Interpreter, console: Console) -> Step:
    """Build into ``install/``; Python code is not copied there, so editing it needs no build."""
    install = root / "install"
    inputs = [root / name for name in ("CMakeLists.txt", "package.xml", "cmake", "compat")]
    inputs += [root / name for name in ("msg", "srv", "action")]
    inputs += [] if interpreter.distribution else [root / "requirements-ros.txt"]

    def run() -> None:
        sources = {name: root / "compat" / name for name in STAND_INS}
        sources = {n: s for n, s in sources.items() if not _has_package(n, venv, interpreter)}
        sources["selfgrasp"] = root
        installs = [
            build(name, source, install, root, venv, interpreter, console)
            for name, source in sources.items()
        ]
        # Installed anew, lest a definition that is gone stays importable; and only
        # when all is built, so that what runs meanwhile misses it for a moment only.
        shutil.rmtree(install, ignore_errors=True)
        for finish in installs:
            finish()

    return Step(
        "interfaces",
        "Building the ROS interfaces (one to two minutes)",
        digest("interfaces", str(root), interpreter.key, *inputs),
        run,
        install / ".setup",
        present=(install / "share" / "selfgrasp" / "package.xml").is_file,
    )


def _prefixes(venv: Path, interpreter: Interpreter) -> list[str]:
    if not interpreter.distribution:
        return [str(venv)]
    paths = interpreter.ros_environment.get("AMENT_PREFIX_PATH", "")
    return [path for path in paths.split(os.pathsep) if path]


def _has_package(name: str, venv: Path, interpreter: Interpreter) -> bool:
    prefixes = _prefixes(venv, interpreter)
    return any((Path(p) / "share" / name / "package.xml").is_file() for p in prefixes)


def build(
    name: str,
    source: Path,
    install: Path,
    root: Path,
    venv: Path,
    interpreter: Interpreter,
    console: Console,
) -> Callable[[], object]:
    """Configure and build below ``build/``; returns what installs the result."""
    folder = root / "build" / name
    prefixes = _prefixes(venv, interpreter)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(venv / "bin"), os.environ.get("PATH", os.defpath)]),
        "AMENT_PREFIX_PATH": os.pathsep.join(prefixes),
        "CMAKE_PREFIX_PATH": os.pathsep.join(prefixes),
    }
    if not interpreter.distribution:
        environment.pop("PYTHONPATH", None)
    # A build folder of another Python, place or ROS cannot be used again.
    marker, key = folder / "made-for.json", json.dumps([str(source), str(venv), interpreter.key])
    if folder.exists() and not (marker.is_file() and marker.read_text() == key):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    marker.write_text(key)
    cmake = shutil.which("cmake", path=environment["PATH"]) or "cmake"
    console.run(
        [
            cmake,
            *("-S", source, "-B", folder, "-Wno-dev"),
            f"-DCMAKE_INSTALL_PREFIX={install}",
            f"-DPython3_EXECUTABLE={venv / 'bin' / 'python'}",
            "-DCMAKE_BUILD_TYPE=Release",
            "-DBUILD_TESTING=OFF",
            "-DSELFGRASP_INTERFACES_ONLY=ON",
            "-DSELFGRASP_CLIENT=OFF",
            "-DSELFGRASP_PYTHON_ONLY=ON",
        ],
        environment,
    )
    jobs = str(max(os.cpu_count() or 1, 1))
    console.run([cmake, "--build", folder, "--parallel", jobs], environment)
    return lambda: console.run([cmake, "--install", folder], environment)
