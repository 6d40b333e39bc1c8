"""Real trainings, very short ones: worlds that try, a learner, and what can go wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("mujoco")

import pixelq_jobs  # noqa: E402
from pixelq_tries import CONFIG, robot  # noqa: E402, F401

from selfgrasp_nodes.errors import InvalidConfig, SelfGraspError, StorageError  # noqa: E402
from selfgrasp_nodes.learning import pixelq_job  # noqa: E402
from selfgrasp_nodes.learning.pixelq_config import Clutter, Episodes, PixelqTraining  # noqa: E402
from selfgrasp_nodes.learning.pixelq_job import Standing, run_pixelq  # noqa: E402
from selfgrasp_nodes.learning.pixelq_scenes import draw_scene  # noqa: E402
from selfgrasp_nodes.learning.pixelq_store import PixelStore  # noqa: E402
from selfgrasp_nodes.learning.pixelq_worker import Chunk, PixelWorld  # noqa: E402
from selfgrasp_nodes.policies import make_policy  # noqa: E402
from selfgrasp_nodes.policies.checkpoints import load_checkpoint, read_card  # noqa: E402
from selfgrasp_nodes.simulation.scene import penetrations  # noqa: E402
from selfgrasp_nodes.trials.files import RunLock  # noqa: E402

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    run_pixelq(CONFIG, folder)
    return folder


def tries(folder: Path) -> list[tuple[int, int, float]]:
    from selfgrasp_nodes.robots import config_digest, load_robot

    identity = CONFIG.identity() | {"robot_digest": config_digest(load_robot(CONFIG.robot))}
    with PixelStore(folder / "tries.sqlite", identity) as store:
        return [(t.episode, t.index, t.value) for t in store.tries()]


def test_a_training_leaves_tries_state_checkpoint_and_curves(trained, robot) -> None:  # noqa: F811
    kept = tries(trained)
    assert len(kept) == CONFIG.tries and len(set(kept)) == CONFIG.tries
    for name in ("curves.png", "values.png"):
        assert (trained / name).stat().st_size > 5000
    assert list((trained / "curves").glob("events*"))
    card = read_card(trained / "pixelq.yaml")
    assert card.policy == "pixelq" and card.metrics["tries"] == CONFIG.tries
    assert card.metrics["grasps"] + card.metrics["pushes"] == CONFIG.tries
    assert card.training["steps"] == CONFIG.tries * CONFIG.steps
    assert card.input["rotations"] == 16 and card.gripper.name == "rg2"
    policy = make_policy("pixelq", robot, checkpoint=str(trained / "pixelq"))
    assert policy.values.network.widths == (0.11, 0.08)


def test_a_finished_training_is_not_repeated(trained) -> None:
    before = load_checkpoint(trained / "pixelq").card.sha256
    kept = tries(trained)
    card = run_pixelq(CONFIG, trained)
    assert card.sha256 == before and tries(trained) == kept


def test_a_configuration_that_changed_is_refused(trained) -> None:
    other = CONFIG.model_copy(update={"rate": 0.01})
    with pytest.raises(StorageError, match=r"other rate: give another --out"):
        run_pixelq(other, trained)


def test_a_folder_is_trained_in_by_one_process(trained) -> None:
    with RunLock(trained, "trained in"), pytest.raises(StorageError, match="is being trained in"):
        run_pixelq(CONFIG, trained)


def test_tries_that_are_gone_are_missed(trained, tmp_path) -> None:
    out = shutil.copytree(trained, tmp_path / "copy")
    for file in out.glob("tries.sqlite*"):
        file.unlink()
    with pytest.raises(StorageError, match=r"learnt from \d+ tries and .* holds 0: put"):
        run_pixelq(CONFIG, out)
    assert load_checkpoint(out / "pixelq").card.metrics["tries"] == CONFIG.tries


def test_killed_at_any_moment_it_loses_no_stored_try(tmp_path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    command = [sys.executable, str(HERE / "pixelq_jobs.py"), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=900, check=False)
    assert done.returncode == -9, done.stderr.decode()[-2000:]
    before = tries(tmp_path)
    assert len(before) == 2 * CONFIG.chunk
    seen: list[Standing] = []
    card = run_pixelq(CONFIG, tmp_path, lambda s: seen.append(Standing(**vars(s))))
    after = tries(tmp_path)
    assert after[: len(before)] == before and len(after) == CONFIG.tries
    assert seen[-1].resumed == len(before)
    assert card.training["steps"] == CONFIG.tries * CONFIG.steps


def test_a_worker_that_dies_is_replaced(tmp_path, monkeypatch) -> None:
    bomb = tmp_path / "bomb"
    bomb.touch()
    monkeypatch.setenv(pixelq_jobs.BOMB, str(bomb))
    monkeypatch.setattr(pixelq_job, "run_chunk", pixelq_jobs.run_chunk)
    monkeypatch.setattr(pixelq_job, "initialise", pixelq_jobs.initialise)
    config = CONFIG.model_copy(update={"workers": 2, "tries": 6})
    card = run_pixelq(config, tmp_path / "out")
    assert not bomb.exists() and card.metrics["tries"] == 6


def test_workers_that_always_die_end_the_training(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(pixelq_jobs.BOMB, "always")
    monkeypatch.setattr(pixelq_job, "run_chunk", pixelq_jobs.run_chunk)
    monkeypatch.setattr(pixelq_job, "initialise", pixelq_jobs.initialise)
    monkeypatch.setattr(pixelq_job, "DEATHS", 1)
    monkeypatch.setattr(pixelq_job, "ATTEMPTS", 1)
    with pytest.raises(SelfGraspError, match="died"):
        run_pixelq(CONFIG.model_copy(update={"workers": 2}), tmp_path / "out")
    # What there was is whole.
    assert load_checkpoint(tmp_path / "out" / "pixelq").card.metrics["tries"] == 0


@pytest.fixture
def small_disk(tmp_path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={8 * 2**20}", "tmpfs", str(folder)]
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_leaves_the_checkpoint_before_whole(small_disk, trained) -> None:
    import shutil

    out = small_disk / "out"
    shutil.copytree(trained, out, ignore=shutil.ignore_patterns("curves"))
    before = load_checkpoint(out / "pixelq")
    more = CONFIG.model_copy(update={"tries": CONFIG.tries + 3})
    stat = os.statvfs(small_disk)
    (small_disk / "ballast").write_bytes(b"\0" * (stat.f_bavail * stat.f_frsize))
    with pytest.raises(StorageError, match="free the disk"):
        run_pixelq(more, out)
    now = load_checkpoint(out / "pixelq")  # its digest is checked
    assert now.card == before.card
    assert not list(out.glob(".*part*"))
    (small_disk / "ballast").unlink()
    assert run_pixelq(more, out).metrics["tries"] == CONFIG.tries + 3


def test_a_disk_that_fills_up_while_it_learns_loses_no_try(small_disk) -> None:
    """Also where the curves' own file, which TensorBoard writes, is what ends first."""
    out, ballast = small_disk / "out", small_disk / "ballast"

    def fill(standing: Standing) -> None:
        if standing.tries and not ballast.exists():
            stat = os.statvfs(small_disk)
            ballast.write_bytes(b"\0" * (stat.f_bavail * stat.f_frsize))

    with pytest.raises(StorageError, match="free the disk"):
        run_pixelq(CONFIG, out, fill)
    assert ballast.exists()
    made = tries(out)
    ballast.unlink()
    assert run_pixelq(CONFIG, out).metrics["tries"] == CONFIG.tries
    assert tries(out)[: len(made)] == made and made


