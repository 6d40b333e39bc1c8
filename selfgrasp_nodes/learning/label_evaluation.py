"""How right the labels are: sensors against simulator truth.

Tries of several policies on random blocks and on thin objects are run in the
fast loop with noisy sensors; each one's label is compared with what the
simulator knows at the end of the lift. Truth is read here alone, after the
label was made. Tries that never came to a lift (not planned, stopped on the way
down) hold nothing by themselves and are left out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from selfgrasp_nodes.errors import ExecutionFailed
from selfgrasp_nodes.labeling.options import LabelOptions
from selfgrasp_nodes.labeling.rules import GraspRule
from selfgrasp_nodes.learning.metrics import proportion
from selfgrasp_nodes.types import Candidate, Observation, OutcomeCode, PhaseCode, Primitive, Trial

if TYPE_CHECKING:
    from selfgrasp_nodes.orchestration.fast import FastLoop
    from selfgrasp_nodes.policies.base import Policy
    from selfgrasp_nodes.robots import GripperSpec, RobotSpec
    from selfgrasp_nodes.simulation.scene import Scene

POLICIES = ("random-roi", "antipodal", "random")
BEST = "antipodal"
KINDS = ("blocks", "thin")


@dataclass(frozen=True)
class LabelConfig:
    """What is evaluated.

    Attributes:
        robot: Name or file of the robot.
        held: At least this many tries that hold something at the end of the lift.
        not_held: At least this many that do not.
        seed: Scenes and noise follow from it.
        workers: Processes.
        objects: In a scene.
        tries: At most, on one scene.
        friction_scale: Factor on every friction; less gives more slips.
        max_tries: Give up after this many.
    """

    robot: str = "ur5_rg2"
    held: int = 500
    not_held: int = 500
    seed: int = 1
    workers: int = 2
    objects: int = 8
    tries: int = 12
    friction_scale: float = 1.0
    max_tries: int = 20_000


@dataclass(frozen=True)
class LabelledTry:
    """One try: truth, the label, and what the label said without a force sensor.

    Attributes:
        held: Whether the simulator says that the fingers hold something.
        code: Name of the label.
        blind: Name of the label from the same trace without its force.
        confidence: Of the label.
        width: Opening at the end of the lift [m].
        force: At the end of the lift [N].
        kind: Of scene.
        policy: That proposed it.
        seed: Of the scene.
        reason: Of the label.
    """

    held: bool
    code: str
    blind: str
    confidence: float
    width: float
    force: float
    kind: str
    policy: str
    seed: int
    reason: str


@dataclass(frozen=True)
class Job:
    """One scene and the policy that tries on it."""

    kind: str
    policy: str
    seed: int


def thin_scene(robot: RobotSpec, objects: int, seed: int) -> Scene:
    """Boxes that stand on edge, hardly thicker than the closed gripper.

    5 to 12 mm thicker where the gripper closes fully; 0.2 to 3 mm thicker than
    its smallest opening where it does not. Friction and density are those of
    the blocks.
    """
    from selfgrasp_nodes import geometry
    from selfgrasp_nodes.simulation.objects import DENSITY_RANGE, FRICTION_RANGE, ObjectSpec
    from selfgrasp_nodes.simulation.scene import Scene, SceneObject

    rng = np.random.default_rng([seed, 11])
    gripper = robot.arms[0].gripper
    extra = (0.005, 0.012) if gripper.width_min < 0.005 else (0.0002, 0.003)
    columns = math.ceil(math.sqrt(objects))
    pitch = min(robot.workspace.size) / (columns + 0.5)
    placed = []
    for i in range(objects):
        size = (
            float(gripper.width_min + rng.uniform(*extra)),
            float(rng.uniform(0.03, 0.06)),
            float(rng.uniform(0.03, 0.05)),
        )
        color = tuple(float(c) for c in rng.uniform(0.25, 1.0, 3))
        spec = ObjectSpec(
            "cube",
            size,
            color,  # type: ignore[arg-type]
            float(rng.uniform(*FRICTION_RANGE)),
            float(rng.uniform(*DENSITY_RANGE)),
        )
        row, column = divmod(i, columns)
        middle = (columns - 1) / 2
        shift = rng.uniform(-0.01, 0.01, 2)
        pose = geometry.transform(
            (
                (column - middle) * pitch + shift[0],
                (row - middle) * pitch + shift[1],
                size[2] / 2 + 0.0002,
            ),
            (0, 0, rng.uniform(0, np.pi)),
        )
        blank = SceneObject(spec, (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0))
        placed.append(blank.moved(pose))
    return Scene(f"thin-{objects}-{seed}", tuple(placed))


def without_force(trial: Trial, rule: GraspRule, gripper: GripperSpec) -> OutcomeCode:
    """The label that the same grasp would have got from a gripper that reports no force."""
    execution = trial.execution
    assert execution.trace is not None
    trace = replace(execution.trace, force=np.full(len(execution.trace.time), np.nan))
    return rule.label_grasp(replace(execution, trace=trace), gripper).code


class VariedForce:
    """A policy whose grasps close with any force that the gripper has.

    Weak grasps slip, and a light squeeze must still be told from none.
    """

    def __init__(self, policy: Policy, robot: RobotSpec):
        self._policy = policy
        self._robot = robot
        self.name = policy.name
        self.required_views = policy.required_views
        self.primitives = policy.primitives

    def look_pose(self, observation: Observation, seed: int) -> tuple[str, np.ndarray] | None:
        """None: a label does not depend on how well the region was seen."""
        return None

    def propose(
        self,
        observation: Observation,
        rng_seed: int = 0,
        max_candidates: int = 10,
        primitives: Sequence[Primitive] = (Primitive.GRASP,),
        avoid: Sequence[Candidate] = (),
    ) -> list[Candidate]:
        """As the policy does, with forces drawn evenly on a logarithmic scale."""
        rng = np.random.default_rng([rng_seed, 13])
        found = self._policy.propose(observation, rng_seed, max_candidates, primitives, avoid)
        varied = []
        for candidate in found:
            gripper = self._robot.arm(candidate.arm).gripper
            low, high = np.log(max(gripper.force_min, 1.0)), np.log(gripper.force_max)
            varied.append(replace(candidate, max_force=float(np.exp(rng.uniform(low, high)))))
        return varied


_loops: dict[str, FastLoop] = {}
_config: LabelConfig | None = None


def initialise(config: LabelConfig) -> None:
    """Build this process's world and policies once."""
    global _config
    import cv2

    from selfgrasp_nodes.orchestration.fast import FastLoop
    from selfgrasp_nodes.policies.registry import make_policy
    from selfgrasp_nodes.robots import load_robot

    cv2.setNumThreads(1)
    _config = config
    robot = load_robot(config.robot)
    for name in POLICIES:
        policy = VariedForce(make_policy(name, robot), robot)
        _loops[name] = FastLoop(robot, policy, friction_scale=config.friction_scale)


