"""The ceiling of any classifier of tries: how far a try's outcome repeats itself.

Tries of a policy are taken out of their episodes and each made again several times:
the same clutter and the same grasp, but for what no picture shows. The grasp's
position and angle, the sensors' readings, and every object's friction and density
are drawn anew each time. Where outcomes of one try differ, no classifier of its
picture can be right each time.

With p a try's own chance of success, the best accuracy is the mean of max(p, 1 - p);
class-balanced, that of saying yes where p exceeds the share of positives. From few
repetitions these are bounded on both sides: by letting a try's own outcomes decide
(too high: they judge themselves), and by letting the other repetitions decide for
each (too low: one fewer, and noisy).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import ExecutionFailed, InvalidConfig
from selfgrasp_nodes.learning.collect_config import CollectConfig, run_meta
from selfgrasp_nodes.learning.collect_episode import EpisodeRunner, label_of, relabelled
from selfgrasp_nodes.learning.metrics import Estimate, proportion
from selfgrasp_nodes.learning.workers import WorkerDied, run_jobs
from selfgrasp_nodes.orchestration.sequence import Event, Limits, State
from selfgrasp_nodes.policies.base import ALL_PRIMITIVES, Policy
from selfgrasp_nodes.policies.registry import make_policy
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.objects import DENSITY_RANGE, FRICTION_RANGE
from selfgrasp_nodes.simulation.scene import Scene
from selfgrasp_nodes.simulation.truth import ObjectTruth
from selfgrasp_nodes.types import Candidate, Observation, Primitive

PER_EPISODE = 3
"""Tries that are taken out of one episode."""

RESAMPLES = 2000


class Replay:
    """A policy that proposes a given candidate while it has one, else what its base does.

    Attributes:
        fixed: What is proposed; None lets the base policy speak.
    """

    def __init__(self, base: Policy):
        self._base = base
        self.name = base.name
        self.required_views = base.required_views
        self.primitives = base.primitives
        self.fixed: Candidate | None = None

    def propose(
        self,
        observation: Observation,
        rng_seed: int = 0,
        max_candidates: int = 10,
        primitives: Sequence[Primitive] = ALL_PRIMITIVES,
        avoid: Sequence[Candidate] = (),
    ) -> list[Candidate]:
        """See :meth:`Policy.propose`."""
        if self.fixed is not None:
            return [self.fixed]
        return self._base.propose(observation, rng_seed, max_candidates, primitives, avoid)

    def look_pose(self, observation: Observation, seed: int) -> tuple[str, np.ndarray] | None:
        """See :meth:`Policy.look_pose`; a given candidate needs no look."""
        return None if self.fixed is not None else self._base.look_pose(observation, seed)


@dataclass(frozen=True)
class Repeated:
    """The outcomes of one try's repetitions; None where one has no label."""

    episode: int
    outcomes: tuple[bool | None, ...]


class Repeater:
    """Repeats tries of one robot and policy in this process."""

    def __init__(self, config: CollectConfig, repeats: int):
        base = make_policy(config.policy, load_robot(config.robot), **dict(config.parameters))
        self._policy = Replay(base)
        self._runner = EpisodeRunner(config, self._policy)
        self._noise = config.file().repeat
        self._repeats = repeats

    def run(self, episode: int) -> list[Repeated]:
        """Some tries of an episode, each repeated."""
        runner = self._runner
        entropy = [runner.config.seed, runner.config.stage, episode]
        rng = np.random.default_rng([*entropy, 1])
        wanted = rng.choice(
            runner.recipe.tries, min(PER_EPISODE, runner.recipe.tries), replace=False
        )
        states: dict[int, tuple[Candidate, list[ObjectTruth]]] = {}

        def note(event: Event) -> None:
            if event.state == State.EXECUTE and event.candidate is not None:
                states[event.index] = (event.candidate, runner.loop.world.truth())

        self._policy.fixed = None
        scene, _, _ = runner.play(episode, int(wanted.max()) + 1, note)
        if scene is None:
            return []
        chosen = [index for index in sorted(wanted.tolist()) if index in states]
        return [
            Repeated(
                episode,
                tuple(self._again(scene, *states[index], rng) for _ in range(self._repeats)),
            )
            for index in chosen
        ]

    def _again(
        self,
        scene: Scene,
        candidate: Candidate,
        truth: list[ObjectTruth],
        rng: np.random.Generator,
    ) -> bool | None:
        """The label of the same try under other noise."""
        runner = self._runner
        self._policy.fixed = self._disturbed(candidate, rng)
        laid = self._rearranged(scene, truth, rng)
        try:
            run = runner.loop.run(
                laid, int(rng.integers(2**31)), Limits(max_actions=1), (Primitive.GRASP,)
            )
        except ExecutionFailed:
            return None
        if not run.trials:
            return None
        trial = run.trials[0]
        gripper = runner.loop.robot.arm(trial.candidate.arm).gripper
        return label_of(relabelled(trial, runner.rule, gripper))

    def _disturbed(self, candidate: Candidate, rng: np.random.Generator) -> Candidate:
        x, y = candidate.pose[:2, 3] + rng.normal(0, self._noise.position, 2)
        angle = geometry.wrap_grasp(candidate.angle + rng.normal(0, self._noise.angle))
        pose = geometry.grasp_pose(float(x), float(y), float(candidate.pose[2, 3]), angle)
        return replace(candidate, pose=pose, angle=angle)

    def _rearranged(
        self, scene: Scene, truth: list[ObjectTruth], rng: np.random.Generator
    ) -> Scene:
        """The objects where they lay before the try, of other friction and density."""
        specs = dict(zip(scene.names(), scene.objects, strict=True))
        center = self._runner.loop.robot.workspace.center
        objects = []
        for there in truth:
            pose = there.world_T_object.copy()
            pose[:2, 3] -= center
            spec = replace(
                specs[there.id].spec,
                friction=float(rng.uniform(*FRICTION_RANGE)),
                density=float(rng.uniform(*DENSITY_RANGE)),
            )
            objects.append(replace(specs[there.id], spec=spec).moved(pose))
        return Scene(scene.name, tuple(objects))


