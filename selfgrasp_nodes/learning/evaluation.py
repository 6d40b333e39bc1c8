"""Evaluates policies in the fast loop, over scenes by seed or from a file.

One job is one run: a scene, and tries until it is cleared or the stop rule of
Zeng 2018 (section V-A) ends it. Jobs are spread over processes; the same seeds
give the same scenes whatever the number of workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.learning.metrics import FAILED, RunResult, summarise
from selfgrasp_nodes.learning.policy_identity import policy_identity
from selfgrasp_nodes.learning.workers import WorkerDied, run_jobs
from selfgrasp_nodes.policies.registry import ORACLE, policy_names, takes
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
        actions_per_object: Likewise, for each object on the table at the start.
        max_no_change: Tries in a row without change that end a run.
        workers: Processes.
        perturb_mm: Largest shift of a scene file's poses, along x and along y [mm].
        perturb_degrees: Their largest turn [degrees].
        parameters: Of the policy; they win over its file's.
        primitives: ``grasp``, ``push``; all that the policy knows where empty.
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
    actions_per_object: int = 0
    max_no_change: int = 10
    workers: int = 2
    perturb_mm: float = 2.0
    perturb_degrees: float = 2.0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    primitives: tuple[str, ...] = ()

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
        known = [primitive.name.lower() for primitive in Primitive]
        for name in self.primitives:
            if name not in known:
                raise UnknownName("primitive", name, known)

    def most_actions(self, objects: int) -> int:
        """Largest number of tries in a run with so many objects; 0 for no limit."""
        limits = (self.max_actions, self.actions_per_object * objects)
        return min((limit for limit in limits if limit), default=0)


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


class Evaluation:
    """The runs of a protocol, begun, interrupted, and gone on with.

    Attributes:
        config: What is run.
        jobs: The runs, in order.
        results: Of those that are done.
    """

    def __init__(self, config: EvaluationConfig, report: Mapping[str, Any] | None = None):
        """Lay the runs out.

        Args:
            config: What to run.
            report: Of an earlier evaluation (:meth:`report`); its runs are not repeated.

        Raises:
            InvalidConfig: If the report is of another configuration.
            InvalidScene: If the scene file is wrong.
        """
        self.config = config
        self.jobs = jobs(config)
        self.results: dict[Job, RunResult] = {}
        self._digest = _digest(config)
        self._seconds = 0.0
        if report is not None:
            self._take_over(report)

    @property
    def complete(self) -> bool:
        """Whether all runs are done."""
        return len(self.results) == len(self.jobs)

    def run(self, on_run: Callable[[RunResult], None] | None = None) -> None:
        """Run what is not done yet; what is done survives an interruption.

        Args:
            on_run: Called with the result of each run, when it is among the results.
        """
        start, before = time.monotonic(), self._seconds
        todo = [job for job in self.jobs if job not in self.results]
        if not todo:
            return
        try:
            for job, done in run_jobs(
                todo, run_job, self.config.workers, _initialise, self.config
            ):
                result = self._died(job, done) if isinstance(done, WorkerDied) else done
                self.results[job] = result
                self._seconds = before + time.monotonic() - start
                if on_run is not None:
                    on_run(result)
        finally:
            _release()

    def report(self) -> dict[str, Any]:
        """All that is to be said about the runs that are done.

        Returns:
            The summary of :func:`metrics.summarise` with policy, robot, seeds, wall
            time, and each run's counts; per scene as well for a scene file.
        """
        config = self.config
        ordered = [self.results[job] for job in self.jobs if job in self.results]
        scenes = str(config.scenes) if config.scenes else f"{config.objects} random objects"
        return {
            "policy": config.policy,
            "robot": config.robot,
            "seeds": [config.seed, config.seed + config.runs - 1],
            "scenes": scenes,
            "kinds": list(config.kinds),
            "meshes": config.meshes,
            "friction_scale": config.friction_scale,
            "parameters": dict(config.parameters),
            "primitives": list(config.primitives),
            **summarise(ordered),
            "runs_wanted": len(self.jobs),
            "wall_time": self._seconds,
            **_by_scene(config, ordered),
            "configuration": self._digest,
            "each_run": [vars(result) | {"completed": result.completed} for result in ordered],
        }

    def _take_over(self, report: Mapping[str, Any]) -> None:
        if report.get("configuration") != self._digest:
            raise InvalidConfig(
                f"the runs of {self.config.policy!r} that are there were made with another "
                "configuration (robot, objects, limits, or a file that they depend on): give "
                "that one, or write to another file"
            )
        known = {field.name for field in fields(RunResult)}
        for entry in report["each_run"]:
            result = RunResult(**{name: entry[name] for name in known & entry.keys()})
            job = Job(result.index, result.seed)
            if job in self.jobs:
                self.results[job] = result
        self._seconds = float(report["wall_time"])

    def _died(self, job: Job, error: WorkerDied) -> RunResult:
        """A run without results; a scene that kills its process is not built again here."""
        objects, name = self.config.objects, ""
        if self.config.scenes is not None:
            from selfgrasp_nodes.simulation.scenes import load_scenes

            scene = load_scenes(self.config.scenes)[job.scene]
            objects, name = len(scene.objects), scene.name
        counts = RunResult(job.seed, name, objects, 0, 0, 0, 0, 0)
        return replace(counts, stop_reason=FAILED, message=str(error), index=job.scene)


def _digest(config: EvaluationConfig) -> str:
    """Of all that a run's result depends on: not how many runs, and in how many processes."""
    from selfgrasp_nodes.labeling.options import load_options as label_options
    from selfgrasp_nodes.motion.options import load_options as motion_options
    from selfgrasp_nodes.robots import config_digest, load_robot
    from selfgrasp_nodes.simulation.model import PHYSICS_VERSION, PhysicsOptions

    robot = load_robot(config.robot)
    identity = policy_identity(config.policy, robot, config.parameters)
    free = replace(config, runs=1, seed=0, workers=1, scenes=None, parameters=identity)
    scenes = config.scenes.read_bytes() if config.scenes is not None else b""
    physics = PhysicsOptions(), PHYSICS_VERSION
    motion = motion_options(None, robot.name)
    return config_digest(robot, motion, label_options(), free, scenes, *physics)


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
    if takes(config.policy, "checkpoint"):
        # With more threads than free cores a learnt policy's threads wait for each other, and a
        # decision takes ten times as long. A policy that is given ``threads`` sets its own.
        with suppress(ImportError):
            import torch

            torch.set_num_threads(1)
    _loop = FastLoop(
        load_robot(config.robot),
        config.policy,
        friction_scale=config.friction_scale,
        **config.parameters,
    )


