"""Debian and Ubuntu packages: headless GL, and what building needs."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from console import Console, SetupError
from interpreter import Interpreter
from steps import Step, digest


def step(root: Path, interpreter: Interpreter, console: Console, skip: bool) -> Step:
    """Install what is missing, with sudo where that is needed."""
    listed = _listed(root / "tools" / "apt-packages.txt")

    def run() -> None:
        needed = _for_building(interpreter)
        if skip:
            console.say("      skipped; needed: " + " ".join(needed + listed))
            return
        if shutil.which("dpkg-query"):
            missing = needed + [name for name in listed if not _installed(name)]
            if missing:
                _install(missing, console)
        elif not ctypes.util.find_library("EGL") or needed:
            raise SetupError(
                "this is neither Debian nor Ubuntu: install a C++ compiler, Python's headers "
                "and Mesa's EGL with its software driver by your system's own means, then "
                "call again with SELFGRASP_SKIP_SYSTEM_PACKAGES=1"
            )

    # A cheap look at the machine itself, as the checkout may have moved to another.
    key = digest("system", interpreter.key, skip, *listed, _for_building(interpreter))
    return Step("system-packages", "System packages", key, run, root / "build" / ".setup")


def dev_step(root: Path, console: Console, skip: bool) -> Step:
    """Install what some tests use; they skip where it cannot be had."""
    listed = _listed(root / "tools" / "apt-packages-dev.txt")

    def run() -> None:
        if skip or not shutil.which("dpkg-query"):
            return
        missing = [name for name in listed if not _installed(name)]
        try:
            if missing:
                _install(missing, console)
        except SetupError:
            console.say("      left out, and their tests skip: " + " ".join(missing))

    key = digest("system-dev", skip, *listed)
    stamps = root / "build" / ".setup"
    return Step("system-packages-dev", "System packages of tests", key, run, stamps)


def _listed(file: Path) -> list[str]:
    lines = (line.split("#")[0].strip() for line in file.read_text().splitlines())
    return [line for line in lines if line]


def _for_building(interpreter: Interpreter) -> list[str]:
    """Packages for the compiler, Python's headers and venv, as far as they are missing."""
    needed = []
    if not (shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++")):
        needed.append("g++")
    if not shutil.which("make"):
        needed.append("make")
    if not (interpreter.headers / "Python.h").is_file():
        needed.append(f"python{interpreter.minor}-dev")
    if not interpreter.can_make_venv:
        needed.append(f"python{interpreter.minor}-venv")
    if interpreter.distribution and not shutil.which("cmake"):
        needed.append("cmake")
    return needed


def _installed(package: str) -> bool:
    result = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout.strip() == "installed"


def _install(packages: list[str], console: Console) -> None:
    prefix = _right_to_install(packages)
    console.say("      installing " + " ".join(packages))
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Through sudo only what is named on the command line arrives.
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    install = [*apt, "install", "-y", "--no-install-recommends", *packages]
    try:
        console.run(install, environment)
    except SetupError:
        # A fresh container has no package lists yet, an old machine stale ones.
        console.run([*apt, "update"], environment)
        console.run(install, environment)


def _right_to_install(packages: list[str]) -> list[str]:
    """The words before ``apt-get``.

    Raises:
        SetupError: Without the right to install; names the command for who has it.
    """
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo"):
        asks = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode
        if not asks or sys.stdin.isatty():
            return ["sudo"]
    raise SetupError(
        "these system packages are missing and this user may not install them: "
        f"{' '.join(packages)}. Ask somebody who may to run\n"
        f"    sudo apt-get install {' '.join(packages)}\n"
        "and call again. SELFGRASP_SKIP_SYSTEM_PACKAGES=1 goes on without them."
    )
