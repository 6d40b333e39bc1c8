"""A whole curriculum, small but real: worlds, tries, trainings; killed, and gone on with."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

torch = pytest.importorskip("torch")

from selfgrasp_nodes.cli.main import main  # noqa: E402
from selfgrasp_nodes.errors import StorageError  # noqa: E402
from selfgrasp_nodes.learning.curriculum import load_curriculum, run_curriculum  # noqa: E402
from selfgrasp_nodes.policies.checkpoints import read_card  # noqa: E402
from selfgrasp_nodes.trials.store import TrialStore  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SETS = """
gripper: rg2
sets:
  old: [{block: cube}, {block: brick}, {block: tile}, {block: cylinder}, {block: arch}]
  new: [{block: plank}, {block: roof}]
  novel: [{block: half_cylinder}, {block: prism}]
"""
TRAINING = {
    "network": {"name": "polar", "widths": [8, 8, 16, 16], "rings": 16},
    "crop_pixels": 48,
    "base": {"epochs": 2, "rate": 0.01},
    "stage": {"epochs": 1, "rate": 0.002},
    "batch": 16,
    "validation": 0.4,
}
CURRICULUM = {
    "robot": "ur5_rg2",
    "training": "training.yaml",
    "sets": "sets.yaml",
    "stages": [
        {"tries": 48, "objects": "old", "seed": 1},
        {"tries": 6, "objects": "new", "seed": 2, "parameters": {"patches": 60}},
    ],
    "test": {"tries": 6, "objects": "novel", "seed": 3},
    "workers": 1,
}


class Silent:
    """A reporter that keeps its sentences."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps = 0

    def title(self, text: str) -> None: ...

    def line(self, text: str) -> None:
        self.lines.append(text)

    def step(self, now) -> None:
        self.steps += 1

    def decoded(self, done: int, total: int) -> None: ...

    def collected(self, progress) -> None: ...

    def whole(self, share: float, left: float) -> None:
        self.share = share


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("curriculum")
    (folder / "sets.yaml").write_text(SETS)
    (folder / "training.yaml").write_text(yaml.safe_dump(TRAINING))
    (folder / "curriculum.yaml").write_text(yaml.safe_dump(CURRICULUM))
    return folder


@pytest.fixture(scope="module")
def whole(files) -> Path:
    """What an uninterrupted run leaves."""
    out = files / "whole"
    said = Silent()
    run_curriculum(load_curriculum(files / "curriculum.yaml"), out, said)
    assert said.share == pytest.approx(1.0) and said.steps > 3
    assert [line.split(":")[0] for line in said.lines] == [
        "test set",
        "stage 0",
        "stage 0",
        "stage 1",
        "stage 1",
    ]
    return out


def contents(out: Path) -> list[tuple]:
    rows = []
    for name in ("train", "test"):
        with TrialStore.open(out / f"{name}.store") as store:
            for tried in store.iterate():
                rows.append((tried.run, tried.episode, tried.try_, tried.angle, tried.success))
    return rows


def test_it_leaves_stores_and_checkpoints(whole) -> None:
    with TrialStore.open(whole / "train.store") as store:
        policies = store.columns(("policy",), "stage = 1")["policy"]
        staged = next(store.iterate("stage = 1"))
        runs = store.runs()
    assert set(policies) == {"patch"} and len(policies) >= 6
    first, second = (read_card(whole / f"stage{n}" / "patch.yaml") for n in (0, 1))
    assert staged.checkpoint == first.sha256 and staged.propensity > 0
    assert second.training["by_stage"].keys() == {"0", "1"}
    assert second.training["start"] == "patch.safetensors"
    (meta,) = (run for run in runs.values() if run["stage"] == 1)
    assert meta["parameters"]["digest"] == first.sha256
    assert "checkpoint" not in meta["parameters"], "where it lies does not count"
    assert any((whole / "stage0" / "curves").iterdir())


def test_killed_and_gone_on_with_from_elsewhere_it_ends_alike(whole, files, monkeypatch) -> None:
    out = files / "killed"
    command = [sys.executable, "-m", "selfgrasp_nodes.cli.main", "train", "patch"]
    command += ["--curriculum", str(files / "curriculum.yaml"), "--out", str(out)]
    for awaited in ("train.store", "stage0/scratch/member0.state.safetensors"):
        process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        limit = time.monotonic() + 300
        while not (out / awaited).exists() and time.monotonic() < limit:
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert (out / awaited).exists()
    assert not (out / "stage1").exists()
    # Under another spelling of the same folder.
    monkeypatch.chdir(files)
    assert main([*command[3:-1], "killed"]) == 0
    assert contents(out) == contents(whole)
    for stage in ("stage0", "stage1"):
        digests = [read_card(folder / stage / "patch.yaml").sha256 for folder in (out, whole)]
        assert digests[0] == digests[1]


def test_again_nothing_is_done_anew_and_more_tries_are_other_data(whole, files) -> None:
    out = Path(shutil.copytree(whole, files / "longer"))
    curriculum = load_curriculum(files / "curriculum.yaml")
    said = Silent()
    run_curriculum(curriculum, out, said)
    assert said.steps == 0 and contents(out) == contents(whole)
    longer = load_curriculum(
        files / "curriculum.yaml", stages=[{"tries": 60, "objects": "old", "seed": 1}]
    )
    # A network of 48 tries must not pass for one of 60.
    with pytest.raises(StorageError, match="another --out"):
        run_curriculum(longer, out, Silent())
