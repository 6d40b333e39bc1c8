"""The machine: interpreter, cores, shared memory, graphics, disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from selfgrasp_nodes.doctor.findings import Finding, Level

# Drawn in a process of its own: a broken GL driver may end the process that calls it.
_DRAW = """
import mujoco, time
m = mujoco.MjModel.from_xml_string('<mujoco><worldbody><light pos="0 0 2"/><geom size=".2" '
    'rgba="1 0 0 1"/><camera name="c" pos="0 0 1"/></worldbody></mujoco>')
d = mujoco.MjData(m); mujoco.mj_forward(m, d)
r = mujoco.Renderer(m, 480, 640); r.update_scene(d, "c"); p = r.render()
t = time.perf_counter(); r.update_scene(d, "c"); p = r.render()
ms = (time.perf_counter() - t) * 1e3
red = int(((p[..., 0] > 60) & (p[..., 1] < 40)).sum())
try:
    from OpenGL import GL
    name = GL.glGetString(GL.GL_RENDERER).decode()
except Exception:
    name = "unknown renderer"
print(f"{red} {ms:.1f} {name}", flush=True)
import os; os._exit(0)
"""


def python() -> Iterator[Finding]:
    """The interpreter and the machine."""
    version = ".".join(map(str, sys.version_info[:3]))
    supported = (3, 10) <= sys.version_info[:2] <= (3, 13)
    yield Finding(
        "machine",
        "Python",
        Level.OK if supported else Level.WARN,
        f"{version} in {sys.prefix}",
        "" if supported else "use Python 3.10 to 3.13: make setup PYTHON=python3.12",
    )
    cores = len(os.sched_getaffinity(0))
    yield Finding(
        "machine",
        "cores",
        Level.OK if cores >= 2 else Level.WARN,
        f"{cores}",
        ""
        if cores >= 2
        else "simulation and nodes need 2 cores to keep up with real time; "
        "set real_time_factor:=0.5",
    )


def shared_memory(folder: Path = Path("/dev/shm")) -> Finding:
    """/dev/shm against the segments that the processes of a graph make."""
    from selfgrasp_nodes.cli import shared_memory as memory

    total = memory.size(folder)
    needed = memory.needed(next(iter(memory.SEGMENTS)))
    try:
        free = shutil.disk_usage(folder).free if total else 0
    except OSError:
        free = 0
    mib = 2**20
    found = f"{free / mib:.0f} MiB free of {total / mib:.0f}, {needed / mib:.0f} are needed"
    message = memory.choose_profile(folder).message
    if total < needed:
        remedy = "start the container with --shm-size=1g, or: mount -o remount,size=1G /dev/shm"
        shown = f"{found}; {message.split(':')[0]}"
        return Finding("machine", str(folder), Level.WARN, shown, remedy)
    if free < needed:
        remedy = f"end other programs, then remove what dead ones left: rm {folder}/fastdds_*"
        return Finding("machine", str(folder), Level.WARN, found, remedy)
    return Finding("machine", str(folder), Level.OK, found)


def graphics(timeout: float = 60.0) -> Finding:
    """Draw a red ball and look for it in the picture."""
    backend = os.environ.get("MUJOCO_GL", "") or "egl"  # as selfgrasp_nodes.simulation sets it
    environment = {**os.environ, "MUJOCO_GL": backend}
    remedy = "apt-get install libegl1 libgl1-mesa-dri, and set MUJOCO_GL=egl"
    try:
        drawn = subprocess.run(
            [sys.executable, "-c", _DRAW],
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        found = f"no picture within {timeout:g} s (MUJOCO_GL: {backend})"
        return Finding("machine", "GL", Level.FAIL, found, remedy)
    words = drawn.stdout.split(maxsplit=2)
    if len(words) < 2:
        last = (drawn.stderr.strip().splitlines() or [f"exit code {drawn.returncode}"])[-1]
        found = f"cannot draw (MUJOCO_GL: {backend}): {last}"
        return Finding("machine", "GL", Level.FAIL, found, remedy)
    if int(words[0]) < 1000:
        found = f"pictures are empty (MUJOCO_GL: {backend})"
        return Finding("machine", "GL", Level.FAIL, found, remedy)
    renderer = words[2].strip() if len(words) > 2 else ""
    found = f"{backend}, 640x480 in {float(words[1]):.0f} ms, {renderer}"
    return Finding("machine", "GL", Level.OK, found)


def disk(folder: Path | None = None) -> Finding:
    """Room for recordings."""
    folder = folder or Path.cwd()
    free = shutil.disk_usage(folder).free
    enough = free > 2 * 2**30
    return Finding(
        "machine",
        f"disk of {folder}",
        Level.OK if enough else Level.WARN,
        f"{free / 2**30:.1f} GiB free",
        "" if enough else "a night's recording needs gigabytes: record:=FOLDER on another disk",
    )
