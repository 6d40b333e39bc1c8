"""Collection: the same tries whatever the workers, nothing lost, nothing twice."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from collect_jobs import MARK, dies_once

from selfgrasp_nodes.cli.collect import parameters
from selfgrasp_nodes.errors import (
    ExecutionFailed,
    InvalidConfig,
    InvalidImage,
    StorageError,
    UnknownName,
)
from selfgrasp_nodes.learning import collect as collecting
from selfgrasp_nodes.learning import collect_episode
from selfgrasp_nodes.learning.collect import Ledger, collect
from selfgrasp_nodes.learning.collect_config import CollectConfig
from selfgrasp_nodes.learning.collect_episode import (
    EpisodeResult,
    EpisodeRunner,
    label_of,
)
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.simulation.model import PHYSICS_VERSION
from selfgrasp_nodes.trials.store import TrialStore
from selfgrasp_nodes.trials.store_record import COLUMNS
from selfgrasp_nodes.types import Outcome, OutcomeCode

SETS = """
gripper: rg2
sets:
  blocks: [{block: cube}, {block: brick}, {block: tile}, {block: cylinder}, {block: arch}]
"""
RECIPES = """
recipes:
  ur5_rg2: {objects: [3, 5], tries: 4}
  baxter: {objects: [3, 5], tries: 3}
