"""How right the labels are: sensors against simulator truth.

Tries of several policies on random blocks and on thin objects are run in the
fast loop with noisy sensors; each one's label is compared with what the
simulator knows at the end of the lift. Truth is read here alone, after the
label was made. Tries that never came to a lift (not planned, stopped on the way
down) hold nothing by themselves and are left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from selfgrasp_nodes.labeling.options import LabelOptions
from selfgrasp_nodes.labeling.rules import GraspRule
from selfgrasp_nodes.learning.confusion import confusion
from selfgrasp_nodes.learning.label_cases import THIN, VariedForce, thin_scene
from selfgrasp_nodes.learning.workers import WorkerDied, run_jobs
from selfgrasp_nodes.types import OutcomeCode, PhaseCode, Primitive, Trial

if TYPE_CHECKING:
    from selfgrasp_nodes.orchestration.fast import FastLoop
    from selfgrasp_nodes.robots import GripperSpec

POLICIES = ("random-roi", "antipodal", "random")
BEST = "antipodal"
KINDS = ("blocks", *THIN)


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


def without_force(trial: Trial, rule: GraspRule, gripper: GripperSpec) -> OutcomeCode:
    """The label that the same grasp would have got from a gripper that reports no force."""
    execution = trial.execution
    assert execution.trace is not None
    trace = replace(execution.trace, force=np.full(len(execution.trace.time), np.nan))
    blind = gripper.model_copy(update={"measures_force": False})
    return rule.label_grasp(replace(execution, trace=trace), blind).code


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
    from selfgrasp_nodes.orchestration.fast import RunFailed
    from selfgrasp_nodes.orchestration.sequence import Limits
    from selfgrasp_nodes.simulation.scenes import random_scene

    assert _config is not None
    loop = _loops[job.policy]
    if job.kind in THIN:
        scene = thin_scene(loop.robot, _config.objects, job.seed, job.kind)
    else:
        scene = random_scene(loop.robot, _config.objects, job.seed)
    limits = Limits(max_actions=_config.tries, max_no_change=0)
    broken = ""
    try:
        done = loop.run(scene, job.seed, limits, [Primitive.GRASP])
    except RunFailed as error:  # the physics of this scene broke down
        done = error.run
        broken = f"{job.kind}, {job.policy}, seed {job.seed}, after {len(done.trials)}: {error}"
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
    return tries, broken


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
    for job, result in run_jobs(todo, run_job, config.workers, initialise, config):
        take(([], f"{job}: {result}") if isinstance(result, WorkerDied) else result)
        if enough():
            break
    return {
        "robot": config.robot,
        "config": asdict(config),
        "rule_version": LabelOptions().grasp.version,
        **summarise_labels(tries),
        "wall_time": time.monotonic() - start,
        "broken_scenes": broken,
        "tries": [asdict(t) for t in tries],
    }


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
