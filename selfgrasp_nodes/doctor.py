"""Is this machine fit to run? What is missing, and what to do about it.

Nothing in here needs a running graph (that is ``nodes/graph_check.py``), and
nothing assumes that a library is there: each check imports what it looks at.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from importlib import import_module, metadata
from pathlib import Path

from selfgrasp_nodes.errors import SelfGraspError


class Level(str, Enum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        area: Heading it stands under.
        name: What was looked at.
        level: How it is.
        found: What was found, or what is wrong.
        remedy: What to do; empty where all is well.
    """

    area: str
    name: str
    level: Level
    found: str
    remedy: str = ""


SETUP = "run 'make setup' in the checkout, or 'rosdep install --from-paths .' in a ROS workspace"

PACKAGES = (
    ("numpy", "numpy"),
    ("scipy", "scipy"),
    ("cv2", "opencv-python-headless"),
    ("yaml", "pyyaml"),
    ("pydantic", "pydantic"),
    ("rich", "rich"),
    ("PIL", "pillow"),
    ("mujoco", "mujoco"),
    ("pinocchio", "pin"),
    ("coal", "coal"),
    ("ompl", "ompl"),
    ("toppra", "toppra"),
    ("xacro", "xacro"),
    ("rosbags", "rosbags"),
    ("trimesh", "trimesh"),
)
"""(module, distribution on PyPI) of the libraries that nodes use."""

OPTIONAL = (
    ("coacd", "coacd", "objects from meshes that are not convex"),
    ("matplotlib", "matplotlib", "the films and pictures of runs"),
    ("torch", "torch", "learnt policies"),
    ("pybullet_data", "pybullet", "1,000 novel objects"),
    ("tf2_ros", "tf2_ros", "TF by the ROS library; without it by this package's own"),
    ("cv_bridge", "cv_bridge", "images by the ROS library; without it by this package's own"),
)
"""(module, where it comes from, what it is for) of those that may be missing."""

INTERFACES = (
    "selfgrasp.msg",
    "selfgrasp.srv",
    "selfgrasp.action",
    "sensor_msgs.msg",
    "control_msgs.action",
    "tf2_msgs.msg",
    "diagnostic_msgs.msg",
)

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


def environment_findings(robot: str = "ur5_rg2") -> Iterator[Finding]:
    """Look at everything that needs no running graph.

    Args:
        robot: Name or file of the robot whose description is looked at.
    """
    yield from python()
    yield from packages()
    yield from ros()
    yield from interfaces()
    yield shared_memory()
    yield graphics()
    yield from configuration()
    yield from description(robot)
    yield disk()


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


def packages() -> Iterator[Finding]:
    """Python libraries: imported, not only found, as broken wheels fail there."""
    for module, distribution in PACKAGES:
        problem = _import_problem(module)
        if problem:
            remedy = f"{SETUP}; or pip install {distribution}"
            yield Finding("packages", distribution, Level.FAIL, problem, remedy)
        elif module == "ompl" and _version(distribution).startswith("2."):
            yield Finding(
                "packages",
                distribution,
                Level.WARN,
                f"{_version(distribution)} has no EST planner",
                "pip install ompl==1.7.0, or keep planner name RRTConnect",
            )
        else:
            yield Finding("packages", distribution, Level.OK, _version(distribution))
    for module, source, purpose in OPTIONAL:
        problem = _import_problem(module)
        found = f"not installed; it is for {purpose}" if problem else _version(source)
        yield Finding("optional", source, Level.OK, found)


def ros() -> Iterator[Finding]:
    """rclpy, the middleware, and the variables that decide who hears whom."""
    problem = _import_problem("rclpy")
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
        problem = _import_problem(name) or _type_support_problem(name)
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


def configuration() -> Iterator[Finding]:
    """Every YAML and scene file that ships, read by the code that uses it."""
    from selfgrasp_nodes import paths

    try:
        folder = paths.share_dir() / "config"
    except SelfGraspError as error:
        yield Finding("configuration", "share folder", Level.FAIL, str(error), SETUP)
        return
    for name, read in _readers(folder).items():
        yield _reading("configuration", name, read)


def _readers(folder: Path) -> dict[str, Callable[[], object]]:
    from selfgrasp_nodes.robots import load_robot

    def policies() -> str:
        from selfgrasp_nodes.policies.registry import make_policy, policy_names

        robot = load_robot("ur5_rg2")
        for name in policy_names():
            make_policy(name, robot)
        return ", ".join(policy_names())

    def motion() -> object:
        from selfgrasp_nodes.motion.options import load_options

        return f"planner {load_options().planner.name}"

    def labels() -> object:
        from selfgrasp_nodes.labeling.options import load_options

        return f"rule {load_options().grasp.version}"

    def recorder() -> object:
        from selfgrasp_nodes.trials.options import load_options

        return f"compression {load_options().compression}"

    def scenes(file: Path) -> Callable[[], object]:
        def read() -> str:
            from selfgrasp_nodes.simulation.scenes import load_scenes

            return f"{len(load_scenes(file))} scenes"

        return read

    found: dict[str, Callable[[], object]] = {
        "policies.yaml": policies,
        "motion.yaml": motion,
        "labeling.yaml": labels,
        "recorder.yaml": recorder,
    }
    for file in sorted((folder / "scenes").glob("*.json")):
        found[f"scenes/{file.name}"] = scenes(file)
    return found


def description(name: str) -> Iterator[Finding]:
    """A robot: its YAML, its xacro, its meshes, the models built from them."""
    area = f"robot {Path(name).stem}"
    try:
        from selfgrasp_nodes.robots import load_robot

        robot = load_robot(name)
    except (SelfGraspError, ImportError) as error:
        remedy = "correct the file, or name one of config/robots with --robot"
        yield Finding(area, "description", Level.FAIL, str(error), remedy)
        return
    arms = ", ".join(arm.name for arm in robot.arms)
    cameras = ", ".join(camera.name for camera in robot.cameras)
    yield Finding(area, "description", Level.OK, f"arms: {arms}; cameras: {cameras}")

    def meshes() -> str:
        from selfgrasp_nodes.robots.urdf import expand_urdf

        text = expand_urdf(robot)
        files = {part.split('"', 1)[0] for part in text.split('filename="')[1:]}
        missing = sorted(f for f in files if f.startswith("/") and not Path(f).is_file())
        if missing:
            raise SelfGraspError(f"{len(missing)} meshes are missing, first {missing[0]}")
        return f"expands, {len(files)} meshes found"

    def planning() -> str:
        from selfgrasp_nodes.motion.model import RobotModel

        RobotModel(robot)
        return "Pinocchio builds its model"

    def physics() -> str:
        from selfgrasp_nodes.simulation.world import World

        world = World(robot)
        try:
            return f"MuJoCo compiles it, {world.model.nbody} bodies"
        finally:
            world.close()

    yield _reading(area, "xacro and meshes", meshes)
    yield _reading(area, "planning", planning)
    yield _reading(area, "simulation", physics)


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


def _reading(area: str, name: str, read: Callable[[], object]) -> Finding:
    start = time.perf_counter()
    try:
        text = read()
    except SelfGraspError as error:
        return Finding(area, name, Level.FAIL, str(error), "correct the file that is named")
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        return Finding(area, name, Level.FAIL, text, SETUP)
    return Finding(area, name, Level.OK, f"{text} ({time.perf_counter() - start:.1f} s)")


def _import_problem(module: str) -> str:
    try:
        import_module(module)
    except Exception as error:  # a broken wheel may raise anything
        return f"{type(error).__name__}: {error}"
    return ""


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "installed"
