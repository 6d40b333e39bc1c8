"""From a real store to a checkpoint and a policy that loads it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from patch_synthesis import GRIPPER, fill_store

torch = pytest.importorskip("torch")

from selfgrasp_nodes.cli.main import main  # noqa: E402
from selfgrasp_nodes.errors import InvalidConfig, StorageError  # noqa: E402
from selfgrasp_nodes.learning.curriculum import load_curriculum  # noqa: E402
from selfgrasp_nodes.learning.patch_config import PatchTraining, Phase, load_training  # noqa: E402
from selfgrasp_nodes.learning.patch_data import NothingToLearn, load_tries  # noqa: E402
from selfgrasp_nodes.learning.patch_job import PatchJob, run_job  # noqa: E402
from selfgrasp_nodes.learning.patch_train import judge_tries  # noqa: E402
from selfgrasp_nodes.paths import share_dir  # noqa: E402
from selfgrasp_nodes.policies.checkpoints import load_checkpoint  # noqa: E402
from selfgrasp_nodes.policies.patch.judge import build_members, load_judge  # noqa: E402
from selfgrasp_nodes.robots import load_robot  # noqa: E402
from selfgrasp_nodes.robots.patch import PatchGeometry  # noqa: E402

CONFIG = PatchTraining(
    network={"name": "polar", "widths": [8, 8, 16, 16], "rings": 16},
    crop_pixels=48,
    base=Phase(epochs=2, rate=0.01),
    stage=Phase(epochs=1, rate=0.002),
    batch=32,
    validation=0.25,
)


@pytest.fixture
def store(tmp_path) -> Path:
    path = tmp_path / "a.store"
    fill_store(path)
    return path


def test_a_stores_tries_are_what_was_stored(store, tmp_path) -> None:
    drawn = fill_store(tmp_path / "b.store")
    tries = load_tries(store, tmp_path / "cache", 48)
    labelled = np.array([i % 40 != 39 for i in range(120)])
    # Keys are in order of (run, episode, try), as they were drawn.
    np.testing.assert_allclose(tries.angle, drawn.angle[labelled], atol=1e-9)
    np.testing.assert_allclose(tries.tip, drawn.tip[labelled], atol=1e-9)
    assert (tries.success == drawn.success[labelled]).all()
    there = drawn.crops[labelled][..., 3].astype(int)
    code = np.asarray(tries.crops)[..., 3].astype(int)
    assert (np.abs(code - there) <= 1).mean() > 0.999
    # The cache is used, and noticed to be old when a stage grows.
    decoded: list[int] = []
    load_tries(store, tmp_path / "cache", 48, on_progress=lambda done, _: decoded.append(done))
    assert not decoded
    fill_store(store, 20, stage=1, seed=9)
    grown = load_tries(
        store, tmp_path / "cache", 48, on_progress=lambda done, _: decoded.append(done)
    )
    assert len(grown) == len(tries) + 20 and decoded == [20]
    assert grown.digest != tries.digest


def test_a_store_becomes_a_checkpoint_and_a_stage_tunes_it(store, tmp_path) -> None:
    card = run_job(PatchJob(store, tmp_path / "out", CONFIG))
    assert card.gripper.name == "electric" and card.views == ("left_hand_camera",)
    assert card.training["tries"] == 117 and len(card.training["data_sha256"]) == 64
    assert "torch" in card.versions and card.input["pixels"] == 32
    assert list((tmp_path / "out" / "curves").glob("events*"))
    judge = load_judge(tmp_path / "out" / "patch", GRIPPER)
    tries = load_tries(store, tmp_path / "cache", 48)
    # What the policy shows the networks, a whole patch, is what training showed them.
    middle = np.asarray(tries.crops)[:5, 8:40, 8:40]
    chance = judge.probabilities(middle, tries.tip[:5])
    assert chance.shape == (5, 18) and ((chance > 0) & (chance < 1)).all()
    # Again: nothing is left to do, and the same weights come out.
    epochs: list[int] = []
    again = run_job(PatchJob(store, tmp_path / "out", CONFIG), lambda s: epochs.append(s.epoch))
    assert not epochs and again.sha256 == card.sha256
    fill_store(store, 40, stage=1, seed=5)
    start = tmp_path / "out" / "patch.safetensors"
    tuned = run_job(PatchJob(store, tmp_path / "stage1", CONFIG, start=start))
    assert tuned.training["by_stage"]["1"]["tries"] == 39
    before = build_members(load_checkpoint(start))[0].last.weight
    after = build_members(load_checkpoint(tmp_path / "stage1" / "patch"))[0].last.weight
    assert 0 < float((before - after).detach().abs().max()) < 0.5
    pair = (PatchGeometry.of(GRIPPER).patch_side, PatchGeometry.of(GRIPPER).crop_side)
    assert np.isfinite(judge_tries(judge.members, tries, pair)).all()


def test_bad_stores_are_refused(tmp_path) -> None:
    fill_store(tmp_path / "none.store", 40, positive=False)
    with pytest.raises(NothingToLearn, match="0 of"):
        run_job(PatchJob(tmp_path / "none.store", tmp_path / "out", CONFIG))
    with pytest.raises(NothingToLearn, match="stages"):
        load_tries(tmp_path / "none.store", tmp_path / "cache", 48, stages=[3])
    with pytest.raises(InvalidConfig, match="divisor"):
        load_tries(tmp_path / "none.store", tmp_path / "cache", 50)
    fill_store(tmp_path / "cut.store", 60)
    data = (tmp_path / "cut.store").read_bytes()
    (tmp_path / "cut.store").write_bytes(data[: len(data) // 2])
    with pytest.raises(StorageError):
        run_job(PatchJob(tmp_path / "cut.store", tmp_path / "out2", CONFIG))


def test_the_command_says_what_is_missing(tmp_path, capsys) -> None:
    assert main(["train", "patch"]) == 1
    assert "--data" in capsys.readouterr().err
    assert main(["train", "patch", "--data", str(tmp_path / "x"), "--out", str(tmp_path)]) == 1
    assert "x" in capsys.readouterr().err
    bad = tmp_path / "bad.yaml"
    bad.write_text(json.dumps({"epochs": 3}))
    with pytest.raises(InvalidConfig, match="epochs"):
        load_training(bad)
    bad.write_text(json.dumps({"robot": "baxter", "stages": []}))
    with pytest.raises(InvalidConfig, match="stages"):
        load_curriculum(bad)
    command = ["train", "patch", "--curriculum", str(bad), "--out", str(tmp_path / "c")]
    assert main([*command, "--members", "3", "--stages", "0"]) == 1
    told = capsys.readouterr().err
    assert "--stages, --members" in told and "overrides" in told


@pytest.mark.parametrize("name", ["patch", "patch_paper"])
def test_shipped_trainings_are_valid(name: str) -> None:
    from selfgrasp_nodes.policies.patch.networks import make_network

    config = load_training(share_dir() / "config" / "learning" / f"{name}.yaml")
    make_network(**config.network)


@pytest.mark.parametrize("name", ["baxter", "ur5_rg2", "tenth"])
def test_shipped_curricula_are_valid(name: str) -> None:
    file = share_dir() / "config" / "learning" / f"curriculum_{name}.yaml"
    curriculum = load_curriculum(file)
    load_robot(curriculum.robot)
    assert curriculum.test is not None and len(curriculum.stages) == 4
