"""The tables of Pinto and Gupta (2016), measured on a curriculum's stores and checkpoints.

Every learner sees the same tries: stage 0 of the training store, with the same
episodes held out to choose parameters and thresholds. The test set is random tries
on novel objects, which nothing is chosen on, save by the *optimistic* heuristic, as
in the paper. Accuracies are balanced, with intervals over episodes.

A part is made of rows. Each is kept in a file with what it depends on (tries,
settings, checkpoints' digests), and measured again only when that changes. Rows that
train run beside each other, one thread each.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from selfgrasp_nodes.errors import SelfGraspError, UnknownName
from selfgrasp_nodes.learning import pinto_tuning, pretraining
from selfgrasp_nodes.learning.ceiling import measure as measure_ceiling
from selfgrasp_nodes.learning.collect_config import CollectConfig, run_meta
from selfgrasp_nodes.learning.curriculum import Curriculum
from selfgrasp_nodes.learning.disk import make_folder
from selfgrasp_nodes.learning.pinto_robot import RobotTest, run_test
from selfgrasp_nodes.learning.pinto_rows import ABLATIONS, CHOSEN, FRACTIONS, Learned
from selfgrasp_nodes.learning.workers import WorkerDied, run_jobs
from selfgrasp_nodes.policies.patch.judge import POLICY
from selfgrasp_nodes.policies.registry import ORACLE

log = logging.getLogger(__name__)

PARTS = (
    "table1",
    "ceiling",
    "table2",
    "figure8",
    "stages",
    "tuning",
    "ablations",
    "pretraining",
    "isolation",
    "clutter",
)

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "network": (POLICY, {}),
    "network, not re-ranked": (POLICY, {"rerank": 0}),
    "random": ("random-roi", {}),
    "oracle": (ORACLE, {}),
}
"""Policies of the robot tests, with their parameters; the oracle reads simulator truth."""


SIMULATED = ("ceiling", "isolation", "clutter")
"""Parts that take all processes for themselves, one after the other."""


class RowsFailed(SelfGraspError):
    """Some rows could not be measured.

    Attributes:
        found: The others, as ``Pinto.run`` returns them.
    """

    def __init__(self, failed: dict[tuple[str, str], str], found: dict[str, Any]):
        told = "; ".join(f"{part}, {row}: {why}" for (part, row), why in failed.items())
        super().__init__(f"could not be measured: {told}. The same command tries them again")
        self.found = found


@dataclass(frozen=True)
class Amounts:
    """How much the parts that simulate do.

    Attributes:
        isolation: Tries on single objects, of each set.
        clutters: To be cleared.
        ceiling: Tries that are repeated.
        repeats: How often each.
        seed: Of the scenes of the robot tests.
    """

    isolation: int = 150
    clutters: int = 10
    ceiling: int = 300
    repeats: int = 5
    seed: int = 101


@dataclass
class Pinto:
    """The protocol over one curriculum's folder.

    Attributes:
        curriculum: That made the folder.
        folder: With ``train.store``, ``test.store`` and ``stageK``.
        out: Where results go.
        workers: Processes.
        amounts: Of simulation.
        say: Called with a sentence now and then.
    """

    curriculum: Curriculum
    folder: Path
    out: Path
    workers: int = 2
    amounts: Amounts = field(default_factory=Amounts)
    say: Callable[[str], None] = print

    def run(
        self,
        parts: tuple[str, ...] = PARTS,
        on_found: Callable[[dict[str, Any]], None] = lambda found: None,
    ) -> dict[str, Any]:
        """Measure what is not there yet.

        Args:
            parts: Of :data:`PARTS`.
            on_found: Called whenever a part has ended, with all that is there by then.

        Returns:
            By part, by row.

        Raises:
            UnknownName: If there is no such part.
            StorageError: If a store or checkpoint is missing, or ``out`` cannot be written.
            RowsFailed: If a row could not be measured; raised when all others are.
        """
        for part in parts:
            if part not in PARTS:
                raise UnknownName("part of protocol 'pinto'", part, PARTS)
        if "pretraining" in parts and not pretraining.weights_file().is_file():
            self.say(
                f"pretraining is left out: there is no {pretraining.weights_file()}; 'python "
                "tools/imagenet_weights.py' makes it"
            )
            parts = tuple(part for part in parts if part != "pretraining")
        make_folder(self.out)
        learned = Learned(self.curriculum, self.folder, self.out)
        # Those that take longest begin first, so that no core waits for them at the end.
        jobs = [(part, row) for part in parts for row in self.rows(part)]
        jobs = [job for job in jobs if not learned.known(*job)]
        last = [job for job in jobs if job[1] == CHOSEN]  # follows from the others
        first = [job for job in jobs if job not in last]
        failed = self._measure(sorted(first, key=_cost, reverse=True))
        failed |= self._measure(last)
        found: dict[str, Any] = {}
        for part in (part for part in parts if part not in SIMULATED):
            rows = [row for row in self.rows(part) if (part, row) not in failed]
            found[part] = {}
            for row in rows:
                found[part] |= learned.rows(part, row)
        on_found(found)
        for part in (part for part in parts if part in SIMULATED):
            found[part] = getattr(self, f"_{part}")(learned)
            on_found(found)
        if failed:
            raise RowsFailed(failed, found)
        return found

    def rows(self, part: str) -> list[str]:
        """Names of a part's jobs; none for what needs all processes for itself."""
        stages = [f"stage {number}" for number in range(len(self.curriculum.stages))]
        return {
            "table1": ["tries"],
            "table2": ["heuristics", "learners on HoG", "networks"],
            "figure8": [str(fraction) for fraction in FRACTIONS],
            "stages": [*stages, "without aggregation"] if len(stages) > 1 else stages,
            "tuning": [*pinto_tuning.settings(), CHOSEN],
            "ablations": list(ABLATIONS),
            "pretraining": ["ImageNet", "from scratch"],
        }.get(part, [])

    def _measure(self, jobs: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Run rows beside each other; each leaves its file.

        Returns:
            Why some could not be measured: one must not cost the others their time.
        """
        failed: dict[tuple[str, str], str] = {}
        if not jobs:
            return failed
        begun = time.monotonic()
        self.say(f"{len(jobs)} rows to measure in {self.workers} processes")
        arguments = (self.curriculum, self.folder, self.out)
        results = run_jobs(jobs, _row, self.workers, _initialise, *arguments)
        for done, ((part, row), result) in enumerate(results, start=1):
            if isinstance(result, WorkerDied):
                result = _Failure(str(result))
            if isinstance(result, _Failure):
                failed[part, row] = result.reason
                result = f"failed: {result.reason}"
            minutes = (time.monotonic() - begun) / 60
            self.say(f"[{done} of {len(jobs)}, {minutes:.1f} min] {part}, {row}: {result}")
        return failed

    def _ceiling(self, learned: Learned) -> dict[str, Any]:
        """The bound of any classifier on the test set's objects."""
        test = self.curriculum.test
        config = CollectConfig(
            robot=self.curriculum.robot,
            objects=test.objects if test else "test_novel",
            seed=self.amounts.seed,
            sets=self._sets(),
        )
        amounts = (self.amounts.ceiling, self.amounts.repeats)
        noise = config.file().repeat.model_dump()
        depends = {"run": run_meta(config), "amounts": amounts, "noise": noise}

        def measure() -> dict[str, Any]:
            step = max(1, amounts[0] // 6)
            told = [0]

            def tell(done: int) -> None:
                if done // step > told[0]:
                    told[0] = done // step
                    self.say(f"ceiling: {done} of {amounts[0]} tries repeated")

            return measure_ceiling(config, *amounts, self.workers, tell)

        return learned.kept.get("ceiling", depends, measure)

    def _isolation(self, learned: Learned) -> dict[str, Any]:
        """Single objects, novel and seen."""
        return self._robot(learned, "isolation")

    def _clutter(self, learned: Learned) -> dict[str, Any]:
        """Clutters of ten novel objects."""
        return self._robot(learned, "clutter")

    def _robot(self, learned: Learned, kind: Any) -> dict[str, Any]:
        test = self.curriculum.test
        sets = {"novel": test.objects if test else "test_novel"}
        if kind == "isolation":
            sets["seen"] = self.curriculum.stages[-1].objects
        checkpoint, digest = learned.last_checkpoint()
        found: dict[str, Any] = {}
        for method, (policy, given) in METHODS.items():
            parameters = dict(given)
            if policy == POLICY:
                parameters |= {"checkpoint": str(checkpoint.resolve()), "digest": digest}
            found[method] = {}
            for name, objects in sets.items():
                asked = RobotTest(
                    self.curriculum.robot,
                    policy,
                    objects,
                    kind,
                    self.amounts.isolation if kind == "isolation" else self.amounts.clutters,
                    self.amounts.seed,
                    parameters,
                    str(self._sets() or ""),
                )
                depends = asked.depends()
                depends["parameters"] = {**given, "digest": digest if policy == POLICY else ""}
                title = f"{kind}, {method}, {name}"
                tested = partial(self._tested, asked, title)
                found[method][name] = learned.kept.get(title, depends, tested)
        return found

    def _tested(self, test: RobotTest, title: str) -> dict[str, Any]:
        begun = time.monotonic()
        result = run_test(test, self.workers)
        minutes = (time.monotonic() - begun) / 60
        self.say(
            f"{title}: {result['cleared']} objects in {result['tries']} tries of {result['runs']} "
            f"runs ({minutes:.1f} min)"
        )
        return result

    def _sets(self) -> Path | None:
        curriculum = self.curriculum
        return Path(curriculum.folder) / curriculum.sets if curriculum.sets else None


def _cost(job: tuple[str, str]) -> float:
    """About how long a row takes, in trainings on all tries."""
    part, row = job
    if part == "figure8":
        return float(row)
    return {"ablations": 0.4, "tuning": 0.3, "pretraining": 0.9, "stages": 0.2}.get(part, 0.1) + (
        0.6 if row == "learners on HoG" else 0.0
    )


_learned: Learned | None = None


def _initialise(curriculum: Curriculum, folder: Path, out: Path) -> None:
    global _learned
    import cv2

    cv2.setNumThreads(1)
    _learned = Learned(curriculum, folder, out)


@dataclass(frozen=True)
class _Failure:
    """Why a row could not be measured."""

    reason: str


def _row(job: tuple[str, str]) -> str | _Failure:
    """Measure a row; what is worth saying about it."""
    assert _learned is not None
    try:
        rows = _learned.rows(*job)
    except SelfGraspError as error:
        return _Failure(str(error))
    except Exception as error:
        log.exception("%s, %s", *job)
        return _Failure(repr(error))
    told = []
    for name, row in rows.items():
        shown = row.get("novel", row)
        if "balanced_accuracy" in shown:
            told.append(f"{name} {shown['balanced_accuracy']['value']:.3f}")
    return ", ".join(told) or "done"
