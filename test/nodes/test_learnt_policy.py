"""The shipped checkpoint in the whole graph of Baxter: look with the hand's camera, pick."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("torch", reason="torch is not installed (make setup-learning)")

from selfgrasp.action import ClearTable
from selfgrasp.msg import Heightmap, Status
from selfgrasp.srv import Capture, CaptureBackground

from selfgrasp_nodes.nodes import qos


def test_it_picks_by_what_the_hand_camera_shows(new_graph, tmp_path) -> None:
    graph = new_graph(tmp_path / "bag", robot="baxter", policy="patch")
    maps: list[str] = []
    come = threading.Event()

    def take(message: Heightmap) -> None:
        maps.append(message.observation_id)
        come.set()

    graph.node.create_subscription(Heightmap, "heightmap", take, qos.LATCHED)
    whole = graph.call(Capture, "capture", Capture.Request(require_arm_clear=True))
    assert whole.success, whole.message
    assert len(whole.observation.heightmap) == 1 and come.wait(10.0)
    hand = graph.call(Capture, "capture", Capture.Request(cameras=["left_hand_camera"]))
    assert hand.success, hand.message
    assert [view.camera for view in hand.observation.views] == ["left_hand_camera"]
    assert not hand.observation.heightmap, "its fingers would be obstacles"
    assert hand.observation.observation_id not in maps
    goal = ClearTable.Goal(policy="patch", seed=1, max_actions=6)
    refused = graph.send(ClearTable, "clear_table", goal).result(60.0)
    assert refused.code == Status.NOT_READY and "capture_background" in refused.message
    graph.empty_table()
    learnt = graph.call(CaptureBackground, "capture_background", CaptureBackground.Request())
    assert learnt.success, learnt.message
    graph.drop(3, 3)
    result = graph.send(ClearTable, "clear_table", goal).result(180.0)
    assert result.cleared >= 2, result.message
