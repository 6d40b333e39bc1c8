"""A robot's bag becomes the same store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from trial_synthesis import OBSERVATION, SECOND, Synthesizer, record

from selfgrasp_nodes.cli.main import main
from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.learning.from_bag import bag_to_store
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.trials.bag import TrialBagWriter
from selfgrasp_nodes.trials.store import TrialStore


@pytest.fixture
def run(tmp_path):
    """Four trials under a camera half a metre above the table; one has no picture, one pushed."""
    make = Synthesizer()
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[:3, 3] = (-0.5, 0.0, 0.5)
    color = np.full((480, 640, 3), 60, np.uint8)
    color[:, :320] = (200, 40, 40)
    with TrialBagWriter(tmp_path / "run") as writer:
        for number in range(4):
            if number != 2:
                raw = make.observation(
                    f"observation-{number}",
                    number * 10 * SECOND,
                    color,
                    np.full((480, 640), 0.5, np.float32),
                    pose,
                )
                writer.write(OBSERVATION, "selfgrasp/msg/Observation", raw, number * 10 * SECOND)
            entry = record(number)
            if number == 3:
                entry = replace(entry, candidate=entry.candidate | {"primitive": "PUSH"})
            writer.finish_trial(entry)
    return tmp_path / "run"


def test_a_bag_becomes_a_store(run, tmp_path, capsys) -> None:
    path = tmp_path / "a.store"
    assert main(["trials", "from-bag", str(run), str(path), "--stage", "1"]) == 0
    assert "2 tries added, 0 were there, 1 pushes and 1 grasps" in capsys.readouterr().out
    with TrialStore.open(path) as store:
        first, second = store.iterate()
    assert (first.success, second.success) == (True, False) and first.code == "SUCCESS"
    assert first.stage == 1 and first.policy == "antipodal" and first.rule == "grasp/1"
    assert first.sensors["force_held"] == 20.0 and first.robot == "ur5_rg2"
    np.testing.assert_allclose(second.pose[:3, 3], [-0.5, 0.01, 0.03])
    assert second.angle == pytest.approx(0.5) and second.view == "overhead"
    # The heightmap says that the surface is 50 mm high; the camera saw the table below it.
    assert first.surface == pytest.approx(0.05)
    np.testing.assert_allclose(first.height[80:110, 80:110], -0.05, atol=0.001)
    # World x runs along the columns: red lies on the side of smaller x.
    assert first.color[96, 40, 0] > 150 and first.color[96, 150, 0] < 100


def test_twice_is_once(run, tmp_path) -> None:
    path = tmp_path / "a.store"
    assert bag_to_store(run, path).stored == 2
    with TrialStore.open(path) as store:
        assert set(store.columns()["stage"]) == {1}, "0 is of random tries, and these are not"
    again = bag_to_store(run, path)
    assert (again.stored, again.known, len(again.unreadable)) == (0, 2, 1)
    with TrialStore.create(tmp_path / "other.store", PatchGeometry(0.1, 0.2)):
        pass
    with pytest.raises(StorageError, match="another geometry"):
        bag_to_store(run, tmp_path / "other.store")
    with pytest.raises(StorageError, match="not a run"):
        bag_to_store(tmp_path, path)
