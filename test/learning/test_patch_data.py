"""Which tries are trained on: their robot, their condition, their parts."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from patch_synthesis import PAIR, bars, fill_store

torch = pytest.importorskip("torch")

from selfgrasp_nodes.cli.main import main  # noqa: E402
from selfgrasp_nodes.errors import InvalidConfig, StorageError  # noqa: E402
from selfgrasp_nodes.learning.patch_config import PatchTraining, Phase  # noqa: E402
from selfgrasp_nodes.learning.patch_data import NothingToLearn, load_tries  # noqa: E402
from selfgrasp_nodes.learning.patch_job import PatchJob, run_job  # noqa: E402
from selfgrasp_nodes.learning.patch_train import train  # noqa: E402

CONFIG = PatchTraining(
    network={"name": "polar", "widths": [8, 8, 16, 16], "rings": 16},
    crop_pixels=48,
    base=Phase(epochs=1, rate=0.01),
    batch=32,
    validation=0.25,
)


@pytest.fixture
def store(tmp_path) -> Path:
    fill_store(tmp_path / "a.store")
    return tmp_path / "a.store"


def _rename(store: Path, robot: str) -> None:
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE tries SET robot = ?", (robot,))
    connection.close()


def test_tries_of_ones_own_robot_are_trained_on_with_its_file(store, tmp_path, capsys) -> None:
    _rename(store, "mine")
    mine = tmp_path / "mine.yaml"
    mine.write_text("base: baxter\nname: mine\n")
    with pytest.raises(InvalidConfig, match=r"'mine', which does not ship.*--robot FILE"):
        run_job(PatchJob(store, tmp_path / "out", CONFIG))
    with pytest.raises(InvalidConfig, match=r"made by robot 'mine'.*--robot baxter is 'baxter'"):
        run_job(PatchJob(store, tmp_path / "out", CONFIG, robot="baxter"))
    settings = tmp_path / "training.yaml"
    settings.write_text(CONFIG.model_dump_json())
    command = ["train", "patch", "--data", str(store), "--config", str(settings)]
    assert main([*command, "--out", str(tmp_path / "out"), "--robot", str(mine)]) == 0
    assert "robot: mine" in capsys.readouterr().out
    assert main([*command, "--out", str(tmp_path / "out"), "--workers", "2"]) == 1
    assert "--workers does not go with --data" in capsys.readouterr().err


def test_a_condition_chooses_tries_and_makes_another_training(store, tmp_path) -> None:
    fill_store(store, 40, stage=1, seed=5)
    _rename(store, "baxter")
    whole = run_job(PatchJob(store, tmp_path / "whole", CONFIG))
    assert "where" not in whole.training and whole.training["tries"] == 156
    part = run_job(PatchJob(store, tmp_path / "part", CONFIG, where="stage = 0 OR stage = 7"))
    assert part.training["where"] == "stage = 0 OR stage = 7" and part.training["tries"] == 117
    with pytest.raises(StorageError, match="other data"):
        run_job(PatchJob(store, tmp_path / "whole", CONFIG, where="stage = 0"))
    with pytest.raises(NothingToLearn, match="for which stage = 4"):
        load_tries(store, tmp_path / "cache", 48, where="stage = 4")


@pytest.mark.parametrize(
    "where", ["petals = 3", "stage =", "1) OR (1", "stage = ?", "1; SELECT 1"]
)
def test_a_wrong_condition_is_said(store, tmp_path, where, capsys) -> None:
    command = ["train", "patch", "--data", str(store), "--out", str(tmp_path / "out")]
    assert main([*command, "--where", where]) == 1
    told = capsys.readouterr().err
    assert f"--where {where!r} is no SQL condition" in told and "object_set" in told


def test_which_part_lacks_an_outcome_is_said(tmp_path) -> None:
    tries = bars(36)
    tries.success[:] = False
    tries.success[:5] = True
    # The first episode alone has positive tries, and is not held out.
    with pytest.raises(NothingToLearn, match=r"held-out part.*'validation'"):
        train(tries, PAIR, CONFIG, tmp_path)
    few = CONFIG.model_copy(update={"validation": 0.001})
    with pytest.raises(NothingToLearn, match=r"0 of 0 tries of the held-out part \(0 episodes\)"):
        train(tries, PAIR, few, tmp_path)
    most = CONFIG.model_copy(update={"validation": 0.999})
    with pytest.raises(NothingToLearn, match=r"0 of 0 tries of the training part \(0 episodes\)"):
        train(tries, PAIR, most, tmp_path)
