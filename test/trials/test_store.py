"""The training store: what is kept, what is refused, what survives."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from dataclasses import fields

import numpy as np
import pytest
from store_cases import stored

from selfgrasp_nodes.errors import StorageError, UnknownName
from selfgrasp_nodes.perception.patches import cut_crop
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.simulation.scenes import random_scene
from selfgrasp_nodes.simulation.world import World
from selfgrasp_nodes.trials.store import TrialStore
from selfgrasp_nodes.trials.store_record import to_row

LIMIT = 40_000  # bytes a try


def crops(name: str, hand: bool) -> tuple[PatchGeometry, list[tuple[np.ndarray, np.ndarray]]]:
    """Noisy rendered crops of a clutter: overhead, or from a hand 25 cm above."""
    robot = load_robot(name)
    sizes = PatchGeometry.of(robot.arms[0].gripper)
    world = World(robot)
    world.reset(random_scene(robot, 8, 3), 3)
    if hand:
        world.set_arm("left", robot.arm("left").ready)
    view = world.render(robot.arms[0].hand_camera if hand else "")
    world.close()
    found = []
    for dx, dy in ((0, 0), (0.05, 0.02), (-0.06, 0.04), (0.02, -0.08)):
        x, y = view.world_T_camera[:2, 3] if hand else robot.workspace.center
        crop = cut_crop(view, (x + dx, y + dy, 0.04), sizes)
        found.append((crop.color, crop.height))
    return sizes, found


@pytest.fixture(scope="module")
def rendered():
    return crops("ur5_rg2", hand=False)


def filled(path, rendered, episodes: int = 3, **values) -> TrialStore:
    sizes, pictures = rendered
    store = TrialStore.create(path, sizes)
    for episode in range(episodes):
        store.append(stored(episode, k, *pictures[k], **values) for k in range(4))
    return store


def test_everything_comes_back(tmp_path, rendered) -> None:
    _, pictures = rendered
    with filled(tmp_path / "a.store", rendered) as store:
        assert len(store) == 12
        given, found = stored(1, 2, *pictures[2]), store.get(("run-1", 1, 2))
        for f in fields(given):
            if f.name not in ("color", "height", "pose"):
                assert getattr(found, f.name) == getattr(given, f.name), f.name
        np.testing.assert_array_equal(found.pose, given.pose)
        assert np.abs(found.color.astype(float) - given.color).mean() < 3.0
        np.testing.assert_array_equal(np.isnan(found.height), np.isnan(given.height))
        np.testing.assert_allclose(found.height, given.height, atol=0.000251)
    with TrialStore.open(tmp_path / "a.store") as store:
        assert store.keys() == [("run-1", e, k) for e in range(3) for k in range(4)]
        assert [t.try_ for t in store.iterate("episode = ?", (2,))] == [0, 1, 2, 3]


def test_columns_without_pictures(tmp_path, rendered) -> None:
    with filled(tmp_path / "a.store", rendered) as store:
        store.append([stored(9, 0, *rendered[1][0], success=None, propensity=float("nan"))])
        table = store.columns(("episode", "success", "object", "propensity"))
        assert table["episode"].dtype == int and table["object"][0] == "pybullet/012"
        assert np.nansum(table["success"]) == 6 and np.isnan(table["success"][-1])
        assert np.isnan(table["propensity"][-1])
        assert len(store.columns(("angle",), "success = 1")["angle"]) == 6
        light = next(store.iterate(pictures=False))
        assert light.color.size == 0 and light.sensors["force_held"] == 12.0
        with pytest.raises(UnknownName, match=r"valid: .*angle"):
            store.columns(("sensors",))
        with pytest.raises(StorageError, match="no such column"):
            list(store.iterate("sucess = 1"))
        with pytest.raises(UnknownName):
            store.get(("run-1", 77, 0))


@pytest.mark.parametrize("name, hand", [("ur5_rg2", False), ("baxter", False), ("baxter", True)])
def test_a_try_takes_at_most_40_kilobytes(tmp_path, name: str, hand: bool) -> None:
    rendered = crops(name, hand)
    filled(tmp_path / "a.store", rendered, episodes=30).close()
    size = (tmp_path / "a.store").stat().st_size / 120
    assert 5_000 < size < LIMIT


def test_a_key_is_stored_once(tmp_path, rendered) -> None:
    _, pictures = rendered
    with filled(tmp_path / "a.store", rendered) as store:
        again = [stored(5, 0, *pictures[0]), stored(1, 1, *pictures[1], reason="another")]
        with pytest.raises(StorageError, match="stored once"):
            store.append(again)
        assert len(store) == 12, "all or none"
        assert store.append(again, known="keep") == 1
        assert store.get(("run-1", 1, 1)).reason != "another"
    with pytest.raises(StorageError, match="exists"):
        TrialStore.create(tmp_path / "a.store", rendered[0])


def test_readable_while_it_grows(tmp_path, rendered) -> None:
    _, pictures = rendered
    with (
        filled(tmp_path / "a.store", rendered) as writer,
        TrialStore.open(tmp_path / "a.store") as reader,
    ):
        reading = reader.iterate()
        next(reading)
        writer.append([stored(7, 0, *pictures[0])])
        assert len(list(reading)) == 11, "one reading sees one state"
        assert len(reader) == 13
        with pytest.raises(StorageError):
            reader.append([stored(8, 0, *pictures[0])])


def test_a_store_cut_short_says_so(tmp_path, rendered) -> None:
    filled(tmp_path / "a.store", rendered).close()
    whole = (tmp_path / "a.store").read_bytes()
    for length in (len(whole) - 20_000, len(whole) - 1, 50, 0):
        (tmp_path / "cut.store").write_bytes(whole[:length])
        with pytest.raises(StorageError, match="cut short"):
            TrialStore.open(tmp_path / "cut.store")
    (tmp_path / "text.store").write_text("name,angle_rad\n" * 100)
    with pytest.raises(StorageError, match="no store"):
        TrialStore.open(tmp_path / "text.store")
    with pytest.raises(StorageError, match="no store"):
        TrialStore.open(tmp_path / "missing.store")


def test_a_damaged_page_says_so(tmp_path, rendered) -> None:
    filled(tmp_path / "a.store", rendered).close()
    content = bytearray((tmp_path / "a.store").read_bytes())
    content[4096 * 8 : 4096 * 60] = b"\xff" * (4096 * 52)
    (tmp_path / "a.store").write_bytes(content)
    with pytest.raises(StorageError, match="damaged"), TrialStore.open(tmp_path / "a.store") as s:
        s.check()
        list(s.iterate())


def test_merge(tmp_path, rendered) -> None:
    sizes, pictures = rendered
    with (
        filled(tmp_path / "a.store", rendered) as a,
        filled(tmp_path / "b.store", rendered, run="run-2") as b,
    ):
        b.set_run("run-2", {"seed": 2})
        rows = [to_row(stored(8, k, *pictures[k], run="run-2")) for k in range(4)]
        b.add_episode("run-2", 8, rows, 4, "empty")
        with pytest.raises(StorageError, match="stored once"):
            b.add_episode("run-2", 8, rows, 4, "empty")
        assert a.merge(b) == 16 and len(a) == 28
        assert a.merge(b) == 0 and len(a) == 28, "twice is once"
        assert a.runs() == {"run-2": {"seed": 2}} and a.episodes("run-2") == {8: 4}
        with pytest.raises(StorageError, match="begun with other seed"):
            a.set_run("run-2", {"seed": 3})
        other = PatchGeometry(sizes.patch_side / 2, sizes.crop_side, sizes.crop_pixels)
        with (
            TrialStore.create(tmp_path / "c.store", other) as c,
            pytest.raises(StorageError, match="another geometry"),
        ):
            a.merge(c)
        with pytest.raises(StorageError, match="192 x 192"):
            a.append([stored(0, 9, pictures[0][0][:64, :64], pictures[0][1][:64, :64])])


def test_info_counts(tmp_path, rendered) -> None:
    with filled(tmp_path / "a.store", rendered) as store:
        info = store.info()
    (group,) = info["groups"]
    assert (info["tries"], group["labelled"], group["positives"]) == (12, 12, 6)
    assert info["codes"] == {"MISSED": 6, "SUCCESS": 6} and info["bytes"] > 12 * 5000


def _write_for_ever(path, sizes, pictures) -> None:
    # A mark for each: a number that is written anew would be empty for a moment.
    with TrialStore.create(path, sizes) as store, (path.parent / "marks").open("ab", 0) as marks:
        for episode in range(100_000):
            store.append([stored(episode, 0, *pictures[episode % 4])])
            marks.write(b"x")


def test_kill_loses_nothing_that_was_appended(tmp_path, rendered) -> None:
    sizes, pictures = rendered
    path = tmp_path / "a.store"
    writer = multiprocessing.get_context("fork").Process(
        target=_write_for_ever, args=(path, sizes, pictures)
    )
    writer.start()
    deadline, marks = time.monotonic() + 60, tmp_path / "marks"
    while time.monotonic() < deadline:
        if marks.exists() and marks.stat().st_size > 3:
            break
        time.sleep(0.01)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    appended = marks.stat().st_size
    with TrialStore.open(path, write=True) as store:
        store.check()
        assert appended <= len(store) <= appended + 1 and appended >= 1
        store.append([stored(len(store) + 1000, 0, *pictures[0])])