def test_curves_that_cannot_be_written_end_with_a_warning(small_disk, caplog) -> None:
    pytest.importorskip("tensorboard")
    from selfgrasp_nodes.learning.event_curves import EventCurves

    with EventCurves(small_disk / "curves") as curves:
        curves.add(1, {"loss": 0.5, "nothing": float("nan")})
        stat = os.statvfs(small_disk)
        (small_disk / "ballast").write_bytes(b"\0" * (stat.f_bavail * stat.f_frsize))
        for step in range(2000):
            curves.add(step, {"loss": 0.5})
    assert "free the disk" in caplog.text


def test_scenes_are_repeatable_and_rows_touch_but_do_not_overlap(robot) -> None:  # noqa: F811
    rows = Clutter(objects=(4, 8), packed=1.0)
    for episode in range(4):
        scene = draw_scene(robot, rows, 3, episode)
        assert scene == draw_scene(robot, rows, 3, episode)
        assert 4 <= len(scene.objects) <= 8 and not penetrations(scene)
    edge = rows.model_copy(update={"edge": 1.0})
    half = np.asarray(robot.workspace.size) / 2
    for episode in range(6):
        scene = draw_scene(robot, edge, 3, episode)
        places = [
            (obj.spec.vertices @ obj.pose[:3, :3].T + obj.pose[:3, 3])[:, :2]
            for obj in scene.objects
        ]
        reach = np.abs(np.concatenate(places)).max(0)
        assert (reach < half).all() and (half - reach).min() < 0.03 and not penetrations(scene)
    dropped = draw_scene(robot, Clutter(objects=(3, 3)), 3, 0)
    assert len(dropped.objects) == 3
    assert draw_scene(robot, Clutter(objects=(3, 3)), 4, 0) != dropped


