"""What passes the border is named, with what the robot did."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from selfgrasp_nodes.geometry import push_pose
from selfgrasp_nodes.orchestration.fast import FastLoop
from selfgrasp_nodes.policies.base import PolicyBase
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.scenes import load_scenes
from selfgrasp_nodes.types import Candidate, Primitive

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tools"))
import what_leaves

CUBE = {
    "shape": "cube",
    "position": [0.0, -0.18, 0.025],
    "quaternion": [1, 0, 0, 0],
    "color": [1, 0, 0],
}


class Outwards(PolicyBase):
    """Pushes towards -y, over the border."""

    name = "outwards"
    primitives = (Primitive.PUSH,)
    reach = 0.10

    def propose(self, observation: Any, *_: Any, **__: Any) -> list[Candidate]:
        pose = push_pose(-0.5, -0.13, 0.026, -1.5708)
        return [Candidate(Primitive.PUSH, pose, -1.5708, push_length=self.reach, score=1.0)]


@pytest.mark.parametrize("reach", [0.10, 0.02])
def test_a_block_that_is_pushed_out_is_named(
    reach: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = load_robot("ur5_rg2")
    policy = Outwards(robot, Outwards.Params())
    policy.reach = reach
    file = tmp_path / "one.json"
    file.write_text(json.dumps({"scenes": [{"name": "one", "objects": [CUBE]}]}))
    (scene,) = load_scenes(file)
    monkeypatch.setattr(what_leaves, "random_scene", lambda *_: scene)
    lines = list(what_leaves.leavings(FastLoop(robot, policy), 1, 1))
    if reach < 0.05:
        assert lines == []
        return
    (line,) = lines
    assert line.startswith("seed 1, try 1, push") and "cube from (-500, -1" in line