def run_job(job: Job) -> tuple[list[LabelledTry], str]:
    """The labelled tries on one scene, and the error that ended them early, if any."""
    from selfgrasp_nodes.orchestration.sequence import Limits
    from selfgrasp_nodes.simulation.scenes import random_scene

    assert _config is not None
    loop = _loops[job.policy]
    make = thin_scene if job.kind == "thin" else random_scene
    scene = make(loop.robot, _config.objects, job.seed)
    limits = Limits(max_actions=_config.tries, max_no_change=0)
    try:
        done = loop.run(scene, job.seed, limits, [Primitive.GRASP])
    except ExecutionFailed as error:  # the physics of this scene broke down
        return [], f"{job.kind}, {job.policy}, seed {job.seed}: {error}"
    rule = GraspRule()
    tries = []
    for trial, held in zip(done.trials, done.held, strict=True):
        lifted = trial.execution.phase(PhaseCode.LIFT) is not None
        if trial.execution.code != OutcomeCode.UNKNOWN or not lifted:
            continue
        outcome = trial.outcome
        gripper = loop.robot.arm(trial.execution.candidate.arm).gripper
        tries.append(
            LabelledTry(
                bool(held),
                outcome.code.name,
                without_force(trial, rule, gripper).name,
                outcome.confidence,
                outcome.width_lifted,
                outcome.force_held,
                job.kind,
                job.policy,
                job.seed,
                outcome.reason,
            )
        )
    return tries, ""


