"""A world that makes a few tries at a time with the newest weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from selfgrasp_nodes.errors import InvalidScene, SelfGraspError
from selfgrasp_nodes.learning.pixelq_config import PixelqTraining
from selfgrasp_nodes.learning.pixelq_scenes import draw_scene
from selfgrasp_nodes.learning.pixelq_store import PixelTry, encode_state
from selfgrasp_nodes.policies.pixelq.state import make_state
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.types import Primitive, Trial

if TYPE_CHECKING:
    from selfgrasp_nodes.orchestration.fast import FastExecutor, FastLoop
    from selfgrasp_nodes.orchestration.sequence import TrialSequence
    from selfgrasp_nodes.policies.pixelq.policy import PixelqPolicy

SCENES = 20
"""Scenes that are drawn before a training is given up whose scenes never settle."""


@dataclass(frozen=True)
class Chunk:
    """What a world is asked for.

    Attributes:
        episode: Number of the episode to begin, should the one under way end; the
            next ones have the numbers after it.
        tries: To make.
        done: Tries of the training by now.
        version: Of the weights.
        weights: As safetensors.
    """

    episode: int
    tries: int
    done: int
    version: int
    weights: bytes


class PixelWorld:
    """A world, a policy, and the episode that is under way.

    Attributes:
        loop: The fast loop.
    """

    def __init__(self, config: PixelqTraining):
        """Build the world and an untrained network."""
        from selfgrasp_nodes.learning.pixelq_learner import make_values
        from selfgrasp_nodes.orchestration.fast import FastLoop
        from selfgrasp_nodes.policies.pixelq.policy import PixelqParams, PixelqPolicy

        self.config = config
        robot = load_robot(config.robot)
        self._policy: PixelqPolicy = PixelqPolicy(robot, PixelqParams())
        self._policy.primitives = config.actions()
        values = make_values(config, robot)
        values.network.eval()
        self._policy.use(values, push_weight=config.push_weight)
        self._values = values
        self.loop: FastLoop = FastLoop(robot, self._policy)
        self._under_way: Iterator[Trial] | None = None
        self._executor: FastExecutor | None = None
        self._version = -1

    def run(self, chunk: Chunk) -> list[PixelTry]:
        """Make the tries; the episode goes on with the next call."""
        from selfgrasp_nodes.orchestration.fast import BREAKDOWNS

        self._take(chunk)
        found: list[PixelTry] = []
        episode, failures, fruitful = chunk.episode, 0, True
        while len(found) < chunk.tries:
            if self._under_way is None:
                failures = 0 if fruitful else failures + 1
                if failures >= SCENES:
                    raise SelfGraspError(
                        f"nothing was tried in {SCENES} scenes in a row: the network proposes "
                        "nothing that can be planned; train anew with another seed or rate"
                    )
                fruitful = False
                try:
                    self._begin(episode, chunk.done + len(found))
                except InvalidScene:
                    if failures + 1 >= SCENES:
                        raise
                    continue
                finally:
                    episode += 1
            assert self._under_way is not None
            try:
                trial = next(self._under_way, None)
            except BREAKDOWNS:  # another scene
                trial = None
            if trial is None:
                self._under_way = None
                continue
            tried = self._tried(trial)
            if tried is not None:
                fruitful = True
                found.append(tried)
        return found

    def _take(self, chunk: Chunk) -> None:
        """The chunk's weights, and how freely it explores."""
        if chunk.version != self._version:
            from safetensors.torch import load

            self._values.network.load_state_dict(load(chunk.weights))
            self._version = chunk.version
        explore = self.config.explore
        heat = explore.heat(chunk.done)
        self._policy.params = self._policy.params.model_copy(
            update={
                "epsilon": explore.chance(chunk.done),
                "select": "sample" if heat > 0 else "best",
                "temperature": max(heat, 1e-6),
                "openings": explore.openings,
                "smooth": explore.smooth,
            }
        )

    def _begin(self, episode: int, done: int) -> None:
        from selfgrasp_nodes.orchestration.sequence import Limits

        config = self.config
        scene = draw_scene(
            self.loop.robot, config.scenes(done), config.seed, episode, config.episodes.kinds
        )
        self._episode, self._objects = episode, len(scene.objects)
        limits = Limits(
            max_actions=config.episodes.tries,
            max_no_change=config.episodes.no_change,
            max_cleared=len(scene.objects),
        )
        seed = int(np.random.SeedSequence([config.seed, episode, 1]).generate_state(1)[0]) >> 1
        self.sequence: TrialSequence
        self.sequence, self._executor = self.loop.sequence(
            scene, seed, limits, config.actions(), episode_id=str(episode)
        )
        self._under_way = self.sequence.run()

    def _tried(self, trial: Trial) -> PixelTry | None:
        """The try as it is kept; None where nothing is to be learnt from it."""
        from selfgrasp_nodes.policies.pixelq.online import LABELLED, has_changed

        candidate, outcome = trial.candidate, trial.outcome
        before, after = trial.before, trial.after
        if before is None or before.heightmap is None or outcome.code not in LABELLED:
            return None
        following = after.heightmap if after is not None else None
        if following is None and candidate.primitive is Primitive.PUSH:
            return None
        widths = np.asarray(self._values.network.widths)
        col, row = candidate.pixel
        held = self._executor.held.get(trial.trial_id, ()) if self._executor else ()
        return PixelTry(
            episode=self._episode,
            index=trial.index,
            primitive=int(candidate.primitive),
            angle=float(candidate.angle),
            rotation=candidate.rotation_index,
            row=row,
            col=col,
            opening=int(np.argmin(np.abs(widths - candidate.width))),
            success=outcome.success,
            changed=has_changed(trial),
            code=outcome.code.name,
            value=float(candidate.score),
            version=self._version,
            objects=self._objects,
            held=bool(held),
            before=encode_state(make_state(before.heightmap)),
            after=b"" if following is None else encode_state(make_state(following)),
        )


_world: PixelWorld | None = None


def initialise(config: str) -> None:
    """Build this process's world from a configuration as JSON."""
    global _world
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    _world = PixelWorld(PixelqTraining.model_validate(json.loads(config)))


def run_chunk(chunk: Chunk) -> list[PixelTry]:
    """Make tries in this process's world.

    Raises:
        SelfGraspError: If the process was not initialised.
    """
    if _world is None:
        raise SelfGraspError("this process has no world: call initialise first")
    return _world.run(chunk)
