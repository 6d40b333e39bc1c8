"""One episode of collection in this process: a dropped clutter, then tries in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import ExecutionFailed, InvalidScene
from selfgrasp_nodes.labeling.rules import GraspRule
from selfgrasp_nodes.learning.collect_config import CollectConfig, patch_geometry
from selfgrasp_nodes.orchestration.fast import FastLoop, FastRun
from selfgrasp_nodes.orchestration.sequence import Event, Limits, State
from selfgrasp_nodes.perception.patches import candidate_crop
from selfgrasp_nodes.policies.base import Policy
from selfgrasp_nodes.robots import GripperSpec, load_robot
from selfgrasp_nodes.simulation.drops import DropOptions, drop
from selfgrasp_nodes.simulation.object_sets import load_object_set
from selfgrasp_nodes.simulation.scene import Scene
from selfgrasp_nodes.simulation.shapes import Piece
from selfgrasp_nodes.simulation.truth import ObjectTruth
from selfgrasp_nodes.trials.record import outcome_summary
from selfgrasp_nodes.trials.store_record import StoredTry, to_row
from selfgrasp_nodes.types import (
    Execution,
    Outcome,
    OutcomeCode,
    PhaseCode,
    Primitive,
    Trial,
)

DROPS = 5
"""How often a clutter is drawn anew that does not come to rest in the workspace."""

SAMPLES = 16
"""Of the fingers' trace that are kept with a try."""

FAILURES = (OutcomeCode.MISSED, OutcomeCode.SLIPPED, OutcomeCode.BLOCKED)
NO_SCENE = "the clutter did not come to rest in the workspace"


@dataclass(frozen=True)
class EpisodeResult:
    """What an episode gave.

    Attributes:
        episode: Its number.
        rows: Its tries as rows of the store.
        labelled: How many have a label.
        positives: How many were successes by it.
        label_errors: Labelled tries whose label the simulator's truth denies.
        ended: Why it ended.
        fault: Whether an error ended it that nobody foresaw, and that may not come
            again: it is not stored, and simulated anew by the next call.
    """

    episode: int
    rows: tuple[tuple[Any, ...], ...]
    labelled: int
    positives: int
    label_errors: int
    ended: str
    fault: bool = False

    @classmethod
    def failed(cls, episode: int, reason: str) -> EpisodeResult:
        """Of an episode that a fault ended."""
        return cls(episode, (), 0, 0, 0, reason, fault=True)


class EpisodeRunner:
    """A world and a policy that many episodes share.

    Attributes:
        config: As given.
        loop: The fast loop.
    """

    def __init__(self, config: CollectConfig, policy: Policy | None = None):
        """Build world, policy and object set.

        Args:
            config: What is collected.
            policy: Instead of the one that ``config`` names.
        """
        self.config = config
        robot = load_robot(config.robot)
        self.sizes = patch_geometry(robot)
        self.recipe = config.recipe(robot)
        self.objects = load_object_set(config.objects, config.sets)
        self._tries = _Tries(self)
        parameters = dict(config.parameters) if policy is None else {}
        self.loop = FastLoop(robot, policy or config.policy, store=self._tries, **parameters)
        self.rule = GraspRule()

    def run(self, episode: int) -> EpisodeResult:
        """Drop a clutter and try; the same for the same number, whatever ran before."""
        scene, ended, run = self.play(episode, self.recipe.tries, self._tries.on_event)
        if scene is None:
            return EpisodeResult(episode, (), 0, 0, 0, ended)
        return self._tries.result(ended, run)

    def play(
        self, episode: int, tries: int, on_event: Callable[[Event], None]
    ) -> tuple[Scene | None, str, FastRun | None]:
        """Play an episode, or its beginning.

        Args:
            episode: Its number.
            tries: At most so many.
            on_event: See ``FastLoop.run``.

        Returns:
            The scene, None where no clutter came to rest; why it ended; what ran,
            None where that is not known.
        """
        entropy = [self.config.seed, self.config.stage, episode]
        draws, chances = np.random.SeedSequence(entropy).spawn(2)
        laid = self.lay_out(episode, np.random.default_rng(draws))
        if laid is None:
            return None, NO_SCENE, None
        scene, names = laid
        seed = int(chances.generate_state(1)[0]) >> 1
        self._tries.begin(episode, scene, seed, names)
        limits = Limits(
            max_actions=tries,
            max_no_change=self.recipe.no_change,
            max_cleared=len(names) - self.recipe.keep,
        )
        try:
            run = self.loop.run(
                scene,
                seed,
                limits,
                (Primitive.GRASP,),
                on_event,
                keep_trials=False,
                run_id=self.config.run,
                episode_id=str(episode),
            )
        except ExecutionFailed as error:
            # The simulation broke down: what was tried before stands, the rest is left out.
            return scene, str(error), getattr(error, "run", None)
        return scene, run.stop_reason.value if run.stop_reason else "", run

    def lay_out(
        self, episode: int, rng: np.random.Generator
    ) -> tuple[Scene, Mapping[str, str]] | None:
        """A dropped clutter, and the set's names of its objects; None if none comes to rest."""
        low, high = self.recipe.objects
        for _ in range(DROPS):
            drawn = self.objects.draw(rng, int(rng.integers(low, high + 1)))
            try:
                name = f"{self.config.run}-{episode}"
                specs = [spec for _, spec in drawn]
                scene = drop(name, specs, self.loop.robot, rng, DropOptions())
            except InvalidScene:
                continue
            return scene, dict(zip(scene.names(), [name for name, _ in drawn], strict=True))
        return None


