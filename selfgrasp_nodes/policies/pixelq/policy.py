"""Pushes and grasps by the value of their pixels (Zeng and others 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from selfgrasp_nodes.errors import NotReady
from selfgrasp_nodes.geometry import pixel_to_point
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.policies.base import ALL_PRIMITIVES, PolicyBase
from selfgrasp_nodes.policies.pixelq.actions import STEP, Pixel
from selfgrasp_nodes.policies.pixelq.state import State, make_state
from selfgrasp_nodes.policies.pixelq.values import POLICY, Values, load_values
from selfgrasp_nodes.policies.ranking import avoidance, suppress
from selfgrasp_nodes.robots import RobotSpec, Spec
from selfgrasp_nodes.types import Candidate, Observation, Primitive, Trial

if TYPE_CHECKING:
    from selfgrasp_nodes.policies.pixelq.networks import Scored
    from selfgrasp_nodes.policies.pixelq.online import OnlineLearner

CONSIDERED = 400
"""Best actions of a primitive among which alike ones are left out."""


class PixelqParams(Spec):
    """Parameters of :class:`PixelqPolicy`.

    Attributes:
        checkpoint: Card or weights; ``models/pixelq_GRIPPER`` where empty.
        digest: SHA-256 that the weights must have; the card's where empty.
        threads: Of torch in this process; 0 leaves them as they are.
        push_weight: A push comes before a grasp if its value times this is larger;
            the card's where 0.
        min_value: Actions worth less are not proposed; all are where None.
        select: ``best``, or ``sample``: in proportion to the exponential of value
            over temperature, for exploration.
        temperature: See ``select``.
        smooth: Whether actions are ranked by the mean of their value with those of the
            actions beside them; as in the checkpoint's training where None.
        epsilon: Chance of acting with a primitive drawn at random (section IV).
        openings: Chance that only grasps of one opening, drawn at random, are looked at.
        learn: Whether it goes on learning from its own tries while it runs, as in
            section IV; the weights live in this process alone.
        learn_rate: Of that (the paper: 1e-5).
    """

    checkpoint: str = ""
    digest: str = ""
    threads: Annotated[int, Field(ge=0, le=256)] = 0
    push_weight: Annotated[float, Field(ge=0, le=10)] = 0.0
    min_value: Annotated[float, Field(ge=-10, le=10)] | None = None
    select: Literal["best", "sample"] = "best"
    temperature: Annotated[float, Field(gt=0, le=10)] = 0.05
    smooth: bool | None = None
    epsilon: Annotated[float, Field(ge=0, le=1)] = 0.0
    openings: Annotated[float, Field(ge=0, le=1)] = 0.0
    learn: bool = False
    learn_rate: Annotated[float, Field(gt=0, le=1)] = 1e-5


class PixelqPolicy(PolicyBase[PixelqParams]):
    """The best pixels of all orientations of both primitives; see the module."""

    name = POLICY
    required_views: tuple[str, ...] = ("heightmap",)
    primitives: tuple[Primitive, ...] = ALL_PRIMITIVES
    Params = PixelqParams

    def __init__(self, robot: RobotSpec, params: PixelqParams, arm: str = ""):
        """See :class:`PolicyBase`; a checkpoint that is named is read at once."""
        super().__init__(robot, params, arm)
        self._values: Values | None = None
        self._digest, self._push_weight, self._smooth = "", 1.0, True
        self._learner: OnlineLearner | None = None
        if params.checkpoint:
            self.load_checkpoint(params.checkpoint, params.digest)

    def load_checkpoint(self, path: str, digest: str = "") -> str:
        """Put another checkpoint in place; the old one stays if it cannot be read.

        Args:
            path: Card or weights.
            digest: SHA-256 that the weights must have; the card's where empty.

        Returns:
            The card, as YAML.

        Raises:
            StorageError: If it is missing, damaged, pickled or of another digest.
            InvalidConfig: If it is for another policy, gripper or geometry.
            MissingDependency: If torch is not installed.
        """
        workspace = self.robot.workspace.workspace
        values, card = load_values(path, self.gripper, workspace, digest)
        if self.params.threads:
            import torch

            torch.set_num_threads(self.params.threads)
        trained = card.training.get("configuration", {})
        smooth = bool(trained.get("explore", {}).get("smooth", True))
        self.use(values, card.sha256, float(trained.get("push_weight", 1.0)), smooth)
        allowed = trained.get("primitives") or [p.name.lower() for p in ALL_PRIMITIVES]
        self.primitives = tuple(p for p in ALL_PRIMITIVES if p.name.lower() in allowed)
        self._learner = None
        if self.params.learn:
            from selfgrasp_nodes.policies.pixelq.online import OnlineLearner

            self._learner = OnlineLearner(values, card, self.primitives, self.params.learn_rate)
        return card.as_yaml()

    def use(
        self, values: Values, digest: str = "", push_weight: float = 1.0, smooth: bool = True
    ) -> None:
        """Act by these values, e.g. of a network that is being trained."""
        self._values, self._digest = values, digest
        self._push_weight, self._smooth = push_weight, smooth

    def check(self) -> None:
        """See :meth:`PolicyBase.check`: there must be a checkpoint, and torch to read it.

        Raises:
            NotReady: If there is no checkpoint.
            SelfGraspError: As :meth:`load_checkpoint`.
        """
        _ = self.values

    @property
    def push_weight(self) -> float:
        """A push comes first if its value times this is larger than the best grasp's."""
        return self.params.push_weight or self._push_weight

    @property
    def values(self) -> Values:
        """The checkpoint in place; that of ``models/`` where none was named.

        Raises:
            NotReady: If there is none.
        """
        if self._values is None:
            path = default_checkpoint(self.gripper.name)
            if not path.with_suffix(".yaml").is_file():
                raise NotReady(
                    f"policy 'pixelq' has no checkpoint for gripper {self.gripper.name!r} ({path} "
                    "does not exist): give one with --checkpoint or the load_checkpoint service, "
                    "or train one with 'selfgrasp train pixelq'"
                )
            self.load_checkpoint(str(path))
        assert self._values is not None
        return self._values

    def begin(self) -> None:
        """A run begins: what was learnt while the last one ran is forgotten."""
        if self._learner is not None:
            self._learner.restore()

    def learn(self, trial: Trial) -> None:
        """Learn from a finished try of this policy, where ``learn`` says so."""
        if self._learner is not None:
            self._learner.learn(trial)

    def propose(
        self,
        observation: Observation,
        rng_seed: int = 0,
        max_candidates: int = 10,
        primitives: Sequence[Primitive] = ALL_PRIMITIVES,
        avoid: Sequence[Candidate] = (),
    ) -> list[Candidate]:
        """See :meth:`Policy.propose`; the score is the action's value, smoothed.

        Raises:
            InvalidImage: If the heightmap has another size or resolution.
            NotReady: If there is no checkpoint.
        """
        heightmap = self.heightmap(observation)
        state = make_state(heightmap)
        values = self.values  # the checkpoint says which primitives it knows
        wanted = tuple(p for p in self.primitives if p in primitives)
        if not wanted or max_candidates < 1 or state.empty:
            return []
        rng = np.random.default_rng(rng_seed)
        ranked = self._ranked(values, state, wanted, max_candidates, avoid, rng)
        workspace = heightmap.workspace
        found = []
        for scored in ranked:
            chances = values.calibrated(scored).value
            for i in range(len(scored)):
                kind = Primitive(int(scored.primitive[i]))
                where = int(scored.rotation[i]), int(scored.row[i]), int(scored.col[i])
                width = values.network.widths[int(scored.opening[i])]
                value = float(scored.value[i])
                made = values.network.motions.candidate(
                    workspace, state, Pixel(kind, *where), width, value
                )
                chance = np.nan
                if values.output == "probability" and kind is Primitive.GRASP:
                    chance = float(chances[i])
                found.append(
                    replace(made, probability=float(chance), checkpoint_digest=self._digest)
                )
        return self.finish(found[:max_candidates], observation)

    def judge(self, values: Values, state: State, primitives: tuple[Primitive, ...]) -> Scored:
        """Actions with the values by which they are ranked.

        Not calibrated: what a push is worth was learnt from grasps' raw values.
        """
        every = values.evaluate(state, primitives)
        smooth = self._smooth if self.params.smooth is None else self.params.smooth
        if smooth and len(every):
            every = replace(every, value=every.smoothed())
        return every

    def _ranked(
        self,
        values: Values,
        state: State,
        primitives: tuple[Primitive, ...],
        count: int,
        avoid: Sequence[Candidate],
        rng: np.random.Generator,
    ) -> list[Scored]:
        """The best actions of each primitive, that of the better primitive first."""
        explore = len(primitives) > 1 and rng.random() < self.params.epsilon
        first = primitives[int(rng.integers(len(primitives)))] if explore else None
        every = self.judge(values, state, primitives)
        if rng.random() < self.params.openings:
            # What is never tried is never found good: the network soon takes one opening for all.
            drawn = int(rng.integers(len(values.network.widths)))
            grasp = every.primitive == Primitive.GRASP
            every = every.take(np.flatnonzero(~grasp | (every.opening == drawn)))
        parts: list[tuple[float, Scored]] = []
        weights = {
            Primitive.GRASP: 1.0,
            Primitive.PUSH: self.push_weight,
        }
        for primitive in primitives:
            mine = every.take(np.flatnonzero(every.primitive == primitive))
            if self.params.min_value is not None:
                mine = mine.take(np.flatnonzero(mine.value >= self.params.min_value))
            if not len(mine):
                continue
            best, worth = self._best(mine, primitive, count, avoid, rng)
            rank = worth * weights[primitive] + (np.inf if primitive is first else 0.0)
            parts.append((rank, best))
        parts.sort(key=lambda part: -part[0])
        if len(parts) > 1:
            # Both kinds stay within reach of a caller that cannot plan the first ones.
            half = max(1, -(-count // 2))
            parts[0] = (parts[0][0], parts[0][1].take(np.arange(min(half, len(parts[0][1])))))
        return [best for _, best in parts]

    def _best(
        self,
        scored: Scored,
        primitive: Primitive,
        count: int,
        avoid: Sequence[Candidate],
        rng: np.random.Generator,
    ) -> tuple[Scored, float]:
        """Best actions of a primitive, no two alike, and what the first is worth now."""
        x, y = pixel_to_point(self.robot.workspace.workspace, scored.row, scored.col).T
        angle = STEP * scored.rotation
        push = primitive is Primitive.PUSH
        value = scored.value
        if avoid:
            factor = avoidance(x, y, angle, avoid, primitive, distance=0.03 if push else 0.02)
            low = min(0.0, float(value.min()))
            value = low + (value - low) * factor
        order = value
        if self.params.select == "sample":
            # Gumbel's noise on values turns the best into a draw from their softmax.
            order = value + self.params.temperature * rng.gumbel(size=len(value))
        top = np.argsort(-order, kind="stable")[:CONSIDERED]
        period = 2 * np.pi if push else np.pi
        kept = suppress(x[top], y[top], angle[top], order[top], count, 0.02, 0.5 * STEP, period)
        chosen = top[kept]
        return scored.take(chosen), float(value[chosen[0]])


def default_checkpoint(gripper: str) -> Path:
    """Where the checkpoint that ships for a gripper lies, without a suffix."""
    return share_dir() / "models" / f"pixelq_{gripper}"
