"""Do the fast loop and the ROS graph agree? The same candidates, on the same scenes, by both.

Candidates are good and bad ones mixed: the best of the antipodal heuristic,
and random ones in regions and anywhere. Each is tried on a fresh scene, in
this process and (``nodes/parity_graph.py``) through the graph's execute action.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from selfgrasp_nodes.errors import InvalidCandidate, PlanningFailed
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.orchestration.fast import FastExecutor
from selfgrasp_nodes.orchestration.fast_ports import FastLabeler, FastObserver
from selfgrasp_nodes.policies.base import Policy
from selfgrasp_nodes.policies.registry import make_policy
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.simulation.scenes import random_scene
from selfgrasp_nodes.simulation.world import World
from selfgrasp_nodes.types import Candidate, Outcome, OutcomeCode, Primitive

SOURCES = {"antipodal": 4, "random-roi": 3, "random": 3}
"""Policy -> candidates that it gives for each scene."""


@dataclass(frozen=True)
class Case:
    """One candidate on one scene.

    Attributes:
        id: Unique.
        seed: Of the scene and of the sensors' noise.
        objects: In the scene.
        candidate: What is tried.
    """

    id: str
    seed: int
    objects: int
    candidate: Candidate


@dataclass(frozen=True)
class Tried:
    """How a case ended.

    Attributes:
        outcome: By the sensors.
        held: By truth: whether an object hung in the gripper at the end of the lift.
        seconds: Wall time.
    """

    outcome: Outcome
    held: bool
    seconds: float

    @property
    def verdict(self) -> str:
        """``held``, ``not held`` or ``not executed``, by the sensors' label."""
        code = self.outcome.code
        if code in (OutcomeCode.PLAN_FAILED, OutcomeCode.EXECUTION_FAILED, OutcomeCode.CANCELLED):
            return "not executed"
        return "held" if code == OutcomeCode.SUCCESS else "not held"


@dataclass(frozen=True)
class Comparison:
    """One case by both ways."""

    case: Case
    fast: Tried
    graph: Tried

    @property
    def same_label(self) -> bool:
        """Whether the labels agree."""
        return self.fast.verdict == self.graph.verdict

    @property
    def same_truth(self) -> bool:
        """Whether both truly held something, or both did not."""
        return self.fast.held == self.graph.held


class FastSide:
    """Makes cases and tries them in this process."""

    def __init__(self, robot: RobotSpec):
        """Build the world, the planner and the policies."""
        self.robot = robot
        self.world = World(robot)
        self._planner = EmbeddedPlanner(robot)
        self._observer = FastObserver(self.world, ("heightmap", "regions"))
        self._labeler = FastLabeler(robot)
        self._policies: dict[str, Policy] = {name: make_policy(name, robot) for name in SOURCES}

    def cases(self, count: int, seed: int, objects: int) -> Iterator[Case]:
        """So many cases, ten on each scene."""
        made = 0
        for scene_seed in range(seed, seed + count + 1):
            self.world.reset(random_scene(self.robot, objects, scene_seed), scene_seed)
            observation = self._observer.observe()
            for name, share in SOURCES.items():
                proposed = self._policies[name].propose(
                    observation, scene_seed, share, [Primitive.GRASP]
                )
                for rank, candidate in enumerate(proposed[:share]):
                    if made == count:
                        return
                    case = f"{scene_seed}/{name}/{rank}"
                    yield Case(case, scene_seed, objects, replace(candidate, id=case))
                    made += 1

    def run(self, case: Case) -> Tried:
        """Lay the scene out, look, and try."""
        begun = time.monotonic()
        self.world.reset(random_scene(self.robot, case.objects, case.seed), case.seed)
        observation = self._observer.observe()
        executor = FastExecutor(self.world, self._planner, self._observer)
        try:
            execution = executor.start(case.candidate, case.id).wait_acted()
        except (PlanningFailed, InvalidCandidate) as error:
            failed = Outcome(OutcomeCode.PLAN_FAILED, reason=str(error))
            return Tried(failed, False, time.monotonic() - begun)
        if execution.code != OutcomeCode.UNKNOWN:
            outcome = Outcome(execution.code, reason=execution.error)
        else:
            outcome = self._labeler.label(execution, observation, None)
        return Tried(outcome, bool(executor.held[case.id]), time.monotonic() - begun)


def compare(
    cases: Iterable[Case], fast: Callable[[Case], Tried], graph: Callable[[Case], Tried]
) -> Iterator[Comparison]:
    """Try each case both ways."""
    for case in cases:
        yield Comparison(case, fast(case), graph(case))


def summary(comparisons: Sequence[Comparison]) -> dict[str, object]:
    """Counts and agreement, with each disagreement and its reasons."""
    total = len(comparisons)
    return {
        "cases": total,
        "agreement by label": sum(c.same_label for c in comparisons) / max(total, 1),
        "agreement by truth": sum(c.same_truth for c in comparisons) / max(total, 1),
        "verdicts": {
            f"fast: {fast}; graph: {graph}": n
            for (fast, graph), n in sorted(
                Counter((c.fast.verdict, c.graph.verdict) for c in comparisons).items()
            )
        },
        "held by truth": {
            "fast": sum(c.fast.held for c in comparisons),
            "graph": sum(c.graph.held for c in comparisons),
        },
        "disagreements": [
            {
                "case": c.case.id,
                "fast": f"{c.fast.outcome.code.name}: {c.fast.outcome.reason}",
                "graph": f"{c.graph.outcome.code.name}: {c.graph.outcome.reason}",
                "truly held": [c.fast.held, c.graph.held],
            }
            for c in comparisons
            if not (c.same_label and c.same_truth)
        ],
    }