def test_an_episode_goes_on_between_chunks_and_ends_without_change(robot) -> None:  # noqa: F811
    from safetensors.torch import save

    config = CONFIG.model_copy(update={"episodes": Episodes(tries=60, no_change=2)})
    world = PixelWorld(PixelqTraining.model_validate(config.model_dump()))
    weights = save({k: v.clone() for k, v in world._values.network.state_dict().items()})
    found = []
    for number in range(4):
        found += world.run(Chunk(10 * number, 3, 3 * number, number, weights))
    assert [t.version for t in found] == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    by_episode: dict[int, list] = {}
    for tried in found:
        by_episode.setdefault(tried.episode, []).append(tried)
    assert any(t.index > 0 for t in found)
    for episode in list(by_episode.values())[:-1]:
        # An untrained policy changes little: two tries in a row without change end it.
        still = [not t.changed for t in episode]
        ends = [all(still[i : i + 2]) for i in range(len(still) - 1)]
        assert not any(ends[:-1])
        assert all(np.isfinite(t.value) for t in episode)


def test_the_command_says_what_it_takes(tmp_path) -> None:
    from selfgrasp_nodes.cli.main import main

    assert main(["train", "pixelq"]) != 0
    assert main(["train", "pixelq", "--out", str(tmp_path / "o"), "--curriculum", "x"]) != 0
    bad = tmp_path / "bad.yaml"
    bad.write_text("tries: none")
    assert main(["train", "pixelq", "--out", str(tmp_path / "o"), "--config", str(bad)]) != 0
    with pytest.raises(InvalidConfig, match="tries"):
        from selfgrasp_nodes.learning.pixelq_config import load_pixelq_training

        load_pixelq_training(bad)


def test_a_network_that_proposes_nothing_ends_the_training_with_a_reason(robot) -> None:  # noqa: F811
    from safetensors.torch import save

    world = PixelWorld(PixelqTraining.model_validate(CONFIG.model_dump()))
    world._policy.params = world._policy.params.model_copy(update={"min_value": 5.0})
    weights = save({k: v.clone() for k, v in world._values.network.state_dict().items()})
    with pytest.raises(SelfGraspError, match=r"nothing was tried in 20 scenes.*seed or rate"):
        world.run(Chunk(0, 3, 0, 0, weights))
