"""``selfgrasp trials info`` on a store."""

from __future__ import annotations

import json

import numpy as np
import pytest
from store_cases import stored

from selfgrasp_nodes.cli.main import main
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.trials.store import TrialStore

PIXELS = 16
RUN = "baxter-random-roi-train_base+train_staged-stage0-seed1"


@pytest.fixture
def store(tmp_path):
    """Two views of a run's stage 0, one of another policy's stage 1."""
    crop = np.zeros((PIXELS, PIXELS, 3), np.uint8), np.zeros((PIXELS, PIXELS))
    kinds = [("left_hand_camera", "random-roi", 0), ("right_hand_camera", "random-roi", 0)]
    with TrialStore.create(tmp_path / "a.store", PatchGeometry(0.1, 0.15, PIXELS)) as made:
        for episode, (view, policy, stage) in enumerate([*kinds, ("kinect2", "patch", 1)]):
            values = {"view": view, "policy": policy, "stage": stage, "robot": "baxter"}
            made.append(
                stored(episode, k, *crop, run=RUN, object_set="train_base+train_staged", **values)
                for k in range(4)
            )
    return tmp_path / "a.store"


@pytest.mark.parametrize("columns", ["72", "80", "200"])
def test_nothing_is_cut_on_a_narrow_terminal(store, capsys, monkeypatch, columns) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["trials", "info", str(store)]) == 0
    text = capsys.readouterr().out
    assert "…" not in text and text.count(RUN) == 2
    for part in ("left_hand_camera", "right_hand_camera", "random-roi, stage 0", "patch, stage 1"):
        assert part in text
    assert all(len(line) <= int(columns) for line in text.splitlines())
    assert "50.0 [15.0, 85.0]" in text and "6 missed, 6 success" in text


def test_last_is_of_runs(store, capsys) -> None:
    assert main(["trials", "info", str(store), "--last", "2"]) == 1
    assert "is a store" in capsys.readouterr().err


def test_an_empty_store(tmp_path, capsys) -> None:
    with TrialStore.create(tmp_path / "a.store", PatchGeometry(0.1, 0.15, PIXELS)) as made:
        made.set_run("begun", {})
    assert main(["trials", "info", str(tmp_path / "a.store")]) == 0
    text = capsys.readouterr().out
    assert "0 tries" in text and "nan" not in text and "begun" in text and "no try yet" in text
    assert main(["trials", "info", str(tmp_path / "a.store"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes_per_try"] is None
