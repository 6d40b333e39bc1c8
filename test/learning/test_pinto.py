"""The protocol on a small folder: every row, and that what changes is measured anew."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from patch_synthesis import fill_store

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("skimage")

from selfgrasp_nodes.errors import InvalidScene, StorageError, UnknownName  # noqa: E402
from selfgrasp_nodes.learning import (  # noqa: E402
    classical,
    patch_train,
    pinto_robot,
    pinto_rows,
    pinto_tuning,
)
from selfgrasp_nodes.learning.curriculum import load_curriculum, outlook  # noqa: E402
from selfgrasp_nodes.learning.outlook import RATES, Outlook, Work  # noqa: E402
from selfgrasp_nodes.learning.patch_job import PatchJob, run_job  # noqa: E402
from selfgrasp_nodes.learning.patch_metrics import (  # noqa: E402
    balanced_accuracy,
    calibrate,
    cross_fitted,
)
from selfgrasp_nodes.learning.pinto import Pinto, RowsFailed  # noqa: E402
from selfgrasp_nodes.learning.pinto_data import CurriculumData  # noqa: E402
from selfgrasp_nodes.learning.pinto_kept import Kept  # noqa: E402
from selfgrasp_nodes.learning.pinto_plots import plot  # noqa: E402
from selfgrasp_nodes.learning.pinto_report import markdown  # noqa: E402
from selfgrasp_nodes.learning.pinto_robot import (  # noqa: E402
    BROKEN,
    NOT_LAID,
    RobotRun,
    RobotRunner,
    RobotTest,
    run_test,
    summary,
)
from selfgrasp_nodes.learning.pinto_rows import Learned  # noqa: E402
from selfgrasp_nodes.policies.checkpoints import read_card  # noqa: E402

CURRICULUM = {
    "robot": "baxter",
    "training": "training.yaml",
    "stages": [
        {"tries": 200, "objects": "train_base"},
        {"tries": 60, "objects": "train_base+train_staged"},
    ],
    "test": {"tries": 100, "objects": "test_novel"},
    "workers": 1,
}
TRAINING = {
    "network": {"name": "polar", "widths": [8, 8, 16, 16], "rings": 16},
    "crop_pixels": 48,
    "base": {"epochs": 2, "rate": 0.01},
    "stage": {"epochs": 1, "rate": 0.002},
    "batch": 32,
    "validation": 0.25,
}
SETS = """
gripper: rg2
sets:
  blocks: [{block: cube}, {block: brick}]
  ten: [{block: tile}, {block: cylinder}, {block: plank}, {block: arch}]
"""


def _train(folder: Path, curriculum, seed: int = 1) -> None:
    config = curriculum.settings().model_copy(update={"seed": seed})
    before = None
    for stage in (0, 1):
        out = folder / f"stage{stage}"
        stages = tuple(range(stage + 1))
        run_job(PatchJob(folder / "train.store", out, config, stages, before))
        before = out / "patch.safetensors"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(curriculum, folder) of a curriculum that was run on drawn bars."""
    folder = tmp_path_factory.mktemp("pinto")
    (folder / "training.yaml").write_text(yaml.safe_dump(TRAINING))
    (folder / "curriculum.yaml").write_text(yaml.safe_dump(CURRICULUM))
    curriculum = load_curriculum(folder / "curriculum.yaml")
    fill_store(folder / "train.store", 800)
    fill_store(folder / "train.store", 60, stage=1, seed=3)
    fill_store(folder / "test.store", 100, seed=7)
    _train(folder, curriculum)
    return curriculum, folder


def test_every_table_is_measured_kept_and_measured_anew(made, tmp_path, monkeypatch) -> None:
    curriculum, folder = made
    small = {"default": {}, "outcomes not balanced": {"balance": 0.0}}
    monkeypatch.setattr(pinto_rows, "ABLATIONS", small)
    monkeypatch.setattr("selfgrasp_nodes.learning.pinto.ABLATIONS", small)
    parts = ("table1", "table2", "figure8", "stages", "ablations")
    said: list[str] = []
    pinto = Pinto(curriculum, folder, tmp_path, workers=1, say=said.append)
    first = pinto.run(parts)
    assert first["table1"]["random"]["tries"] == 780 and first["table1"]["staged"]["tries"] == 59
    assert set(first["table2"]) == {
        "smallest eigenvalue",
        "eigenvalue limit",
        "optimistic parameters",
        "kNN on HoG",
        "linear SVMs on HoG",
        "network",
        "network with stages",
    }
    counts = sorted(map(int, first["figure8"]))
    assert len(counts) == 4 and counts[0] * 8 == pytest.approx(counts[3], abs=8)
    assert set(first["stages"]) == {"stage 0", "stage 1", "without aggregation"}
    assert first["stages"]["stage 0"] == first["table2"]["network"]
    assert set(first["ablations"]) == set(small)
    # Again: from the files, word for word.
    said.clear()
    assert Pinto(curriculum, folder, tmp_path, workers=1, say=said.append).run(parts) == first
    assert not said
    # Retrained: rows of checkpoints are measured anew, others are not.
    digest = read_card(folder / "stage0" / "patch.yaml").sha256
    for stage in (0, 1):
        for file in (folder / f"stage{stage}").rglob("*.safetensors"):
            file.unlink()
    _train(folder, curriculum, seed=2)
    assert read_card(folder / "stage0" / "patch.yaml").sha256 != digest
    again = Pinto(curriculum, folder, tmp_path, workers=1, say=said.append).run(parts)
    assert any("networks" in line for line in said)
    assert not any("figure8" in line or "learners" in line for line in said)
    assert again["stages"]["stage 1"] != first["stages"]["stage 1"]
    text = markdown(again, "bars")
    for word in ("Table II", "Figure 8", "kNN on HoG", "95.7", "780", "without aggregation"):
        assert word in text
    assert [file.stat().st_size > 5000 for file in plot(again, tmp_path)] == [True] * 2


