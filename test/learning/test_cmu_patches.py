"""The CMU patch layout: written, read, and what is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from store_cases import stored

from selfgrasp_nodes.cli.main import main
from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.learning.cmu_patches import import_patches
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.trials.store import TrialStore

GRIPPER = load_robot("baxter").arms[0].gripper
SIZES = PatchGeometry.of(GRIPPER)


def picture() -> tuple[np.ndarray, np.ndarray]:
    """A bar of red along the columns in the middle of a grey crop."""
    color = np.full((192, 192, 3), 90, np.uint8)
    color[88:104, 64:128] = (220, 30, 30)
    return color, np.zeros((192, 192), np.float32)


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "a.store"
    with TrialStore.create(path, SIZES) as made:
        made.append(stored(0, k, *picture(), robot="baxter") for k in range(5))
        made.append([stored(1, 0, *picture(), success=None)])
    return path


def test_export_and_import(tmp_path, store, capsys) -> None:
    assert main(["trials", "export", str(store), str(tmp_path / "out")]) == 0
    assert "3 positive and 2 negative" in capsys.readouterr().out
    lines = (tmp_path / "out" / "positive" / "dataInfo.txt").read_text().splitlines()
    assert len(lines) == 4 and lines[1] == "000000.png,0.100000"
    image = cv2.imread(str(tmp_path / "out" / "positive" / "Images" / "000000.png"))
    assert image.shape == (227, 227, 3)
    # The bar of 64 crop pixels fills half of a patch's 128, in its middle, along the columns.
    red = image[..., 2] > 155
    assert red.sum() == pytest.approx((64 / 128 * 227) * (16 / 128 * 227), rel=0.05)
    assert np.ptp(np.argwhere(red), axis=0)[1] > 100
    assert main(["trials", "import", str(tmp_path / "out"), str(tmp_path / "b.store")]) == 0
    with TrialStore.open(tmp_path / "b.store") as back:
        table = back.columns()
        assert sorted(table["success"]) == [0, 0, 1, 1, 1]
        np.testing.assert_allclose(sorted(table["angle"]), [0.1, 0.4, 0.7, 1.0, 1.3], atol=1e-6)
        first = next(back.iterate())
        assert np.isnan(first.height).all() and first.color[96, 96, 0] > 180
        assert back.geometry.patch_side == back.geometry.crop_side == SIZES.patch_side
    with (
        TrialStore.open(store, write=True) as simulated,
        TrialStore.open(tmp_path / "b.store") as imported,
        pytest.raises(StorageError, match="another geometry"),
    ):
        simulated.merge(imported)
    assert main(["trials", "export", str(store), str(tmp_path / "out")]) == 1
    assert "not empty" in capsys.readouterr().err


def test_imported_patches_can_be_trained_on(tmp_path) -> None:
    pytest.importorskip("torch")
    from selfgrasp_nodes.learning.patch_config import PatchTraining, Phase
    from selfgrasp_nodes.learning.patch_job import PatchJob, run_job

    with TrialStore.create(tmp_path / "a.store", SIZES) as made:
        made.append(stored(0, k, *picture(), robot="baxter") for k in range(40))
    folder, imported = tmp_path / "out", tmp_path / "b.store"
    assert main(["trials", "export", str(tmp_path / "a.store"), str(folder)]) == 0
    assert main(["trials", "import", str(folder), str(imported)]) == 0
    config = PatchTraining(
        network={"name": "polar", "widths": [8, 8, 16, 16], "rings": 16},
        crop_pixels=48,
        base=Phase(epochs=1, rate=0.01),
        validation=0.25,
    )
    card = run_job(PatchJob(imported, tmp_path / "trained", config))
    # Patches of no known scene are held out one by one: some are, and most are learnt from.
    with TrialStore.open(imported) as store:
        assert len(set(store.columns()["episode"])) == 40
    assert 0 < card.metrics["held_out"]["tries"] < 20


def test_the_public_layout_with_splits(tmp_path) -> None:
    for split, count in (("Train", 3), ("Test", 1)):
        for label in ("positive", "negative"):
            folder = tmp_path / "Patch_Dataset" / split / label
            (folder / "Images").mkdir(parents=True)
            lines = ["image_name,angle"]
            for k in range(count):
                cv2.imwrite(str(folder / "Images" / f"{k}.jpg"), picture()[0][..., ::-1])
                lines.append(f"{k}.jpg,{-1.0 + k}")
            (folder / "dataInfo.txt").write_text("\r\n".join(lines) + "\r\n")
    counts = import_patches(
        tmp_path / "Patch_Dataset", tmp_path / "c.store", GRIPPER, "baxter", angle_offset=0.25
    )
    assert counts == {"positive": 4, "negative": 4}
    with TrialStore.open(tmp_path / "c.store") as store:
        table = store.columns()
    assert list(table["object_set"]).count("train") == 6
    np.testing.assert_allclose(table["angle"][0], np.pi - 0.75)
    assert ((table["angle"] >= 0) & (table["angle"] < np.pi)).all()


@pytest.mark.parametrize(
    "line, message",
    [
        ("0.png", "is not 'name,angle'"),
        ("0.png,north", "is not 'name,angle'"),
        ("0.png,nan", "line 2"),
        ("9.png,0.5", "does not exist"),
        ("bad.png,0.5", "cannot be read as an image"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line: str, message: str) -> None:
    folder = tmp_path / "set" / "positive"
    (folder / "Images").mkdir(parents=True)
    cv2.imwrite(str(folder / "Images" / "0.png"), picture()[0])
    (folder / "Images" / "bad.png").write_text("no picture")
    (folder / "dataInfo.txt").write_text(f"name,angle\n{line}\n")
    with pytest.raises(StorageError, match=message):
        import_patches(tmp_path / "set", tmp_path / "d.store", GRIPPER, "baxter")


def test_another_folder_is_refused(tmp_path) -> None:
    with pytest.raises(StorageError, match="positive/ and negative/"):
        import_patches(tmp_path, tmp_path / "d.store", GRIPPER, "baxter")


def test_info_and_merge_by_command(tmp_path, store, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["trials", "info", str(store), "--verify"]) == 0
    out = capsys.readouterr().out
    assert "6 tries" in out and "60.0" in out and "6 of 6 tries are whole" in out
    assert main(["trials", "merge", str(tmp_path / "m.store"), str(store), str(store)]) == 0
    assert "0 of 6 tries added" in capsys.readouterr().out
    other = tmp_path / "other.store"
    TrialStore.create(other, PatchGeometry(0.1, 0.1, 192)).close()
    command = ["trials", "merge", str(tmp_path / "n.store"), str(store), str(other)]
    assert main(command) == 1 and "another geometry" in capsys.readouterr().err
    assert not (tmp_path / "n.store").exists()
    store.write_bytes(store.read_bytes()[:-5000])
    assert main(["trials", "info", str(store)]) == 1
    assert "cut short" in capsys.readouterr().err
