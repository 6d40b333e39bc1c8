"""The shipped pixel values in the whole graph: a push, then grasps of what it set free."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed (make setup-learning)")

from selfgrasp.action import ClearTable
from selfgrasp.msg import Candidates
from selfgrasp.srv import CaptureBackground, ResetScene

from selfgrasp_nodes.nodes import qos
from selfgrasp_nodes.orchestration.limits import Limits
from selfgrasp_nodes.simulation.scenes import load_scenes, pick_scene, scene_as_json
from selfgrasp_nodes.trials.reader import RunReader
from selfgrasp_nodes.types import Primitive

HARD = Path(__file__).parents[2] / "config" / "scenes" / "vpg_hard_dev.json"


def test_it_pushes_a_packed_square_apart_and_grasps_from_it(new_graph, tmp_path) -> None:
    graph = new_graph(tmp_path / "bag", policy="pixelq")
    offered: list[list[int]] = []
    acted = threading.Event()

    def take(message: Candidates) -> None:
        offered.append([int(c.primitive) for c in message.candidates])
        acted.set()

    graph.node.create_subscription(Candidates, "candidates", take, qos.LATCHED)
    graph.empty_table()
    learnt = graph.call(CaptureBackground, "capture_background", CaptureBackground.Request())
    assert learnt.success, learnt.message
    scene = scene_as_json(pick_scene(load_scenes(HARD, 1), "nine-cubes"))
    answer = graph.call(ResetScene, "sim/reset", ResetScene.Request(scene_json=scene, seed=1))
    assert answer.success, answer.message

    goal = ClearTable.Goal(seed=1, max_actions=6)
    result = graph.send(ClearTable, "clear_table", goal).result(150.0)
    assert result.actions == 6 and acted.wait(5.0), result.message
    records = {r.trial_id: r for r in RunReader(tmp_path / "bag").records}
    tried = [records[name] for name in result.trial_ids]
    kinds = [record.candidate["primitive"] for record in tried]
    assert kinds[0] == "PUSH", kinds
    assert result.cleared >= 1, [(k, r.outcome["code"]) for k, r in zip(kinds, tried, strict=True)]
    # What is offered is what may be tried, and both primitives are among it.
    assert all(len(each) <= Limits.plan_attempts for each in offered)
    assert set(offered[0]) == {int(Primitive.GRASP), int(Primitive.PUSH)}