def test_the_network_is_tuned_as_the_others_are_and_the_test_set_chooses_nothing(
    made, tmp_path
) -> None:
    curriculum, folder = made
    pinto = Pinto(curriculum, folder, tmp_path, workers=1, say=lambda text: None)
    found = pinto.run(("tuning",))["tuning"]
    *settings, chosen = found
    assert len(settings) == classical.SETTINGS and chosen == pinto_rows.CHOSEN
    assert all("roc_area" not in found[name] for name in settings)  # the test set is not judged
    accuracies = [found[name]["held_out_accuracy"] for name in settings]
    best = settings[int(np.argmax(accuracies))]
    assert max(accuracies) > min(accuracies) and found[chosen]["setting"] == best
    # None is the small training's own, so that the best was trained on all of stage 0.
    assert found[chosen]["own"] is False and found[chosen]["tries"] == 98
    assert best in markdown({"tuning": found}, "bars")
    own = pinto_tuning.changed(curriculum.settings(), {"rate": 0.01, "decay": 0.01})
    assert pinto_tuning.is_own(own, {"rate": 0.01, "decay": 0.01})


def test_without_the_old_data_the_threshold_is_still_that_of_random_tries(
    made, tmp_path, monkeypatch
) -> None:
    curriculum, folder = made
    fitted = []

    def watched(odds, success, *rest):
        fitted.append(success)
        return calibrate(odds, success, *rest)

    monkeypatch.setattr(patch_train, "calibrate", watched)
    row = Learned(curriculum, folder, tmp_path).rows("stages", "without aggregation")
    _, held = CurriculumData(folder, curriculum.settings(), curriculum.robot).split()
    np.testing.assert_array_equal(fitted[0], held.success)
    assert 0 < row["without aggregation"]["calibration_error"] < 1


def test_a_row_that_fails_costs_no_other(made, tmp_path, monkeypatch) -> None:
    curriculum, folder = made

    def fails(self) -> dict:
        raise ZeroDivisionError("no moments")

    found: list[set[str]] = []
    pinto = Pinto(curriculum, folder, tmp_path, workers=1, say=lambda text: None)
    with monkeypatch.context() as broken:
        broken.setattr(pinto_rows.Learned, "_heuristics", fails)
        with pytest.raises(RowsFailed, match="heuristics: ZeroDivisionError") as raised:
            pinto.run(("table1", "table2"), lambda now: found.append(set(now["table2"])))
    others = {"kNN on HoG", "linear SVMs on HoG", "network", "network with stages"}
    assert found == [others] and set(raised.value.found["table2"]) == others
    assert "Table II" in markdown(raised.value.found, "bars", "baxter, hand")
    assert "(baxter, hand)" in markdown(raised.value.found, "bars", "baxter, hand")
    assert len(pinto.run(("table2",))["table2"]) == 7


def test_what_is_missing_is_said(made, tmp_path) -> None:
    curriculum, folder = made
    with pytest.raises(UnknownName, match="table1"):
        Pinto(curriculum, folder, tmp_path).run(("table9",))
    with pytest.raises(StorageError, match="--curriculum"):
        Pinto(curriculum, tmp_path, tmp_path, workers=1).run(("table1",))


def test_a_result_is_kept_with_what_it_depends_on(tmp_path) -> None:
    kept, calls = Kept(tmp_path), []

    def measure() -> dict[str, list[int]]:
        calls.append(1)
        return {"row": [1, 2]}

    assert kept.get("a, b", {"seed": (1, 2)}, measure) == {"row": [1, 2]}
    assert kept.get("a, b", {"seed": [1, 2]}, measure) == {"row": [1, 2]} and len(calls) == 1
    assert kept.get("a, b", {"seed": [1, 3]}, measure) and len(calls) == 2
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text())["depends"] == {"seed": [1, 3]}
    file.write_text(file.read_text()[:20])
    assert kept.find("a, b", {"seed": [1, 3]}) is None


