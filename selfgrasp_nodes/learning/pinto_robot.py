"""Pinto and Gupta (2016), section IV-F, on the simulated robot: single objects, and clutter.

In *isolation* one object lies on the table and the policy has one try; that it holds
something at the end of the lift is simulator truth, as in every evaluation. In *clutter*
it tries until ten objects are cleared, or ten tries in a row changed nothing. Run i of a
test is the same scene for every method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from selfgrasp_nodes.errors import ExecutionFailed, InvalidScene
from selfgrasp_nodes.labeling.options import load_options as label_options
from selfgrasp_nodes.labeling.rules import GraspRule
from selfgrasp_nodes.learning.collect_episode import label_of, relabelled
from selfgrasp_nodes.learning.metrics import mean, proportion
from selfgrasp_nodes.learning.patch_metrics import by_episode
from selfgrasp_nodes.learning.workers import WorkerDied, run_jobs
from selfgrasp_nodes.motion.options import load_options as motion_options
from selfgrasp_nodes.orchestration.fast import FastLoop, FastRun
from selfgrasp_nodes.orchestration.sequence import Limits
from selfgrasp_nodes.robots import config_digest, load_robot
from selfgrasp_nodes.simulation.drops import DropOptions, drop
from selfgrasp_nodes.simulation.model import PHYSICS_VERSION
from selfgrasp_nodes.simulation.object_sets import ObjectSet, load_object_set, specify
from selfgrasp_nodes.simulation.scene import Scene
from selfgrasp_nodes.types import OutcomeCode, Primitive

CLUTTER = 10
"""Objects in a clutter."""

NO_CHANGE = 10
"""Tries in a row without change that end the clearing of a clutter."""

MOST_TRIES = 60
"""At clearing a clutter; the paper needed 26."""

BROKEN = "the simulation or its process broke down"

LAYINGS = 50
"""How often a scene is drawn anew that does not come to rest in the workspace."""

NOT_LAID = "no scene came to rest in the workspace"


@dataclass(frozen=True)
class RobotTest:
    """One test of one policy.

    Attributes:
        robot: Name or file.
        policy: Name, or ``oracle``.
        objects: Object set.
        kind: Of test.
        runs: Tries in isolation, or clutters.
        seed: Run i depends on it, the kind and i.
        parameters: Of the policy.
        sets: File of object sets; that which ships where empty.
    """

    robot: str
    policy: str
    objects: str
    kind: Literal["isolation", "clutter"]
    runs: int
    seed: int = 1
    parameters: Mapping[str, Any] = field(default_factory=dict)
    sets: str = ""

    def depends(self) -> dict[str, Any]:
        """What the result follows from, but for the checkpoint's own digest."""
        robot = load_robot(self.robot)
        digest = config_digest(robot, motion_options(None, robot.name), label_options())
        objects = load_object_set(self.objects, self.sets or None).digest
        limits = [CLUTTER, NO_CHANGE, MOST_TRIES]
        return {
            **asdict(self),
            "robot_digest": digest,
            "objects_digest": objects,
            "limits": limits,
            "physics": PHYSICS_VERSION,
        }


@dataclass(frozen=True)
class RobotRun:
    """What one run gave.

    Attributes:
        objects: On the table at the start.
        cleared: Truly held at the end of a lift.
        tries: Made, or given up because no path was found.
        not_made: Of them, those that were given up.
        label_errors: Tries whose label the truth denies.
        ended: Why it ended.
        object: In isolation, which entry of the set lay there; -1 in clutter.
    """

    objects: int
    cleared: int
    tries: int
    not_made: int = 0
    label_errors: int = 0
    ended: str = ""
    object: int = -1


