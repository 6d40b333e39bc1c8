from __future__ import annotations

import numpy as np
import pytest
from trial_synthesis import Synthesizer, record

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidImage, StorageError, UnknownName
from selfgrasp_nodes.trials import decode
from selfgrasp_nodes.trials.bag import TrialBagWriter
from selfgrasp_nodes.trials.index import TrialIndex, read_index
from selfgrasp_nodes.trials.reader import RunReader
from selfgrasp_nodes.trials.record import TrialRecord


def test_observations_come_back_by_id_from_whichever_trial_holds_them(tmp_path):
    make = Synthesizer(seed=1)
    pose = geometry.transform((-1, 0, 0.5), (2.0, 0.1, -1.5))
    pictures = {}
    with TrialBagWriter(tmp_path / "run") as writer:
        for number in range(3):
            # Observation n + 1 is what trial n ends with and trial n + 1 decides on.
            for name in [0, 1] if number == 0 else [number + 1]:
                color = make.rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
                depth = make.rng.random((48, 64), dtype=np.float32)
                depth[0, :3] = np.nan, np.inf, 0
                pictures[name] = color, depth
                raw = make.observation(f"observation-{name}", name * 10**9, color, depth, pose)
                writer.write("/observation", "selfgrasp/msg/Observation", raw, name * 10**9)
            writer.finish_trial(record(number))
    run = RunReader(tmp_path / "run")
    for number, trial in enumerate(run.trials()):
        for which, name in (("before", number), ("after", number + 1)):
            found = trial.observation(which)
            view = found.views["overhead"]
            color, depth = pictures[name]
            assert found.id == f"observation-{name}"
            assert view.stamp == found.stamp == name * 10**9
            np.testing.assert_array_equal(view.color, color)
            np.testing.assert_array_equal(view.depth[1:], depth[1:])
            assert not view.depth[0, :3].any()
            np.testing.assert_allclose(view.world_T_camera, pose, atol=1e-12)
            assert view.intrinsics[0, 0] == 600
            assert found.heightmap.workspace.center == pytest.approx((-0.5, 0.0))
            assert found.heightmap.workspace.shape == found.heightmap.height.shape == (20, 30)
            assert found.heightmap.valid.all()
    with pytest.raises(UnknownName, match="observation-9"):
        run.observation("observation-9")
    with pytest.raises(UnknownName, match="after, before"):
        run.trial("trial-1").observation("during")
    with pytest.raises(UnknownName, match="valid: trial-0, trial-1, trial-2"):
        run.trial("trial-7")


def test_records_keep_what_a_trial_was(tmp_path):
    made = record(3)
    again = TrialRecord.from_json(made.to_json())
    assert again == made
    assert again.code == "MISSED"
    assert again.start == 30 * 10**9
    assert again.candidate["primitive"] == "GRASP"
    assert again.candidate["probability"] is None  # NaN is not JSON
    assert again.candidate["position"] == pytest.approx([-0.5, 0.03, 0.03])
    assert again.outcome["width_closed"] == pytest.approx(0.03)
    later = made.to_json()[:-1] + ',"a_later_key":1}'
    assert TrialRecord.from_json(later).notes == {"a_later_key": 1}


def test_a_cut_last_line_is_tolerated_and_repaired(tmp_path):
    path = tmp_path / "index.jsonl"
    index = TrialIndex(path)
    index.append(record(0))
    index.append(record(1))
    index.close()
    whole = path.read_bytes()
    for cut in (1, 10, len(whole) // 2 - 2):
        path.write_bytes(whole[:-cut])
        assert [r.trial_id for r in read_index(path)] == ["trial-0"]
    index = TrialIndex(path)
    index.append(record(2))
    index.close()
    assert [r.trial_id for r in read_index(path)] == ["trial-0", "trial-2"]


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "index.jsonl"
    path.write_text(record(0).to_json() + "\nnonsense\n" + record(1).to_json() + "\n")
    with pytest.raises(StorageError, match="line 2"):
        read_index(path)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(StorageError, match="is not a run"):
        RunReader(tmp_path)


@pytest.mark.parametrize(
    ("pixels", "encoding"),
    [
        (np.arange(24, dtype=np.uint8).reshape(2, 4, 3), "rgb8"),
        (np.arange(8, dtype=np.uint8).reshape(2, 4), "mono8"),
        (np.arange(8, dtype=np.uint16).reshape(2, 4) * 300, "16UC1"),
        (np.arange(8, dtype=np.float32).reshape(2, 4) / 3, "32FC1"),
    ],
)
def test_images_decode_with_padded_rows(pixels, encoding):
    message = Synthesizer().image(pixels, encoding, 0)
    np.testing.assert_array_equal(decode.image(message), pixels)
    rows = message.data.reshape(message.height, -1)
    message.data = np.pad(rows, ((0, 0), (0, 5))).ravel()
    message.step += 5
    np.testing.assert_array_equal(decode.image(message), pixels)
    message.data = message.data[:-1]
    with pytest.raises(InvalidImage, match="cut short"):
        decode.image(message)
    message.encoding = "yuv422"
    with pytest.raises(InvalidImage, match=r"valid: .*rgb8"):
        decode.image(message)


def test_bgr_and_millimetres():
    make = Synthesizer()
    rgb = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.testing.assert_array_equal(decode.image(make.image(rgb[..., ::-1].copy(), "bgr8", 0)), rgb)
    depth = decode.depth(make.image(np.array([[0, 1500]], np.uint16), "16UC1", 0))
    np.testing.assert_allclose(depth, [[0, 1.5]])
