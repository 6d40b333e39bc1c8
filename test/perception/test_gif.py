from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from selfgrasp_nodes.errors import EmptyObservation, InvalidConfig, InvalidImage
from selfgrasp_nodes.perception.gif import GifWriter


def frame(grey, height=48, width=64):
    return np.full((height, width, 3), grey, np.uint8)


def read(path):
    with Image.open(path) as gif:
        frames, durations = [], []
        for index in range(gif.n_frames):
            gif.seek(index)
            frames.append(np.asarray(gif.convert("RGB")))
            durations.append(gif.info["duration"])
        return frames, durations


def test_frames_come_back_in_order(tmp_path):
    path = tmp_path / "new" / "run.gif"
    with GifWriter(path, frame_ms=80, hold_ms=900) as gif:
        for grey in (0, 80, 160, 240):
            gif.add(frame(grey))
    frames, durations = read(path)
    assert [round(f.mean(), -1) for f in frames] == [0, 80, 160, 240]
    assert durations == [80, 80, 80, 900]
    assert not list(tmp_path.glob("**/*.part"))


def test_wide_pictures_are_shrunk_and_all_get_one_size(tmp_path):
    gif = GifWriter(tmp_path / "run.gif", width=160)
    gif.add(frame(10, 480, 640))
    gif.add(frame(200, 720, 1280))
    frames, _ = read(gif.close())
    assert {f.shape for f in frames} == {(120, 160, 3)}


def test_a_long_run_stays_within_its_bound_from_first_to_last(tmp_path):
    gif = GifWriter(tmp_path / "run.gif", most=10)
    for index in range(201):
        gif.add(frame(index))
        assert len(gif) <= 10
    frames, _ = read(gif.close())
    greys = [f.mean() for f in frames]
    assert 5 <= len(frames) <= 11
    assert greys[0] == pytest.approx(0, abs=4) and greys[-1] == pytest.approx(200, abs=4)
    steps = np.diff(greys[:-1])
    assert steps.min() > 0 and steps.max() < 2.5 * steps.min(), "evenly thinned"


def test_the_caption_is_written_at_the_bottom(tmp_path):
    gif = GifWriter(tmp_path / "run.gif")
    gif.add(frame(120, 240, 320), "try 3: grasp, SUCCESS")
    (image,), _ = read(gif.close())
    assert (image[:200] == image[0, 0]).all()
    bottom = image[-20:]
    assert bottom.min() < 30 and bottom.max() > 220


def test_a_run_that_fails_leaves_its_gif(tmp_path):
    with pytest.raises(RuntimeError), GifWriter(tmp_path / "run.gif") as gif:
        gif.add(frame(1))
        raise RuntimeError
    assert (tmp_path / "run.gif").is_file()


def test_bad_use_is_refused(tmp_path):
    gif = GifWriter(tmp_path / "run.gif")
    with pytest.raises(EmptyObservation):
        gif.close()
    with pytest.raises(InvalidImage):
        gif.add(np.zeros((4, 4), np.uint8))
    with pytest.raises(InvalidConfig, match="most"):
        GifWriter(tmp_path / "run.gif", most=1)
    with GifWriter(tmp_path / "none.gif"):
        pass
    assert not (tmp_path / "none.gif").exists()
