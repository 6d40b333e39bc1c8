"""Evaluates policies in the fast loop, over scenes by seed or from a file.

One job is one run: a scene, and tries until it is cleared or the stop rule of
Zeng 2018 (section V-A) ends it. Jobs are spread over processes; the same seeds
give the same scenes whatever the number of workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.learning.metrics import RunResult, summarise
from selfgrasp_nodes.learning.workers import pool as worker_pool
from selfgrasp_nodes.policies.registry import ORACLE, policy_names
from selfgrasp_nodes.types import Primitive

if TYPE_CHECKING:  # the fast loop brings the simulator; workers import it themselves
    from selfgrasp_nodes.orchestration.fast import FastLoop, FastRun
    from selfgrasp_nodes.simulation.scene import Scene


@dataclass(frozen=True)
class EvaluationConfig:
    """What is evaluated, and how.

    Attributes:
        robot: Name or file of the robot.
        policy: Name of the policy, or ``oracle``.
        runs: Runs in all; for a scene file, runs of each scene.
        objects: Objects in a random scene.
        seed: Run i uses seed + i.
        scenes: Scene file; random scenes where None.
        kinds: Kinds of block in random scenes; those of the robot's description
            where empty.
        meshes: Objects of random scenes instead of blocks: ``pybullet``, or a
            folder (see ``simulation.meshes.mesh_source``).
        friction_scale: Factor on every friction of the world.
        max_actions: Largest number of tries in a run; 0 for no limit.
        max_no_change: Tries in a row without change that end a run.
        workers: Processes.
        perturb_mm: Standard shift of a scene file's poses [mm].
        perturb_degrees: Their standard turn [degrees].
    """

    robot: str = "ur5_rg2"
    policy: str = "antipodal"
    runs: int = 30
    objects: int = 10
    seed: int = 1
    scenes: Path | None = None
    kinds: tuple[str, ...] = ()
    meshes: str = ""
    friction_scale: float = 1.0
    max_actions: int = 0
    max_no_change: int = 10
    workers: int = 2
    perturb_mm: float = 2.0
    perturb_degrees: float = 2.0

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            InvalidConfig: With the range.
            UnknownName: If there is no such policy.
        """
        for name, low, high in (
            ("runs", 1, 1_000_000),
            ("objects", 1, 100),
            ("seed", 0, 2**31),
            ("workers", 1, 256),
            ("friction_scale", 0.1, 1.25),  # pads stay below 1.0
        ):
            if not low <= getattr(self, name) <= high:
                raise InvalidConfig(f"{name} must lie in {low}..{high}, not {getattr(self, name)}")
        if self.policy != ORACLE and self.policy not in policy_names():
            raise UnknownName("policy", self.policy, [*policy_names(), ORACLE])


@dataclass(frozen=True)
class Job:
    """One run: which scene of the file (-1: random), and its seed."""

    scene: int
    seed: int


def jobs(config: EvaluationConfig) -> list[Job]:
    """The runs of a protocol, in order.

    Raises:
        InvalidScene: If the scene file is wrong.
    """
    seeds = range(config.seed, config.seed + config.runs)
    if config.scenes is None:
        return [Job(-1, seed) for seed in seeds]
    from selfgrasp_nodes.simulation.scenes import load_scenes

    return [Job(i, seed) for i in range(len(load_scenes(config.scenes))) for seed in seeds]


def evaluate(
    config: EvaluationConfig, on_run: Callable[[RunResult, int, int], None] | None = None
) -> dict[str, object]:
    """Run a protocol and summarise it.

    Args:
        config: What to run.
        on_run: Called after each run with its result, the number of runs done
            and their total.

    Returns:
        The summary of :func:`metrics.summarise` with policy, robot, seeds, wall
        time, and each run's counts; per scene as well for a scene file.
    """
    todo = jobs(config)
    start = time.monotonic()
    results: dict[Job, RunResult] = {}

    def done(job: Job, result: RunResult) -> None:
        results[job] = result
        if on_run is not None:
            on_run(result, len(results), len(todo))

    if config.workers <= 1:
        _initialise(config)
        for job in todo:
            done(job, _run(job))
    else:
        with worker_pool(config.workers, _initialise, config) as pool:
            futures = {pool.submit(_run, job): job for job in todo}
            try:
                for future in as_completed(futures):
                    done(futures[future], future.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    ordered = [results[job] for job in todo]
    return {
        "policy": config.policy,
        "robot": config.robot,
        "seeds": [config.seed, config.seed + config.runs - 1],
        "scenes": str(config.scenes) if config.scenes else f"{config.objects} random objects",
        "kinds": list(config.kinds),
        "meshes": config.meshes,
        "friction_scale": config.friction_scale,
        **summarise(ordered),
        "wall_time": time.monotonic() - start,
        **_by_scene(config, ordered),
        "each_run": [vars(result) | {"completed": result.completed} for result in ordered],
    }


def _by_scene(config: EvaluationConfig, results: Sequence[RunResult]) -> dict[str, object]:
    if config.scenes is None:
        return {}
    names = list(dict.fromkeys(result.scene for result in results))
    return {
        "by_scene": {name: summarise([r for r in results if r.scene == name]) for name in names}
    }


_loop: FastLoop | None = None
_config: EvaluationConfig | None = None


def _initialise(config: EvaluationConfig) -> None:
    """Build this process's world and policy once."""
    global _loop, _config
    import cv2

    from selfgrasp_nodes.orchestration.fast import FastLoop
    from selfgrasp_nodes.robots import load_robot

    cv2.setNumThreads(1)
    _config = config
    _loop = FastLoop(load_robot(config.robot), config.policy, friction_scale=config.friction_scale)


def _run(job: Job) -> RunResult:
    """One run in this process."""
    from selfgrasp_nodes.orchestration.sequence import Limits
    from selfgrasp_nodes.simulation.meshes import mesh_source
    from selfgrasp_nodes.simulation.scenes import load_scenes, perturbed, random_scene

    assert _loop is not None and _config is not None
    if job.scene < 0:
        assets = mesh_source(_config.meshes)
        scene = random_scene(_loop.robot, _config.objects, job.seed, _config.kinds, assets)
    else:
        assert _config.scenes is not None
        base = load_scenes(_config.scenes)[job.scene]
        moved = perturbed(base, job.seed, _config.perturb_mm, _config.perturb_degrees)
        scene = replace(moved, name=base.name)
    limits = Limits(
        max_actions=_config.max_actions,
        max_no_change=_config.max_no_change,
        max_cleared=len(scene.objects),
    )
    return _counts(_loop.run(scene, job.seed, limits), scene, job.seed)


def _counts(run: FastRun, scene: Scene, seed: int) -> RunResult:
    """One run's counts; a grasp's truth is what it held at the end of its lift."""
    grasps = [
        (trial.outcome.success, bool(held))
        for trial, held in zip(run.trials, run.held, strict=True)
        if trial.candidate.primitive == Primitive.GRASP
    ]
    return RunResult(
        seed=seed,
        scene=scene.name,
        objects=run.objects,
        cleared=run.cleared,
        left=run.left,
        actions=len(run.trials),
        grasps=len(grasps),
        grasp_successes=sum(truth for _, truth in grasps),
        label_errors=sum(label != truth for label, truth in grasps),
        stop_reason=run.stop_reason.value if run.stop_reason else "",
        longest_no_success=run.longest_no_success,
        seconds=run.seconds,
    )