def measure(
    config: CollectConfig,
    tries: int = 300,
    repeats: int = 5,
    workers: int = 2,
    on_try: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Repeat so many tries and bound every classifier.

    Args:
        config: Robot, policy, objects and seed.
        tries: How many are repeated.
        repeats: How often each.
        workers: Processes.
        on_try: Called with the number done.

    Returns:
        For JSON: counts, agreement and bounds with intervals, and what they depend on.

    Raises:
        InvalidConfig: If a number is out of range.
    """
    if tries < 1 or repeats < 2:
        raise InvalidConfig("the ceiling needs one try and two repetitions at least")
    if not 1 <= workers <= 1024:
        raise InvalidConfig(f"workers must lie in 1..1024, not {workers}")
    meta = run_meta(config)
    episodes = -(-tries // PER_EPISODE)
    found: dict[int, list[Repeated]] = {}
    todo = iter(range(episodes * 2))  # some episodes end before the tries that were drawn

    def needed() -> Any:
        for number in todo:
            if sum(map(len, found.values())) >= tries:
                return
            yield number

    for number, result in run_jobs(needed(), _repeat, workers, _initialise, config, repeats):
        if not isinstance(result, WorkerDied):
            found[number] = result
        if on_try is not None:
            on_try(min(sum(map(len, found.values())), tries))
    every = [repeated for number in sorted(found) for repeated in found[number]][:tries]
    whole = [repeated for repeated in every if None not in repeated.outcomes]
    outcomes = np.array([repeated.outcomes for repeated in whole], bool).reshape(-1, repeats)
    groups = np.array([repeated.episode for repeated in whole], int)
    return {
        **bounds(outcomes, groups),
        "repeats": repeats,
        "unlabelled": len(every) - len(whole),
        "noise": config.file().repeat.model_dump(),
        "outcomes": outcomes.astype(int).tolist(),
        "episodes": groups.tolist(),
        "run": meta,
    }


def bounds(outcomes: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Agreement, and the accuracy that no classifier exceeds.

    Args:
        outcomes: (N, R) bool: R repetitions of N tries.
        groups: (N,) the episode of each try: intervals are over episodes.

    Returns:
        ``positives``, ``mixed`` (tries with both outcomes), ``agreement`` (of two
        repetitions of a try), ``accuracy`` and
        ``balanced`` with ``upper`` and ``lower`` estimates.
    """
    names = (
        "positives",
        "agreement",
        "accuracy_upper",
        "accuracy_lower",
        "balanced_upper",
        "balanced_lower",
    )
    values = _figures(outcomes)
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    draws = []
    for _ in range(RESAMPLES if len(members) else 0):
        picked = rng.integers(len(members), size=len(members))
        draws.append(_figures(outcomes[np.concatenate([members[i] for i in picked])]))
    table = np.array(draws).reshape(-1, len(names))
    mixed = outcomes.any(axis=1) & ~outcomes.all(axis=1)
    found: dict[str, Any] = {
        "tries": len(outcomes),
        "mixed": proportion(int(mixed.sum()), len(outcomes)).as_dict(),
    }
    for index, name in enumerate(names):
        column = table[:, index]
        column = column[np.isfinite(column)]
        low, high = np.percentile(column, [2.5, 97.5]) if len(column) else [float("nan")] * 2
        found[name] = Estimate(float(values[index]), float(low), float(high)).as_dict()
    return found


def _figures(outcomes: np.ndarray) -> tuple[float, ...]:
    """The figures of :func:`bounds`; NaN where a class is missing."""
    count, repeats = outcomes.shape
    if not count:
        return (float("nan"),) * 6
    yes = outcomes.sum(axis=1).astype(float)
    no = repeats - yes
    agreement = float(np.mean((yes * (yes - 1) + no * (no - 1)) / (repeats * (repeats - 1))))
    own = np.broadcast_to((yes / repeats)[:, None], outcomes.shape)
    others = (yes[:, None] - outcomes) / (repeats - 1)
    share = float(outcomes.mean())
    return (
        share,
        agreement,
        _accuracy(outcomes, own),
        _accuracy(outcomes, others),
        _balanced(outcomes, own, share),
        _balanced(outcomes, others, share),
    )


def _accuracy(outcomes: np.ndarray, chance: np.ndarray) -> float:
    """Share of outcomes that the likelier class meets; half of it where both are."""
    return float(np.where(chance == 0.5, 0.5, np.where(chance > 0.5, outcomes, ~outcomes)).mean())


def _balanced(outcomes: np.ndarray, chance: np.ndarray, share: float) -> float:
    """Mean of both classes' hits, saying yes where the chance exceeds the share."""
    if not outcomes.any() or outcomes.all():
        return float("nan")
    yes = chance > share
    return float((yes[outcomes].mean() + (~yes[~outcomes]).mean()) / 2)


_repeater: Repeater | None = None


def _initialise(config: CollectConfig, repeats: int) -> None:
    global _repeater
    import cv2

    cv2.setNumThreads(1)
    _repeater = Repeater(config, repeats)


def _repeat(episode: int) -> list[Repeated]:
    assert _repeater is not None
    return _repeater.run(episode)