"""
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    (folder / "sets.yaml").write_text(SETS)
    (folder / "recipes.yaml").write_text(RECIPES)
    return folder


def config(files, **values) -> CollectConfig:
    fields = {"robot": "ur5_rg2", "objects": "blocks", "seed": 5}
    return CollectConfig(
        **(fields | values), recipes=files / "recipes.yaml", sets=files / "sets.yaml"
    )


@pytest.fixture(scope="module")
def reference(files, tmp_path_factory):
    """The run that the others are compared with: one worker, in this process."""
    path = tmp_path_factory.mktemp("reference") / "a.store"
    done = collect(config(files), path, tries=14, workers=1)
    return path, done


def content(path) -> list[tuple]:
    with sqlite3.connect(path) as connection:
        return list(connection.execute('SELECT * FROM tries ORDER BY run, episode, "try"'))


def differences(path, other) -> list[tuple]:
    """(episode, try, names of the columns that differ); a try that one lacks has none."""
    a, b = ({row[:3]: row for row in content(p)} for p in (path, other))
    found = []
    for key in sorted({*a, *b}):
        pairs = zip(COLUMNS, a.get(key, ()), b.get(key, ()), strict=False)
        columns = [name for name, x, y in pairs if x != y]
        if columns or key not in a or key not in b:
            found.append((*key[1:], columns))
    return found


def test_a_run_fills_the_store(reference) -> None:
    path, done = reference
    with TrialStore.open(path) as store:
        table = store.columns(where="success IS NOT NULL")
        (meta,) = store.runs().values()
        assert len(table["success"]) == done.labelled >= 14
        assert done.labelled - 14 < 4, "the last episode is finished, and no other begun"
        assert set(table["view"]) == {"overhead"} and (table["stage"] == 0).all()
        assert (table["propensity"] > 0).all() and len(set(table["object"])) > 1
        assert done.positives == table["success"].sum()
        assert meta["objects"] == "blocks" and len(meta["recipe_digest"]) == 16
        assert meta["physics"] == PHYSICS_VERSION
        for stored in store.iterate():
            assert stored.color.any() and np.isfinite(stored.height).mean() > 0.5
            assert abs(stored.pose[2, 3]) < 0.2 and stored.rule
        held = [s for s in store.iterate(pictures=False) if s.held]
        assert all(name.startswith("block/") for s in held for name in s.held)


def test_the_number_of_workers_changes_nothing(files, reference, tmp_path) -> None:
    path, done = reference
    other = collect(config(files), tmp_path / "b.store", tries=14, workers=3)
    assert differences(tmp_path / "b.store", path) == []
    assert other.labelled == done.labelled


def test_an_episode_depends_on_its_number_alone(files, reference) -> None:
    path, _ = reference
    rows = EpisodeRunner(config(files)).run(2).rows
    there = [row for row in content(path) if row[1] == 2]
    assert list(rows) == there and rows
    another = EpisodeRunner(config(files, seed=6)).run(2).rows
    assert [row[11:14] for row in another] != [row[11:14] for row in rows]


def test_a_longer_run_goes_on(files, reference, tmp_path) -> None:
    path, _ = reference
    collect(config(files), tmp_path / "c.store", tries=5, workers=1)
    short = content(tmp_path / "c.store")
    seen = []
    done = collect(
        config(files), tmp_path / "c.store", 14, 1, on_progress=lambda p: seen.append(p.labelled)
    )
    assert differences(tmp_path / "c.store", path) == []
    assert short == content(path)[: len(short)] and done.resumed == seen[0] >= 5
    assert collect(config(files), tmp_path / "c.store", 14, 1).seconds == 0.0, "nothing to do"


def test_killed_at_any_moment_nothing_is_lost_or_twice(files, reference, tmp_path) -> None:
    path, _ = reference
    store = tmp_path / "k.store"
    text = (
        "from selfgrasp_nodes.cli.main import main; main(['collect', '--robot', 'ur5_rg2', "
        f"'--objects', 'blocks', '--seed', '5', '--tries', '14', '--workers', '2', '--sets', "
        f"{str(files / 'sets.yaml')!r}, '--recipes', {str(files / 'recipes.yaml')!r}, "
        f"'--out', {str(store)!r}])"
    )
    script = tmp_path / "run.py"
    script.write_text(f"if __name__ == '__main__':\n    {text}\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    kept: list[tuple] = []
    for _ in range(2):
        process = subprocess.Popen([sys.executable, str(script)], env=environment)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            if store.exists() and len(content(store)) > len(kept):
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        now = content(store)
        assert len(now) > len(kept) and [row for row in kept if row not in now] == []
        kept = now
    assert all(row in content(path) for row in kept)
    collect(config(files), store, tries=14, workers=1)
    assert differences(store, path) == []


def test_baxter_looks_with_the_hand_before_each_try(files, tmp_path) -> None:
    path = tmp_path / "baxter.store"
    collect(config(files, robot="baxter", seed=1), path, tries=6, workers=1)
    with TrialStore.open(path) as store:
        table = store.columns()
        tries = list(store.iterate())
    hands = np.isin(table["view"], ["left_hand_camera", "right_hand_camera"])
    assert hands.mean() > 0.8
    arms = {stored.view.split("_")[0] == stored.arm for stored in tries if "hand" in stored.view}
    assert arms == {True}
    # The middle of the crop is the surface under the grasp.
    middles = [np.nanmedian(s.height[91:101, 91:101]) for s in tries if "hand" in s.view]
    assert np.median(np.abs(middles)) < 0.01


def test_a_worker_that_dies_is_replaced(files, reference, tmp_path, monkeypatch) -> None:
    path, _ = reference
    monkeypatch.setenv(MARK, str(tmp_path / "mark"))
    monkeypatch.setattr(collecting, "run_episode", dies_once)
    done = collect(config(files), tmp_path / "d.store", tries=14, workers=2)
    assert (tmp_path / "mark").exists() and done.left_out == 0
    assert differences(tmp_path / "d.store", path) == []


def test_a_simulation_that_breaks_down_ends_its_episode(files, monkeypatch) -> None:
    runner = EpisodeRunner(config(files))
    world, calls = runner.loop.world, []
    step = world.step

    def unstable(n: int = 1) -> None:
        calls.append(n)
        if len(calls) > 250:
            raise ExecutionFailed("the simulation became unstable; reset it")
        step(n)

    whole = runner.run(0)
    monkeypatch.setattr(world, "step", unstable)
    cut = runner.run(0)
    assert "unstable" in cut.ended and 0 < len(cut.rows) < len(whole.rows)
    monkeypatch.undo()
    assert runner.run(0).rows == whole.rows


def test_a_picture_that_cannot_be_cut_ends_its_episode_alone(files, monkeypatch) -> None:
    runner = EpisodeRunner(config(files))
    cut = collect_episode.candidate_crop
    calls = []

    def breaks(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise InvalidImage("the window does not lie before the camera")
        return cut(*arguments)

    monkeypatch.setattr(collect_episode, "candidate_crop", breaks)
    result = runner.run(0)
    assert "window" in result.ended and len(result.rows) == 2


def finished(number: int, labelled: int) -> EpisodeResult:
    return EpisodeResult(number, (), labelled, 0, 0, "")


def test_the_ledger_stores_what_is_needed_whatever_comes_first() -> None:
    ledger = Ledger(10, 4, {0: 4})
    assert [next(ledger) for _ in range(4)] == [1, 2, 3, 4]
    assert ledger.end(finished(3, 4)) == [], "1 and 2 may be enough"
    assert [r.episode for r in ledger.end(finished(2, 2))] == [2]
    assert [r.episode for r in ledger.end(finished(1, 1))] == [1, 3]
    with pytest.raises(StopIteration):
        next(ledger)
    assert ledger.end(finished(4, 4)) == [], "nobody needs it"


def test_labels() -> None:
    codes = {code: label_of(Outcome(code)) for code in OutcomeCode}
    assert codes[OutcomeCode.SUCCESS] is True
    assert {c.name for c, v in codes.items() if v is False} == {"MISSED", "SLIPPED", "BLOCKED"}


def test_bad_input_says_what_to_do(files, reference, tmp_path) -> None:
    path, _ = reference
    with pytest.raises(UnknownName, match="random-roi"):
        config(files, policy="rando")
    with pytest.raises(UnknownName, match="blocks"):
        collect(config(files, objects="toys"), tmp_path / "x.store", 5)
    with pytest.raises(InvalidConfig, match="tries must lie"):
        collect(config(files), tmp_path / "x.store", 0)
    assert not (tmp_path / "x.store").exists()
    with pytest.raises(StorageError, match="begun with other"):
        collect(config(files, seed=9, run=config(files).run), path, 20)
    with pytest.raises(StorageError, match="another geometry"):
        collect(config(files, robot="baxter"), path, 20)
    with TrialStore.create(tmp_path / "y.store", PatchGeometry(0.1, 0.2)):
        pass
    with pytest.raises(StorageError, match="another geometry"):
        collect(config(files), tmp_path / "y.store", 20)
    (files / "wrong.yaml").write_text("recipes: {ur5_rg2: {objects: [5, 3]}}")
    with pytest.raises(InvalidConfig, match="least, largest"):
        CollectConfig("ur5_rg2", recipes=files / "wrong.yaml").file()
    assert parameters(["look=false", "depth=0.02"]) == {"look": False, "depth": 0.02}
    with pytest.raises(InvalidConfig, match="NAME=VALUE"):
        parameters(["look"])
