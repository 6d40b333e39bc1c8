"""Curves of trainings: read from their tries, kept, drawn, put in a table."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "learning"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tools"))
import training_curves
from pixelq_tries import a_try

from selfgrasp_nodes.learning.pixelq_store import PixelStore
from selfgrasp_nodes.types import Primitive


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A training of 300 tries: every third a push; every fourth try fails."""
    grasp, push = (a_try(0, primitive) for primitive in (Primitive.GRASP, Primitive.PUSH))
    with PixelStore(tmp_path / "run" / "tries.sqlite", {"seed": 7}) as store:
        for number in range(300):
            tried = push if number % 3 == 2 else grasp
            good = number % 4 != 3
            fields = {"episode": 0, "index": number, "success": good, "held": good}
            store.add(replace(tried, **fields, changed=good))
    return tmp_path / "run"


def run(*arguments: object) -> None:
    old, sys.argv = sys.argv, ["training_curves.py", *map(str, arguments)]
    try:
        training_curves.main()
    finally:
        sys.argv = old


def test_read_kept_drawn_and_told(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, picture = tmp_path / "kept" / "curves.json", tmp_path / "curves.png"
    run(kept, picture, "--add", f"mine={folder},{folder}")
    told = capsys.readouterr().out
    first, second = json.loads(kept.read_text())["mine"]
    assert first == second and first["seed"] == 7 and first["good_after"] is None
    assert len(first["grasps"]) == 300 // training_curves.EVERY
    # 200 grasps, and of 12 tries in turn the grasps are 8, of which 2 fail.
    assert first["grasps"][-1] == 0.75 and first["figures"]["grasps"] == 200
    assert "| mine | 7 | 300 | never | 75.0 [" in told and "| 100 | 75 |" in told
    image = cv2.imread(str(picture))
    assert image is not None and image.std() > 10

    # What is kept is drawn without the training.
    picture.unlink()
    run(kept, picture)
    assert capsys.readouterr().out == told and picture.is_file()


def test_a_further_seed_stands_beside_those_that_are_kept(folder: Path, tmp_path: Path) -> None:
    kept, picture = tmp_path / "curves.json", tmp_path / "curves.png"
    other = tmp_path / "other"
    with PixelStore(other / "tries.sqlite", {"seed": 3}) as store:
        store.add(a_try(0))
    run(kept, picture, "--add", f"mine={folder}")
    before = json.loads(kept.read_text())["mine"]
    run(kept, picture, "--add", f"mine={other}")
    after = json.loads(kept.read_text())["mine"]
    assert [training["seed"] for training in after] == [3, 7] and after[1:] == before
    run(kept, picture, "--add", f"mine={folder}")
    assert json.loads(kept.read_text())["mine"] == after


def test_bad_input(folder: Path, tmp_path: Path) -> None:
    kept, picture = tmp_path / "curves.json", tmp_path / "curves.png"
    with pytest.raises(SystemExit, match="holds nothing yet"):
        run(kept, picture)
    with pytest.raises(SystemExit, match="write NAME=FOLDER"):
        run(kept, picture, "--add", "mine")
    with pytest.raises(SystemExit, match=r"give tries\.sqlite of the --out"):
        run(kept, picture, "--add", f"mine={tmp_path}")
    (folder / "tries.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(SystemExit, match=r"give tries\.sqlite of the --out"):
        run(kept, picture, "--add", f"mine={folder}")
    assert not kept.exists() and not picture.exists()
