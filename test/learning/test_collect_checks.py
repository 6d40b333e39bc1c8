"""What a collection checks before it makes a file, and by what a run knows itself again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from selfgrasp_nodes.cli.main import main
from selfgrasp_nodes.errors import InvalidConfig, StorageError
from selfgrasp_nodes.learning import collect as collecting
from selfgrasp_nodes.learning import policy_identity
from selfgrasp_nodes.learning.collect import collect
from selfgrasp_nodes.learning.collect_config import CollectConfig, noted_meta, run_meta
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.policies.patch import policy as patch_policy
from selfgrasp_nodes.trials.store import TrialStore


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch) -> None:
    """Collections end before their first episode."""
    monkeypatch.setattr(collecting, "_results", lambda *_: iter(()))


@pytest.fixture
def sets(tmp_path) -> Path:
    file = tmp_path / "sets.yaml"
    file.write_text("gripper: rg2\nsets: {blocks: [{block: cube}, {block: brick}]}\n")
    return file


def config(sets: Path, **values) -> CollectConfig:
    return CollectConfig(**({"robot": "ur5_rg2", "objects": "blocks", "sets": sets} | values))


def command(sets: Path, store: Path, *more: str) -> list[str]:
    words = ["collect", "--robot", "ur5_rg2", "--objects", "blocks", "--sets", str(sets)]
    return [*words, "--tries", "3", "--workers", "1", "--out", str(store), *more]


def test_a_wrong_parameter_makes_no_store(sets, tmp_path, capsys) -> None:
    store = tmp_path / "a.store"
    assert main(command(sets, store, "--param", "foo=1")) == 1
    assert "valid parameters" in capsys.readouterr().err and not store.exists()
    assert main(command(sets, store)) == 0, "the corrected command is another run's first"


def test_a_checkpoint_of_another_gripper_makes_no_store(sets, tmp_path, capsys) -> None:
    pytest.importorskip("torch")
    store, other = tmp_path / "a.store", share_dir() / "models" / "patch_electric.yaml"
    assert main(command(sets, store, "--policy", "patch", "--param", f"checkpoint={other}")) == 1
    assert "gripper" in capsys.readouterr().err and not store.exists()


def test_the_checkpoint_that_ships_is_part_of_a_run(sets, tmp_path, monkeypatch) -> None:
    torch = pytest.importorskip("torch")
    from selfgrasp_nodes.policies.checkpoints import load_checkpoint, save_checkpoint

    for module in (policy_identity, patch_policy):
        monkeypatch.setattr(module, "share_dir", lambda: tmp_path)
    for file in (share_dir() / "models").glob("patch_rg2.*"):
        (tmp_path / "models").mkdir(exist_ok=True)
        shutil.copy(file, tmp_path / "models")
    store, given = tmp_path / "a.store", config(sets, policy="patch", stage=1)
    collect(given, store, 3, 1)
    there = load_checkpoint(tmp_path / "models" / "patch_rg2")
    assert run_meta(given)["parameters"] == {"digest": there.card.sha256}
    collect(given, store, 3, 1)
    weights = {name: value + torch.zeros_like(value) for name, value in there.weights.items()}
    next(iter(weights.values())).flatten()[0] += 1
    save_checkpoint(tmp_path / "models" / "patch_rg2", there.card, weights)
    with pytest.raises(StorageError, match="begun with other parameters"):
        collect(given, store, 3, 1)


def test_a_run_of_before_torch_and_label_were_noted_goes_on(sets, tmp_path) -> None:
    pytest.importorskip("torch")
    store, given = tmp_path / "a.store", config(sets, policy="patch", stage=1)
    collect(given, store, 3, 1)
    with TrialStore.open(store, write=True) as opened:
        new = opened.runs()[given.run]
        assert new["versions"]["torch"] and len(new["label_digest"]) > 8
        old = run_meta(given)
        opened.set_run("older", old)
    assert "torch" not in old["versions"]
    collect(config(sets, policy="patch", stage=1, run="older"), store, 3, 1)
    changed = noted_meta(given, None)
    changed["versions"]["torch"] = "0.1"
    with TrialStore.open(store, write=True) as opened:
        opened.set_run("changed", changed)
    with pytest.raises(StorageError, match="begun with other versions"):
        collect(config(sets, policy="patch", stage=1, run="changed"), store, 3, 1)


def test_a_random_run_knows_nothing_of_torch(sets) -> None:
    assert "torch" not in noted_meta(config(sets), None)["versions"]
    assert run_meta(config(sets))["parameters"] == {}


def test_stage_0_is_of_random_tries(sets, tmp_path) -> None:
    store = tmp_path / "a.store"
    with pytest.raises(InvalidConfig, match="--stage 1 or higher"):
        collect(config(sets, policy="antipodal"), store, 3, 1)
    assert not store.exists()
    assert main(command(sets, store, "--policy", "antipodal")) == 0
    assert main(command(sets, store)) == 0
    with TrialStore.open(store) as opened:
        stages = {meta["policy"]: meta["stage"] for meta in opened.runs().values()}
    assert stages == {"antipodal": 1, "random-roi": 0}
    # One that was begun by an earlier version goes on.
    older = config(sets, policy="antipodal", run="older")
    with TrialStore.open(store, write=True) as opened:
        opened.set_run("older", run_meta(older))
    collect(older, store, 3, 1)


@pytest.mark.parametrize("option", ["--sets", "--recipes", "--robot"])
@pytest.mark.parametrize("text", ["# größe".encode("latin-1"), b"a: 2020-13-45", b"a: ["])
def test_a_file_that_cannot_be_read_is_named(sets, tmp_path, capsys, option, text) -> None:
    (tmp_path / "wrong.yaml").write_bytes(text)
    more = [option, str(tmp_path / "wrong.yaml")]
    assert main(command(sets, tmp_path / "a.store", *more)) == 1
    assert "wrong.yaml" in capsys.readouterr().err and not (tmp_path / "a.store").exists()


def test_a_folder_is_no_store(sets, tmp_path, capsys) -> None:
    assert main(command(sets, tmp_path)) == 1
    assert "is a folder" in capsys.readouterr().err


def test_a_ceiling_without_workers_is_refused(capsys) -> None:
    assert main(["ceiling", "--tries", "1", "--workers", "0"]) == 1
    assert "workers must lie in 1..1024" in capsys.readouterr().err