def test_a_result_that_cannot_be_written_is_said(tmp_path) -> None:
    (tmp_path / "parts").write_text("in the way")
    with pytest.raises(StorageError, match=r"a result cannot be written to .*free the disk"):
        Kept(tmp_path / "parts").get("row", {}, lambda: {"value": 1})


def test_held_out_figures_owe_nothing_to_what_was_fitted_on_them() -> None:
    rng = np.random.default_rng(4)
    gains = []
    for _ in range(20):
        odds, success = rng.normal(size=60), rng.random(60) < 0.3  # nothing to be learnt
        episodes = np.repeat(np.arange(20), 3).astype(str)
        probability, predicted = cross_fitted(odds, success, episodes)
        gains.append(balanced_accuracy(success, predicted) - 0.5)
        assert np.isfinite(probability).all()
    assert np.mean(gains) < 0.02, "a threshold chosen on the same tries gains about 0.08"
    told = rng.normal(size=400)
    found = cross_fitted(6 * told, told > 0, np.arange(400).astype(str))[1]
    assert balanced_accuracy(told > 0, found) > 0.97


@pytest.fixture
def sets(tmp_path) -> str:
    (tmp_path / "sets.yaml").write_text(SETS)
    return str(tmp_path / "sets.yaml")


def test_single_objects_and_clutter_on_the_robot(sets) -> None:
    alone = RobotTest("ur5_rg2", "oracle", "blocks", "isolation", 3, sets=sets)
    found = run_test(alone, workers=1)
    assert found["runs"] == found["tries"] == 3 and found["rate"]["value"] >= 2 / 3
    runner = RobotRunner(alone)
    assert [vars(runner.run(2)), vars(runner.run(0))] == [
        found["each_run"][2],
        found["each_run"][0],
    ]
    clutter = RobotTest("ur5_rg2", "oracle", "ten", "clutter", 1, sets=sets)
    cleared = run_test(clutter, workers=1)
    assert cleared["each_run"][0]["objects"] == 10
    assert 6 <= cleared["cleared"] <= 10 <= cleared["tries"] + 4
    assert alone.depends() != clutter.depends()


def test_a_scene_that_cannot_be_laid_out_is_a_run_without_tries(sets, monkeypatch) -> None:
    runner = RobotRunner(RobotTest("ur5_rg2", "random-roi", "blocks", "isolation", 1, sets=sets))
    drawn = []

    def rolls_away(*arguments):
        drawn.append(arguments)
        raise InvalidScene("it left the workspace")

    monkeypatch.setattr(pinto_robot, "drop", rolls_away)
    run = runner.run(0)
    assert run.ended == NOT_LAID and run.tries == 0 and len(drawn) == pinto_robot.LAYINGS
    assert summary("isolation", [run])["not_laid"] == 1


def test_a_run_that_breaks_down_counts_as_failed() -> None:
    runs = [RobotRun(1, 1, 1), RobotRun(1, 0, 0, 0, 0, BROKEN)]
    found = summary("isolation", runs)
    assert found["rate"]["value"] == 0.5 and found["broken"] == 1


def test_tries_on_the_same_object_are_no_independent_ones() -> None:
    runs = [RobotRun(1, int(i < 2), 1, object=i) for i in range(3) for _ in range(50)]
    found = summary("isolation", runs)
    over, alone = found["over_objects"], found["rate"]
    assert over["value"] == alone["value"] == pytest.approx(2 / 3)
    assert over["low"] == 0 and over["high"] == 1 and alone["low"] > 0.58


def test_a_clutter_that_was_not_cleared_has_no_number_of_tries() -> None:
    found = summary("clutter", [RobotRun(10, 10, 14), RobotRun(10, 4, 20)])
    assert found["completed"]["value"] == 0.5 and found["to_clear"]["value"] == 14


def test_the_outlook_learns_from_what_it_sees(made) -> None:
    now = [0.0]
    works = [Work("a", "random", 1000), Work("b", "random", 500)]
    whole = Outlook(works, lambda: now[0])
    assert whole.left == pytest.approx(1500 / RATES["random"]) and whole.share == 0
    whole.reached("a", 0.5)  # by an earlier run
    now[0] = 100.0
    whole.reached("a", 0.75)  # 250 in 100 s
    assert whole.left == pytest.approx(750 / 2.5) and whole.share == pytest.approx(0.5)
    whole.finished("a")
    whole.finished("b")
    assert whole.left == 0 and whole.share == 1
    plan = outlook(made[0])
    amounts = {"random": 200 + 100, "staged": 60, "read": 260, "shown": (400 + 380) * 0.75}
    assert plan.left == pytest.approx(sum(n / RATES[kind] for kind, n in amounts.items()))