def run_test(
    test: RobotTest, workers: int = 2, on_run: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """Run it.

    Args:
        test: Which.
        workers: Processes.
        on_run: Called with the number of runs that are done.

    Returns:
        For JSON: counts, the share or mean with its 95 % interval, and every run.

    Raises:
        SelfGraspError: If the policy or the object set cannot be had.
    """
    found: dict[int, RobotRun] = {}
    entries = len(load_object_set(test.objects, test.sets or None).entries)
    for number, result in run_jobs(range(test.runs), _run, workers, _initialise, test):
        if isinstance(result, WorkerDied):
            alone = test.kind == "isolation"
            lay = number % entries if alone else -1
            result = RobotRun(1 if alone else CLUTTER, 0, 0, ended=BROKEN, object=lay)
        found[number] = result
        if on_run is not None:
            on_run(len(found))
    runs = [found[number] for number in sorted(found)]
    return {**summary(test.kind, runs), "each_run": [asdict(run) for run in runs]}


def summary(kind: str, runs: list[RobotRun]) -> dict[str, Any]:
    """The measures of a test.

    Returns:
        ``rate`` in isolation: the share of tries that held the object, with Wilson's interval
        over tries, and ``over_objects``: the same share with that over objects. In clutter
        ``completed``, ``to_clear`` (tries, over the clutters that were cleared) and
        ``efficiency`` (objects cleared over tries, over all clutters).
    """
    counts = {
        "runs": len(runs),
        "tries": sum(run.tries for run in runs),
        "cleared": sum(run.cleared for run in runs),
        "not_made": sum(run.not_made for run in runs),
        "label_errors": sum(run.label_errors for run in runs),
        "broken": sum(run.ended == BROKEN for run in runs),
        "not_laid": sum(run.ended == NOT_LAID for run in runs),
    }
    if kind == "isolation":
        held = np.array([run.cleared > 0 for run in runs], float)
        objects = np.array([run.object for run in runs])
        spread = by_episode(lambda index: float(held[index].mean()), objects)
        return {
            **counts,
            "rate": proportion(int(held.sum()), len(runs)).as_dict(),
            "over_objects": spread.as_dict(),
        }
    whole = [run for run in runs if run.cleared >= run.objects]
    return {
        **counts,
        "completed": proportion(len(whole), len(runs)).as_dict(),
        "to_clear": mean([float(run.tries) for run in whole]).as_dict(),
        "efficiency": mean([run.cleared / max(run.tries, 1) for run in runs]).as_dict(),
    }


class RobotRunner:
    """A world and a policy that the runs of a test share."""

    def __init__(self, test: RobotTest):
        self._test = test
        self._objects: ObjectSet = load_object_set(test.objects, test.sets or None)
        self._loop = FastLoop(load_robot(test.robot), test.policy, **dict(test.parameters))
        self._rule = GraspRule()

    def run(self, number: int) -> RobotRun:
        """One run; the same for the same number, whatever ran before.

        A scene that cannot be laid out is a run without tries, for every method alike.
        """
        alone = self._test.kind == "isolation"
        lay = number % len(self._objects.entries) if alone else -1
        return replace(self._made(number), object=lay)

    def _made(self, number: int) -> RobotRun:
        alone = self._test.kind == "isolation"
        entropy = [self._test.seed, int(alone), number]
        try:
            scene = self.scene(number, np.random.default_rng(entropy))
        except InvalidScene:
            return RobotRun(1 if alone else CLUTTER, 0, 0, ended=NOT_LAID)
        limits = Limits(
            max_actions=1 if alone else MOST_TRIES,
            max_no_change=NO_CHANGE,
            max_cleared=len(scene.objects),
        )
        seed = int(np.random.default_rng([*entropy, 1]).integers(2**31))
        try:
            run = self._loop.run(scene, seed, limits, (Primitive.GRASP,))
        except ExecutionFailed as error:
            broken: FastRun | None = getattr(error, "run", None)
            if broken is None:
                return RobotRun(len(scene.objects), 0, 0, 0, 0, BROKEN)
            return self._counts(broken, BROKEN)
        return self._counts(run, run.stop_reason.name.lower() if run.stop_reason else "")

    def scene(self, number: int, rng: np.random.Generator) -> Scene:
        """A dropped scene: each object of the set in turn, or ten different ones.

        Raises:
            InvalidScene: If none came to rest in the workspace.
        """
        for attempt in range(LAYINGS):
            if self._test.kind == "isolation":
                entry = self._objects.entries[number % len(self._objects.entries)]
                specs = [specify(entry, rng)]
            else:
                specs = [spec for _, spec in self._objects.draw(rng, CLUTTER)]
            try:
                name = f"{self._test.kind}-{number}"
                return drop(name, specs, self._loop.robot, rng, DropOptions())
            except InvalidScene:
                if attempt == LAYINGS - 1:
                    raise
        raise AssertionError("not reached")

    def _counts(self, run: FastRun, ended: str) -> RobotRun:
        robot = self._loop.robot
        labels = [
            label_of(relabelled(t, self._rule, robot.arm(t.candidate.arm).gripper))
            for t in run.trials
        ]
        return RobotRun(
            run.objects,
            run.cleared,
            len(run.trials),
            sum(t.outcome.code == OutcomeCode.PLAN_FAILED for t in run.trials),
            sum(
                label is not None and label != bool(held)
                for label, held in zip(labels, run.held, strict=True)
            ),
            ended,
        )


_runner: RobotRunner | None = None


def _initialise(test: RobotTest) -> None:
    global _runner
    import cv2

    cv2.setNumThreads(1)
    _runner = RobotRunner(test)


def _run(number: int) -> RobotRun:
    assert _runner is not None
    return _runner.run(number)
