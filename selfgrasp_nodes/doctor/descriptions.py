"""What ships as a file, read by the code that uses it: configuration and robots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from selfgrasp_nodes.doctor.findings import SETUP, Finding, Level, reading
from selfgrasp_nodes.errors import SelfGraspError


def configuration() -> Iterator[Finding]:
    """Every YAML and scene file that ships, read by the code that uses it."""
    from selfgrasp_nodes import paths

    try:
        folder = paths.share_dir() / "config"
    except SelfGraspError as error:
        yield Finding("configuration", "share folder", Level.FAIL, str(error), SETUP)
        return
    for name, read in _readers(folder).items():
        yield reading("configuration", name, read)


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

    yield reading(area, "xacro and meshes", meshes)
    yield reading(area, "planning", planning)
    yield reading(area, "simulation", physics)
