"""The measure of Zeng (2018): completion, grasp success, action efficiency; row by row.

Every row runs on the same scenes with the same disturbances, by seed. Its runs are kept
in a file with the digest of all that they follow from (robot, scenes, limits, the policy's
parameters and weights), gone on with where they were interrupted, and made anew when
that changes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from selfgrasp_nodes.errors import InvalidConfig, StorageError
from selfgrasp_nodes.learning.evaluation import Evaluation, EvaluationConfig
from selfgrasp_nodes.learning.metrics import RunResult, summarise
from selfgrasp_nodes.learning.vpg_metrics import differences, measures
from selfgrasp_nodes.learning.vpg_paper import HARD, PAPER
from selfgrasp_nodes.learning.vpg_rows import Row, check_rows, slug
from selfgrasp_nodes.policies.checkpoints import write_whole

OBJECTS = 30
"""Of a random scene, as in the paper."""

ACTIONS_PER_OBJECT = 10
"""Tries for each object that end a run: pushing to and fro changes the table for ever."""


class Member:
    """One row's policy with one checkpoint: its runs, and the file that keeps them.

    Attributes:
        row: It belongs to.
        number: Of the training seed, from 1; 0 where the row has a single policy.
        evaluation: Its runs.
        file: Of them.
    """

    def __init__(self, row: Row, number: int, evaluation: Evaluation, file: Path):
        self.row, self.number, self.evaluation, self.file = row, number, evaluation, file
        self._put = -float("inf")

    @property
    def title(self) -> str:
        """What is shown while it runs."""
        return f"{self.row.name}, {self.number}" if self.number else self.row.name

    @property
    def runs(self) -> list[RunResult]:
        """Those that are done, in order."""
        done = self.evaluation.results
        return [done[job] for job in self.evaluation.jobs if job in done]

    def put(self, make_report: Callable[[], dict[str, Any]], min_age: float = 0.0) -> None:
        """Write a report, unless one was written less than ``min_age`` [s] ago.

        Raises:
            StorageError: If it cannot be written.
        """
        if time.monotonic() - self._put < min_age:
            return
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.file, json.dumps(make_report(), indent=1).encode())
        except OSError as error:
            raise StorageError(f"{self.file} cannot be written: {error}") from error
        self._put = time.monotonic()


class Vpg:
    """The protocol: rows, their runs, the results of all.

    Attributes:
        protocol: ``vpg-random`` or ``vpg-hard``.
        rows: What is compared.
        config: What all rows share.
        members: Policies to run, in order.
    """

    def __init__(
        self,
        protocol: str,
        rows: Sequence[Row],
        config: EvaluationConfig,
        out: Path,
        strict: bool = False,
        say: Callable[[str], None] = print,
    ):
        """Lay the runs out, and take over those that are there.

        Args:
            protocol: One of ``vpg_paper.PAPER``.
            rows: What is compared; the first is what the others are set against.
            config: What all rows share: robot, scenes, runs, seed, limits, processes.
            out: Folder whose ``rows`` keeps the runs.
            strict: Refuse kept runs of another configuration, rather than make them anew.
            say: Called with a sentence where runs are made anew.

        Raises:
            InvalidConfig: If rows, parameters or kept runs do not fit.
            InvalidScene: If the scene file is wrong.
            StorageError: If a checkpoint is missing.
        """
        check_rows(rows)
        if protocol == HARD and config.scenes is None:
            raise InvalidConfig(f"protocol {HARD} needs a scene file")
        self.protocol, self.rows, self.config = protocol, tuple(rows), config
        self.members: list[Member] = []
        for row in rows:
            every = row.members()
            for place, parameters in enumerate(every, start=1):
                number = place if len(every) > 1 else 0
                own = replace(
                    config, policy=row.policy, parameters=parameters, primitives=row.primitives
                )
                file = out / "rows" / (slug(row.name) + (f"-{number}" if number else "") + ".json")
                evaluation = _evaluation(own, file, strict, say)
                self.members.append(Member(row, number, evaluation, file))

    @property
    def complete(self) -> bool:
        """Whether all runs are done."""
        return all(member.evaluation.complete for member in self.members)

    def results(self) -> dict[str, Any]:
        """What is to be said about the runs that are done, for JSON.

        Returns:
            ``rows`` by name (measures, counts, ``by_scene``, ``by_training_seed``),
            ``differences`` of each from the first, ``paper``, and ``about``.
        """
        runs = {row.name: self._runs(row) for row in self.rows}
        runs = {name: seeds for name, seeds in runs.items() if any(seeds)}
        first = next(iter(runs), None)
        config = self.config
        return {
            "about": {
                "protocol": self.protocol,
                "robot": config.robot,
                "scenes": str(config.scenes) if config.scenes else "",
                "objects": 0 if config.scenes else config.objects,
                "runs": config.runs,
                "seeds": [config.seed, config.seed + config.runs - 1],
                "perturbed": [config.perturb_mm, config.perturb_degrees] if config.scenes else [],
                "actions_per_object": config.actions_per_object,
                "max_actions": config.max_actions,
                "max_no_change": config.max_no_change,
                "friction_scale": config.friction_scale,
            },
            "rows": {row.name: self._row(row) for row in self.rows if row.name in runs},
            "differences": {
                name: differences(seeds, runs[first])
                for name, seeds in runs.items()
                if first is not None and name != first
            },
            "paper": {name: list(row) for name, row in PAPER[self.protocol].items()},
        }

    def _runs(self, row: Row) -> list[list[RunResult]]:
        """Of each training seed that has any."""
        found = [member.runs for member in self.members if member.row is row]
        return [runs for runs in found if runs]

    def _row(self, row: Row) -> dict[str, Any]:
        members = [member for member in self.members if member.row is row]
        seeds = self._runs(row)
        every = [run for runs in seeds for run in runs]
        found: dict[str, Any] = {
            **summarise(every),
            **measures(seeds),
            "policy": row.policy,
            "parameters": dict(row.parameters),
            "primitives": list(row.primitives),
            "training_seeds": len(members),
            "configurations": [member.evaluation.report()["configuration"] for member in members],
            "checkpoints": list(row.checkpoints),
            "runs_wanted": sum(len(member.evaluation.jobs) for member in members),
            "wall_time": sum(member.evaluation.report()["wall_time"] for member in members),
            "by_scene": _by_scene(every),
        }
        if len(members) > 1:
            found["by_training_seed"] = [measures([member.runs]) for member in members]
        return found


def _by_scene(runs: Sequence[RunResult]) -> dict[str, Any]:
    """Of each scene of a file, with intervals over its runs."""
    scenes: dict[tuple[int, str], list[RunResult]] = {}
    for run in runs:
        if run.index >= 0:
            scenes.setdefault((run.index, run.scene), []).append(run)
    names = [name for _, name in scenes]
    return {
        (name if names.count(name) == 1 else f"{name} ({index})"): summarise(of)
        for (index, name), of in sorted(scenes.items())
    }


def _evaluation(
    config: EvaluationConfig, file: Path, strict: bool, say: Callable[[str], None]
) -> Evaluation:
    """With the runs of a file, where it holds some of this configuration."""
    try:
        report = json.loads(file.read_text())
        return Evaluation(config, report)
    except FileNotFoundError:
        return Evaluation(config)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidConfig) as error:
        found = Evaluation(config)  # raises anew what is not the file's fault
        if strict:
            raise InvalidConfig(
                f"{file} keeps runs of another configuration, or is damaged ({error}): go on "
                "without --resume to make them anew, or name another folder with --out"
            ) from error
        say(f"{file} keeps no runs of this configuration: they are made anew")
        return found
