"""What is wrong with a curriculum is said before anything is collected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from patch_synthesis import fill_store

torch = pytest.importorskip("torch")

from selfgrasp_nodes.cli.main import main  # noqa: E402
from selfgrasp_nodes.errors import InvalidConfig, SelfGraspError, StorageError  # noqa: E402
from selfgrasp_nodes.learning import curriculum as room  # noqa: E402
from selfgrasp_nodes.learning.curriculum import load_curriculum, run_curriculum  # noqa: E402
from selfgrasp_nodes.learning.patch_config import load_training  # noqa: E402
from selfgrasp_nodes.learning.patch_job import PatchJob  # noqa: E402
from selfgrasp_nodes.learning.pinto import Pinto  # noqa: E402
from selfgrasp_nodes.paths import share_dir  # noqa: E402

SETS = """
gripper: rg2
sets:
  old: [{block: cube}, {block: brick}]
  new: [{block: plank}, {block: roof}]
  novel: [{block: prism}]
"""
TRAINING = {"network": {"name": "polar", "widths": [8, 8, 16, 16], "rings": 16}, "crop_pixels": 48}


@pytest.fixture
def write(tmp_path):
    (tmp_path / "sets.yaml").write_text(SETS)
    (tmp_path / "training.yaml").write_text(yaml.safe_dump(TRAINING))

    def written(**changes: Any) -> Path:
        content = {
            "robot": "ur5_rg2",
            "training": "training.yaml",
            "sets": "sets.yaml",
            "stages": [
                {"tries": 40, "objects": "old", "seed": 1},
                {"tries": 6, "objects": "old+new", "parameters": {"patches": 60}},
            ],
            "test": {"tries": 6, "objects": "novel"},
            **changes,
        }
        file = tmp_path / "curriculum.yaml"
        file.write_text(yaml.safe_dump(content))
        return file

    return written


def _late(**changes: Any) -> list[dict[str, Any]]:
    return [{"tries": 9, "objects": "old"}, {"tries": 9, "objects": "new", **changes}]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"robot": "r2d2"}, "robot 'r2d2'.*baxter"),
        ({"robot": "panda"}, "stage 0.*no scene recipe.*'panda'"),
        ({"sets": "lost.yaml"}, "stage 0.*lost.yaml"),
        ({"stages": _late(objects="newer")}, "stage 1.*'newer'.*novel"),
        ({"stages": _late(parameters={"petals": 3})}, "(?s)stage 1.*petals.*patches"),
        ({"stages": _late(parameters={"robot": "x"})}, "(?s)stage 1.*robot: Extra inputs"),
        ({"test": {"tries": 5, "objects": "no"}}, "test.*'no'"),
        (
            {"test": {"tries": 5, "objects": "novel", "parameters": {"patches": 3}}},
            "(?s)test.*patches",
        ),
        ({"overrides": {"network": {"rings": 5}}}, "needs a 'name'"),
        ({"overrides": {"network": {"name": "polar", "rings": 5}}}, "'rings': 5.*rings=24"),
        ({"overrides": {"crop_pixels": 50}}, "50.*divisor"),
        ({"overrides": {"path": "x"}}, "path"),
        ({"test": {"tries": 5, "objects": "novel+new"}}, "stage 1 trains on: block/plank"),
    ],
)
def test_what_is_wrong_is_said_when_it_is_loaded(write, changes, told) -> None:
    with pytest.raises(InvalidConfig, match=told):
        load_curriculum(write(**changes))


def test_weights_to_begin_from_are_looked_at_before_collecting(write, tmp_path) -> None:
    file = write(overrides={"network": {"name": "lite"}, "imagenet": str(tmp_path / "lost")})
    with pytest.raises(SelfGraspError, match=r"no file.*lost"):
        run_curriculum(load_curriculum(file), tmp_path / "out", None)
    assert not list((tmp_path / "out").glob("*.store"))


def test_stages_are_collected_as_they_were(write) -> None:
    curriculum = load_curriculum(write())
    first = curriculum.collection(curriculum.stages[0], 0)
    assert (first.policy, first.parameters) == ("random-roi", {})
    assert first.run == "ur5_rg2-random-roi-old-stage0-seed1"
    chooser = {"checkpoint": "a/patch.safetensors", "digest": "12"}
    second = curriculum.collection(curriculum.stages[1], 1, chooser)
    assert second.policy == "patch"
    assert second.parameters == {"patches": 60, **chooser, "select": "sample"}


@pytest.mark.parametrize("out", ["file", "file/below", "lost/below"])
def test_a_folder_that_cannot_be_one_is_said_in_a_line(write, tmp_path, out, capsys) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "lost").symlink_to("/proc/nothing")
    curriculum = load_curriculum(write())
    for run in (
        lambda: run_curriculum(curriculum, tmp_path / out, None),
        lambda: Pinto(curriculum, tmp_path, tmp_path / out, 1, say=print).run(("table1",)),
    ):
        with pytest.raises(StorageError, match=f"{tmp_path / out} cannot be.*give another"):
            run()


def test_what_is_no_utf8_is_said(tmp_path, capsys) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_bytes("seed: 1  # für".encode("latin-1"))
    for load in (load_training, load_curriculum):
        with pytest.raises(InvalidConfig, match=r"bad.yaml is no text in UTF-8"):
            load(bad)


@pytest.mark.parametrize("option", ["--workers", "--threads"])
def test_numbers_below_one_are_refused(write, tmp_path, option, capsys) -> None:
    out = ["--out", str(tmp_path / "out")]
    for command in (["--curriculum", str(write())], ["--data", str(tmp_path / "x.store")]):
        assert main(["train", "patch", *command, *out, option, "0"]) == 1
        assert f"{option} must be 1 or more, not 0" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


class _Done:
    """Steps that nobody watches."""

    reporter = type("R", (), {"line": lambda self, text: None})()

    def title(self, text: str) -> None: ...

    def ended(self, what: str, title: str = "") -> None: ...

    def step(self, now: object) -> None: ...

    def decoded(self, done: int, total: int) -> None: ...


def test_a_finished_stage_is_known_by_its_note(tmp_path, monkeypatch) -> None:
    store, out = tmp_path / "a.store", tmp_path / "stage0"
    fill_store(store, 40)
    out.mkdir()
    config = load_training(share_dir() / "config" / "learning" / "patch.yaml")
    job = PatchJob(store, out, config, stages=(0,), robot="baxter")
    # As it was always written: a note of before is taken.
    settings = config.model_dump(mode="json", exclude={"threads"})
    note = json.dumps({"configuration": settings, "start": "", "tries": {"0": 39}})
    assert json.dumps(room.stage_identity(job)) == note
    card = type("Card", (), {"metrics": {"held_out": {"balanced_accuracy": {"value": 0.5}}}})()
    trained: list[PatchJob] = []
    monkeypatch.setattr(room, "read_card", lambda path: card)
    monkeypatch.setattr(room, "run_job", lambda job, *_: trained.append(job) or card)
    (out / "patch.yaml").write_text("")
    (out / "done.json").write_text(note)
    room._train(job, 0, _Done())
    assert not trained
    for cut in ("", note[:50]):
        (out / "done.json").write_text(cut)
        room._train(job, 0, _Done())
        assert trained.pop() is job and (out / "done.json").read_text() == note


def test_a_note_is_there_whole_or_not_at_all(tmp_path, monkeypatch) -> None:
    store, out = tmp_path / "a.store", tmp_path / "stage0"
    fill_store(store, 40)
    out.mkdir()
    config = load_training(share_dir() / "config" / "learning" / "patch.yaml")
    monkeypatch.setattr(room, "run_job", lambda *_: None)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match=r"done\.json.*No space left.*free the disk"):
        room._train(PatchJob(store, out, config, stages=(0,)), 0, _Done())
    assert not list(out.iterdir())