def jobs(config: LabelConfig, enough_held: Callable[[], bool]) -> Iterator[Job]:
    """Endless: every policy on every kind of scene, seed after seed.

    Once enough is held, the policy that aims best is left out.
    """
    seed = config.seed
    while True:
        for kind in KINDS:
            for policy in POLICIES:
                if policy != BEST or not enough_held():
                    yield Job(kind, policy, seed)
        seed += 1


def evaluate_labels(
    config: LabelConfig, on_progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Run tries until enough of both kinds are there, and compare.

    Args:
        config: What to run.
        on_progress: Called with the number of held and of not-held tries so far.

    Returns:
        The summary of :func:`summarise_labels` with configuration and wall time.
    """
    start = time.monotonic()
    tries: list[LabelledTry] = []
    broken: list[str] = []

    def count(held: bool) -> int:
        return sum(t.held == held for t in tries)

    def enough() -> bool:
        wanted = count(True) >= config.held and count(False) >= config.not_held
        return wanted or len(tries) >= config.max_tries

    def take(result: tuple[list[LabelledTry], str]) -> None:
        tries.extend(result[0])
        broken.extend([result[1]] if result[1] else [])
        if on_progress is not None:
            on_progress(count(True), count(False))

    todo = jobs(config, lambda: count(True) >= config.held)
    if config.workers <= 1:
        initialise(config)
        while not enough():
            take(run_job(next(todo)))
    else:
        _in_processes(config, todo, take, enough)
    return {
        "robot": config.robot,
        "config": asdict(config),
        "rule_version": LabelOptions().grasp.version,
        **summarise_labels(tries),
        "wall_time": time.monotonic() - start,
        "broken_scenes": broken,
        "tries": [asdict(t) for t in tries],
    }


def _in_processes(
    config: LabelConfig,
    todo: Iterator[Job],
    take: Callable[[tuple[list[LabelledTry], str]], None],
    enough: Callable[[], bool],
) -> None:
    from selfgrasp_nodes.learning.workers import pool

    with pool(config.workers, initialise, config) as workers:
        running: set[Future[tuple[list[LabelledTry], str]]] = set()
        while not enough():
            while len(running) < config.workers + 1:
                running.add(workers.submit(run_job, next(todo)))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                take(future.result())
        for future in running:
            future.cancel()


def summarise_labels(tries: Sequence[LabelledTry]) -> dict[str, Any]:
    """Confusion table, precision and recall, with and without force, and by kind of scene."""
    groups = {"all": list(tries)}
    for kind in KINDS:
        groups[kind] = [t for t in tries if t.kind == kind]
    return {
        "with_force": {k: confusion([(t.held, t.code) for t in v]) for k, v in groups.items()},
        "without_force": {k: confusion([(t.held, t.blind) for t in v]) for k, v in groups.items()},
        "errors": [asdict(t) for t in tries if t.held != (t.code == OutcomeCode.SUCCESS.name)],
    }


def confusion(pairs: Sequence[tuple[bool, str]]) -> dict[str, Any]:
    """Counts by truth and label, and precision and recall of "held" and "not held".

    Args:
        pairs: (truth, name of the label); only SUCCESS says "held".
    """
    success = OutcomeCode.SUCCESS.name
    counts: dict[str, dict[str, int]] = {"held": {}, "not_held": {}}
    for held, code in pairs:
        row = counts["held" if held else "not_held"]
        row[code] = row.get(code, 0) + 1
    hits = counts["held"].get(success, 0)
    alarms = counts["not_held"].get(success, 0)
    full, empty = sum(counts["held"].values()), sum(counts["not_held"].values())
    return {
        "counts": counts,
        "held": {
            "count": full,
            "precision": proportion(hits, hits + alarms).as_dict(),
            "recall": proportion(hits, full).as_dict(),
        },
        "not_held": {
            "count": empty,
            "precision": proportion(empty - alarms, (empty - alarms) + (full - hits)).as_dict(),
            "recall": proportion(empty - alarms, empty).as_dict(),
        },
    }
