"""What a training of pixel values is made of, from ``config/learning/pixelq*.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.learning.patch_config import checked
from selfgrasp_nodes.policies.pixelq.actions import Strokes
from selfgrasp_nodes.policies.pixelq.targets import TargetRule
from selfgrasp_nodes.robots import Spec
from selfgrasp_nodes.simulation.model import PHYSICS_VERSION
from selfgrasp_nodes.types import Primitive

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=40)]
Seed = Annotated[int, Field(ge=0, le=2**31)]


class StrokeOptions(Spec):
    """As ``policies.pixelq.actions.Strokes``; lengths in metres."""

    depth: Annotated[float, Field(ge=0, le=0.1)] = 0.03
    table_clearance: Annotated[float, Field(ge=0, le=0.05)] = 0.003
    push_above: Annotated[float, Field(ge=0, le=0.1)] = 0.026
    push_length: Annotated[float, Field(gt=0, le=0.3)] = 0.10
    push_border: Annotated[float, Field(ge=0, le=0.2)] = 0.0
    push_min_length: Annotated[float, Field(ge=0, le=0.3)] = 0.04
    push_room: Annotated[float, Field(ge=-1, le=0.2)] = -1.0
    force: Annotated[float, Field(gt=0, le=1)] = 1.0

    def strokes(self) -> Strokes:
        """For the motions."""
        return Strokes(**self.model_dump())


class TargetOptions(Spec):
    """As ``policies.pixelq.targets.TargetRule``.

    Attributes:
        every: Steps between two copies of the network into the one that judges what
            comes after; 0 lets the network judge itself, as the reference code does.
        refresh: What comes after a try is judged anew when it was last judged by an
            older copy; at most so many a step, in the mean.
        hindsight: Where the next try is a grasp at what a push has moved, what came of
            it counts as much as what the judge thinks.
        lost_weight: Weight in the loss of a try that moved something over the border, with
            ``border``: what cannot be made good counts for more than it happens.
    """

    discount: Share = 0.5
    push_reward: Share = 0.5
    bootstrap: Literal["all", "push", "none"] = "all"
    double: bool = True
    border: bool = False
    every: Annotated[int, Field(ge=0, le=100_000)] = 200
    refresh: Annotated[float, Field(gt=0, le=1000)] = 1
    hindsight: bool = False
    lost_weight: Annotated[float, Field(ge=1, le=100)] = 1.0

    def rule(self) -> TargetRule:
        """For the targets."""
        return TargetRule(
            self.discount, self.push_reward, self.bootstrap, self.double, self.border
        )


class Replay(Spec):
    """Which tries a step learns from.

    Attributes:
        batch: Tries a step.
        surprising: Share of them drawn by surprise (section IV): ranked by the last
            loss, with the paper's power law; the rest evenly.
        opposite: Draw only tries of the last one's primitive with the other outcome,
            as the reference code does.
        newest: The newest try is in each batch of the steps that follow it.
    """

    batch: Annotated[int, Field(ge=1, le=1024)] = 48
    surprising: Share = 0.25
    opposite: bool = False
    newest: bool = True


class Explore(Spec):
    """How tries are chosen while learning.

    Attributes:
        start: Chance of a primitive drawn at random, at first (the paper: 0.5).
        end: Smallest chance (the paper: 0.1).
        decay: Factor a try (the paper: 0.9998).
        temperature: Pixels are drawn in proportion to exp(value / temperature); 0
            takes the best, as in the paper.
        temperature_end: What it falls to over ``temperature_tries`` tries.
        temperature_tries: See there.
        openings: Chance that only grasps of one opening, drawn at random, are looked at.
        smooth: As the policy's: actions are ranked with those beside them.
    """

    start: Share = 0.5
    end: Share = 0.1
    decay: Annotated[float, Field(gt=0, le=1)] = 0.9998
    temperature: Annotated[float, Field(ge=0, le=10)] = 0.0
    temperature_end: Annotated[float, Field(ge=0, le=10)] = 0.0
    temperature_tries: Annotated[int, Field(ge=1)] = 1000
    openings: Share = 0.0
    smooth: bool = False

    def chance(self, tries: int) -> float:
        """Of a random primitive after so many tries."""
        return max(self.end, self.start * self.decay**tries)

    def heat(self, tries: int) -> float:
        """Temperature after so many tries."""
        done = min(tries / self.temperature_tries, 1.0)
        return self.temperature + (self.temperature_end - self.temperature) * done


class Clutter(Spec):
    """Scenes from one try on.

    Attributes:
        since: Tries by then.
        objects: Least and largest number dropped.
        packed: Share of episodes that begin with blocks flush in rows, in place of
            dropped ones.
        edge: Share of those whose rows stand at the workspace's border.
    """

    since: Annotated[int, Field(ge=0)] = 0
    objects: tuple[Count, Count] = (10, 10)
    packed: Share = 0.0
    edge: Share = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> Clutter:
        if self.objects[0] > self.objects[1]:
            raise ValueError("objects must be least, largest")
        return self


class Episodes(Spec):
    """When a scene is left for a new one.

    Attributes:
        tries: After so many.
        no_change: After so many tries in a row without change (the reference's reset).
        kinds: Of blocks; those of the robot's description where empty.
    """

    tries: Annotated[int, Field(ge=1, le=1000)] = 60
    no_change: Annotated[int, Field(ge=1, le=100)] = 10
    kinds: tuple[str, ...] = ()


class Pretrain(Spec):
    """Grasps of a store of tries that are learnt from before the first own try.

    Attributes:
        store: File; none where empty.
        steps: Of learning.
    """

    store: str = ""
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 500


class PixelqTraining(Spec):
    """The content of a training's file.

    Attributes:
        robot: Name or file.
        network: ``name``, ``widths``, ``inputs`` and what else builds it.
        loss: ``probability``: values lie in 0..1, logistic loss; ``value``: Huber's (the paper).
        primitives: That are learnt.
        strokes: How pixels become motions.
        target: How targets are made.
        replay: Which tries a step learns from.
        explore: How tries are chosen.
        clutter: Scenes, in the order of ``since``.
        episodes: When a scene is left.
        pretrain: See :class:`Pretrain`.
        tries: In all.
        steps: Of learning a try.
        optimizer: ``adamw``, or the paper's ``sgd`` with momentum 0.9.
        rate: Of learning, at first.
        rate_steps: It falls to a half over so many steps, to a third over twice as many, and so
            on; 0 keeps it.
        weight_decay: Of the optimiser.
        average: Decay a step of the running mean of the weights that acts and is
            saved; 0 for the last weights.
        push_weight: A push comes first if its value times this is the larger one
            (reactive in the paper: 0.5).
        chunk: Tries that a world makes with one set of weights.
        save: Tries between two checkpoints.
        seed: Of everything.
        workers: Worlds at once.
        threads: Of torch in the learner.
    """

    robot: str = "ur5_rg2"
    network: dict[str, Any] = {"name": "window", "widths": [0.11]}
    loss: Literal["probability", "value"] = "value"
    primitives: Annotated[tuple[Literal["grasp", "push"], ...], Field(min_length=1)] = (
        "grasp",
        "push",
    )
    strokes: StrokeOptions = StrokeOptions()
    target: TargetOptions = TargetOptions()
    replay: Replay = Replay()
    explore: Explore = Explore()
    clutter: Annotated[tuple[Clutter, ...], Field(min_length=1)] = (Clutter(),)
    episodes: Episodes = Episodes()
    pretrain: Pretrain = Pretrain()
    tries: Annotated[int, Field(ge=1, le=1_000_000)] = 2500
    steps: Annotated[int, Field(ge=1, le=100)] = 4
    optimizer: Literal["adamw", "sgd"] = "adamw"
    rate: Annotated[float, Field(gt=0, le=1)] = 0.002
    rate_steps: Annotated[int, Field(ge=0)] = 0
    weight_decay: Share = 0.02
    average: Annotated[float, Field(ge=0, lt=1)] = 0.99
    push_weight: Annotated[float, Field(gt=0, le=10)] = 1.0
    chunk: Annotated[int, Field(ge=1, le=100)] = 4
    save: Annotated[int, Field(ge=1)] = 100
    seed: Seed = 1
    workers: Annotated[int, Field(ge=1, le=256)] = 2
    threads: Annotated[int, Field(ge=1, le=256)] = 1

    @model_validator(mode="after")
    def _fits(self) -> PixelqTraining:
        most = self.target.push_reward + self.target.discount
        if self.loss == "probability" and self.target.bootstrap == "all" and self.target.discount:
            raise ValueError(
                "loss 'probability' needs values in 0..1: use bootstrap 'push' or 'none', or loss "
                "'value'"
            )
        if self.loss == "probability" and self.target.bootstrap == "push" and most > 1:
            raise ValueError("push_reward + discount must not exceed 1 with loss 'probability'")
        if self.target.border and self.target.bootstrap == "all":
            # A grasp at the border takes volume from the picture, too, and would count as a loss.
            raise ValueError("target.border is a rule for pushes: it needs bootstrap 'push'")
        if self.clutter[0].since or [c.since for c in self.clutter] != sorted(
            c.since for c in self.clutter
        ):
            raise ValueError("clutter must begin with since: 0 and rise")
        return self

    def actions(self) -> tuple[Primitive, ...]:
        """The primitives."""
        return tuple(p for p in Primitive if p.name.lower() in self.primitives)

    def scenes(self, tries: int) -> Clutter:
        """The clutter after so many tries."""
        return [c for c in self.clutter if c.since <= tries][-1]

    def identity(self) -> dict[str, Any]:
        """What a training depends on: all but its length, and how it is run."""
        free = {"tries", "workers", "threads", "save", "chunk"}
        return self.model_dump(mode="json", exclude=free) | {"physics": PHYSICS_VERSION}


def load_pixelq_training(path: Path, **overrides: Any) -> PixelqTraining:
    """Read a training's file.

    Args:
        path: YAML; ``base: FILE`` in it names another one, beside it, that it changes.
        **overrides: Win over the file's.

    Raises:
        InvalidConfig: If it cannot be read, or a value is unknown or out of range.
    """
    return checked(PixelqTraining, _merge(_read(path), overrides), path)


def _read(path: Path, depth: int = 0) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise InvalidConfig(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise InvalidConfig(f"{path} must be a mapping of a training's parameters")
    base = content.pop("base", "")
    if not base:
        return content
    if depth > 8:
        raise InvalidConfig(f"{path}: its bases go round in a circle")
    return _merge(_read(path.parent / str(base), depth + 1), content)


def _merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        old = merged.get(key)
        same = isinstance(old, dict) and isinstance(value, dict) and key != "network"
        merged[key] = _merge(old, value) if same else value  # type: ignore[arg-type]
    return merged
