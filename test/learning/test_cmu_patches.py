"""The CMU patch layout: written, read, and what is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from store_cases import stored

from selfgrasp_nodes.cli.main import main
from selfgrasp_nodes.errors import StorageError, UnknownName
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


def data_set(folder, **counts: int):
    """The public layout: so many patches of each label in each split."""
    for split, count in counts.items():
        for label in ("positive", "negative"):
            part = folder / split / label
            (part / "Images").mkdir(parents=True)
            lines = ["image_name,angle"]
            for k in range(count):
                cv2.imwrite(str(part / "Images" / f"{k}.jpg"), picture()[0][..., ::-1])
                lines.append(f"{k}.jpg,{-1.0 + k}")
            (part / "dataInfo.txt").write_text("\r\n".join(lines) + "\r\n")
    return folder


def test_the_public_layout_with_splits(tmp_path) -> None:
    folder = data_set(tmp_path / "Patch_Dataset", Train=3, Validation=2, Test=1)
    done = import_patches(folder, tmp_path / "c.store", GRIPPER, "baxter", angle_offset=0.25)
    assert (done.positive, done.negative, done.left_out) == (5, 5, {"Test": 2})
    with TrialStore.open(tmp_path / "c.store") as store:
        table = store.columns()
    assert set(table["object_set"]) == {"train", "validation"}, "the test split is not trained on"
    assert list(table["object_set"]).count("train") == 6
    np.testing.assert_allclose(table["angle"][0], np.pi - 0.75)
    assert ((table["angle"] >= 0) & (table["angle"] < np.pi)).all()


def test_the_test_split_goes_into_a_store_of_its_own(tmp_path, capsys) -> None:
    folder = data_set(tmp_path / "set", Train=3, Test=1)
    assert main(["trials", "import", str(folder), str(tmp_path / "a.store")]) == 0
    assert "2 of Test left out" in (out := capsys.readouterr().out) and "--split Test" in out
    split = ["--split", "Test"]
    assert main(["trials", "import", str(folder), str(tmp_path / "b.store"), *split]) == 0
    assert "left out" not in capsys.readouterr().out
    # Each is a run of its own, so that nothing is taken for known when they are merged.
    stores = [str(tmp_path / name) for name in ("a.store", "b.store")]
    assert main(["trials", "merge", str(tmp_path / "m.store"), *stores]) == 0
    assert "8 tries" in capsys.readouterr().out
    named = ["--run-id", "mine"]
    assert main(["trials", "import", str(folder), str(tmp_path / "c.store"), *named]) == 0
    with TrialStore.open(tmp_path / "c.store") as store:
        assert list(store.runs()) == ["mine"]


def test_two_data_sets_are_two_runs(tmp_path) -> None:
    first = data_set(tmp_path / "one", Train=1)
    second = data_set(tmp_path / "two", Train=2)
    runs = [
        import_patches(folder, tmp_path / f"{k}.store", GRIPPER, "baxter").run
        for k, folder in enumerate((first, second, first))
    ]
    assert runs[0] == runs[2] != runs[1] and runs[0].startswith("cmu-train-")


def test_splits_that_are_not_there_are_named(tmp_path) -> None:
    folder = data_set(tmp_path / "set", Test=1)
    with pytest.raises(StorageError, match="--split Test into a store"):
        import_patches(folder, tmp_path / "a.store", GRIPPER, "baxter")
    with pytest.raises(StorageError, match="no Train/; there are Test"):
        import_patches(folder, tmp_path / "a.store", GRIPPER, "baxter", splits=["Train"])
    with pytest.raises(UnknownName, match="valid: Test, Train, Validation"):
        import_patches(folder, tmp_path / "a.store", GRIPPER, "baxter", splits=["train"])


@pytest.mark.parametrize("label", ["positive", "negative"])
def test_half_a_data_set_is_refused(tmp_path, label: str) -> None:
    folder = data_set(tmp_path / "set", Train=1)
    (folder / "Train" / label / "dataInfo.txt").unlink()
    with pytest.raises(StorageError, match=f"{label}/dataInfo.txt is missing"):
        import_patches(folder, tmp_path / "a.store", GRIPPER, "baxter")


def test_a_bad_picture_leaves_nothing_and_the_same_command_goes_through_later(tmp_path) -> None:
    folder = data_set(tmp_path / "set", Train=3)
    image = folder / "Train" / "negative" / "Images" / "2.jpg"
    whole = image.read_bytes()
    image.write_bytes(b"no picture")
    with pytest.raises(StorageError, match="cannot be read as an image"):
        import_patches(folder, tmp_path / "a.store", GRIPPER, "baxter")
    assert [file.name for file in tmp_path.iterdir()] == ["set"]
    image.write_bytes(whole)
    assert import_patches(folder, tmp_path / "a.store", GRIPPER, "baxter").negative == 3
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.store", "set"]
    with pytest.raises(StorageError, match="exists"):
        import_patches(folder, tmp_path / "a.store", GRIPPER, "baxter")


def test_numbers_out_of_range_are_refused(tmp_path, store, capsys) -> None:
    folder = data_set(tmp_path / "set", Train=1)
    for more in (["--angle-offset", "nan"], ["--pixels", "0"]):
        assert main(["trials", "import", str(folder), str(tmp_path / "b.store"), *more]) == 1
        assert "must" in capsys.readouterr().err and not (tmp_path / "b.store").exists()
    for pixels in ("0", "-5"):
        assert main(["trials", "export", str(store), str(tmp_path / "x"), "--pixels", pixels]) == 1
        assert "pixels must lie in 1.." in capsys.readouterr().err


@pytest.mark.parametrize("where", ["sucess = 1", "stage = 0; SELECT 1", "stage = 0) OR (1", "?"])
def test_a_wrong_condition_is_named_and_makes_no_folder(tmp_path, store, capsys, where) -> None:
    command = ["trials", "export", str(store), str(tmp_path / "x"), "--where"]
    assert main([*command, where]) == 1
    error = capsys.readouterr().err
    assert f"the condition {where!r} cannot be used" in error and "success" in error
    assert main([*command, "stage = 0"]) == 0


def test_a_file_where_a_folder_should_be_is_named(tmp_path, store, capsys) -> None:
    (tmp_path / "file").write_text("")
    assert main(["trials", "export", str(store), str(tmp_path / "file")]) == 1
    assert "cannot be written" in capsys.readouterr().err


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
    folder = data_set(tmp_path, set=1) / "set" / "positive"
    cv2.imwrite(str(folder / "Images" / "0.png"), picture()[0])
    (folder / "Images" / "bad.png").write_text("no picture")
    (folder / "dataInfo.txt").write_text(f"name,angle\n{line}\n")
    with pytest.raises(StorageError, match=message):
        import_patches(tmp_path / "set", tmp_path / "d.store", GRIPPER, "baxter")


def test_text_that_is_not_utf_8_is_named(tmp_path) -> None:
    folder = data_set(tmp_path / "set", Train=1)
    (folder / "Train" / "positive" / "dataInfo.txt").write_bytes("größe,1\n".encode("latin-1"))
    with pytest.raises(StorageError, match=r"dataInfo\.txt cannot be read as text"):
        import_patches(folder, tmp_path / "d.store", GRIPPER, "baxter")


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