class _Tries:
    """The store's port: turns each trial into a stored try at once, pictures cut to the crop."""

    def __init__(self, runner: EpisodeRunner):
        self._runner = runner
        self._tries: list[StoredTry] = []
        self._truth: dict[int, list[ObjectTruth]] = {}

    def begin(self, episode: int, scene: Scene, seed: int, names: Mapping[str, str]) -> None:
        """Forget the episode before."""
        self._episode, self._scene, self._seed, self._names = episode, scene, seed, names
        self._pieces = {
            name: obj.spec.pieces for name, obj in zip(scene.names(), scene.objects, strict=True)
        }
        self._tries.clear()
        self._truth.clear()

    def on_event(self, event: Event) -> None:
        """Note where the objects lie when a try begins."""
        if event.state == State.EXECUTE:
            self._truth[event.index] = self._runner.loop.world.truth()

    def store(self, trial: Trial) -> None:
        """See ports.Store; the parent process writes it when the episode has ended."""
        runner, candidate = self._runner, trial.candidate
        assert trial.before is not None
        arm = runner.loop.robot.arm(candidate.arm)
        outcome = relabelled(trial, runner.rule, runner.loop.robot.arm(candidate.arm).gripper)
        crop = candidate_crop(trial.before, candidate, runner.sizes)
        self._tries.append(
            StoredTry(
                run=runner.config.run,
                episode=self._episode,
                try_=trial.index,
                robot=trial.robot,
                arm=arm.name,
                gripper=arm.gripper.name,
                view=crop.view,
                policy=candidate.policy,
                checkpoint=candidate.checkpoint_digest,
                stage=runner.config.stage,
                propensity=candidate.propensity,
                pose=candidate.pose,
                angle=candidate.angle,
                width=candidate.width,
                score=candidate.score,
                surface=crop.center[2],
                color=crop.color,
                height=crop.height,
                success=label_of(outcome),
                code=outcome.code.name,
                reason=outcome.reason,
                rule=outcome.rule_version,
                sensors=sensor_summary(outcome, trial.execution),
                scene=self._scene.id,
                scene_seed=self._seed,
                object_set=runner.objects.name,
                object=self._under(trial),
            )
        )

    def result(self, ended: str, run: FastRun | None) -> EpisodeResult:
        """All tries of the episode, with what each truly held."""
        held = list(run.held) if run else []
        held += [()] * (len(self._tries) - len(held))
        tries = [
            replace(stored, held=tuple(self._names[name] for name in names))
            for stored, names in zip(self._tries, held, strict=True)
        ]
        labelled = [stored for stored in tries if stored.success is not None]
        return EpisodeResult(
            self._episode,
            tuple(to_row(stored) for stored in tries),
            len(labelled),
            sum(bool(stored.success) for stored in labelled),
            sum(stored.success != bool(stored.held) for stored in labelled),
            ended,
        )

    def _under(self, trial: Trial) -> str:
        """Name of the object nearest to the grasp; empty where the table was empty."""
        truth = self._truth.get(trial.index, [])
        if not truth:
            return ""
        point = np.append(trial.candidate.pose[:3, 3], 1.0)
        nearest = min(truth, key=lambda t: distance(self._pieces[t.id], t.world_T_object, point))
        return self._names[nearest.id]


def distance(pieces: Sequence[Piece], world_T_object: np.ndarray, point: np.ndarray) -> float:
    """About how far a world point (x, y, z, 1) lies outside of an object; negative inside [m]."""
    local = (geometry.inverse(world_T_object) @ point)[:3]
    return min(float((p.planes[:, :3] @ local + p.planes[:, 3]).max()) for p in pieces)


def relabelled(trial: Trial, rule: GraspRule, gripper: GripperSpec) -> Outcome:
    """The outcome; where the motion was stopped, what the rule makes of the sensors.

    A hand that strikes something on its way down is stopped by motion: as a try
    that is a grasp that failed (BLOCKED), and no fault of the arm.
    """
    outcome = trial.outcome
    if outcome.code not in (OutcomeCode.BLOCKED, OutcomeCode.EXECUTION_FAILED):
        return outcome
    return rule.relabel(trial.execution, gripper, outcome)


def label_of(outcome: Outcome) -> bool | None:
    """Success or failure; None where the try was not made, or nobody can tell."""
    if outcome.code == OutcomeCode.SUCCESS:
        return True
    return False if outcome.code in FAILURES else None


def sensor_summary(outcome: Outcome, execution: Execution) -> dict[str, Any]:
    """What the sensors said: the label's figures, and the fingers from closing to lifted."""
    summary = outcome_summary(outcome)
    for name in ("code", "reason", "rule_version"):
        del summary[name]
    act, lift = execution.phase(PhaseCode.ACT), execution.phase(PhaseCode.LIFT)
    if execution.trace is not None and act is not None:
        part = execution.trace.between(act.start, (lift or act).end)
        if len(part.time):
            index = np.linspace(0, len(part.time) - 1, SAMPLES).round().astype(int)
            summary["width_mm"] = _rounded(1e3 * part.width[index], 2)
            summary["force_n"] = _rounded(part.force[index], 2)
    return summary


def _rounded(values: np.ndarray, digits: int) -> Sequence[float | None]:
    return [round(float(v), digits) if np.isfinite(v) else None for v in values]
