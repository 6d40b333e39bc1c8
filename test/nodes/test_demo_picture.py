"""What the demonstration draws of its first decision."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selfgrasp.msg import Candidates

from selfgrasp_nodes import geometry
from selfgrasp_nodes.nodes import conversions, demo
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.types import Candidate, Heightmap, Observation, Primitive, View, Workspace


def seen(name: str, camera: str, heightmap: bool) -> Any:
    k = np.array([[500.0, 0, 32], [0, 500, 24], [0, 0, 1]])
    color, depth = np.zeros((48, 64, 3), np.uint8), np.ones((48, 64), np.float32)
    view = View(camera, color, depth, k, geometry.transform((0.6, 0, 1), (np.pi, 0, 0)), 12)
    workspace = Workspace((0.5, 0.0))
    shape = workspace.shape
    table = Heightmap(
        workspace,
        np.zeros((*shape, 3), np.uint8),
        np.zeros(shape, np.float32),
        np.ones(shape, bool),
    )
    observation = Observation(name, 12, {camera: view}, table if heightmap else None)
    return conversions.observation_message(observation, "world", {})


@pytest.mark.parametrize("candidates_first", [False, True])
@pytest.mark.parametrize("order", [("above", "hand"), ("above",)])
def test_a_look_from_the_hand_is_drawn_with_what_was_seen_from_above(
    spinner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    order: tuple[str, ...],
    candidates_first: bool,
) -> None:
    drawn: list[Observation] = []

    def save(path: Path, observation: Observation, candidates: Any, title: str) -> None:
        drawn.append(observation)

    monkeypatch.setattr(demo, "save_decision", save)
    monkeypatch.setattr(demo.DemoNode, "_subscribe", lambda self, film: None)
    node = spinner.add(
        demo.DemoNode(
            load_robot("baxter"), tmp_path, lambda trial, rest: None, lambda message: None, False
        )
    )
    grasp = Candidate(Primitive.GRASP, geometry.grasp_pose(0.6, 0, 0.02, 0.3), 0.3, width=0.05)

    def see() -> None:
        for name in order:
            camera = "left_hand_camera" if name == "hand" else "head"
            node._take_observation(seen(name, camera, heightmap=name == "above"))

    def decide() -> None:
        for name in ("another", order[-1]):  # candidates of what was not seen are not drawn
            message = Candidates(observation_id=name, policy="patch")
            message.candidates = [conversions.candidate_message(grasp, "world")]
            node._take_candidates(message)

    for arrive in (decide, see) if candidates_first else (see, decide):
        arrive()
    limit = time.monotonic() + 5.0
    while not drawn and time.monotonic() < limit:
        time.sleep(0.01)
    (observation,) = drawn
    assert observation.id == order[-1]
    assert observation.heightmap is not None
    assert set(observation.views) == {"head", "left_hand_camera"} - (
        set() if "hand" in order else {"left_hand_camera"}
    )