def _release() -> None:
    """Let go of this process's world, if the runs were made here.

    A renderer that lives until the interpreter ends may find its display gone, and complains.
    """
    global _loop, _config
    _loop = _config = None


def run_job(job: Job) -> RunResult:
    """One run in this process."""
    from selfgrasp_nodes.orchestration.fast import RunFailed
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
        max_actions=_config.most_actions(len(scene.objects)),
        max_no_change=_config.max_no_change,
        max_cleared=len(scene.objects),
    )
    try:
        allowed = [Primitive[name.upper()] for name in _config.primitives] or None
        run, message = _loop.run(scene, job.seed, limits, allowed), ""
    except RunFailed as error:
        run, message = error.run, str(error)
    return _counts(run, scene, job, message)


def _counts(run: FastRun, scene: Scene, job: Job, message: str) -> RunResult:
    """One run's counts; a grasp's truth is what it held at the end of its lift."""
    grasps = [
        (trial.outcome.success, bool(held))
        for trial, held in zip(run.trials, run.held, strict=True)
        if trial.candidate.primitive == Primitive.GRASP
    ]
    return RunResult(
        seed=job.seed,
        scene=scene.name,
        objects=run.objects,
        cleared=run.cleared,
        left=run.left,
        actions=len(run.trials),
        grasps=len(grasps),
        grasp_successes=sum(truth for _, truth in grasps),
        label_errors=sum(label != truth for label, truth in grasps),
        stop_reason=FAILED if message or not run.stop_reason else run.stop_reason.name.lower(),
        longest_no_success=run.longest_no_success,
        seconds=run.seconds,
        index=job.scene,
        message=message,
    )
