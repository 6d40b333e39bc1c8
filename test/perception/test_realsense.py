"""The RealSense device on librealsense's software device, with frames of the simulator."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest
from realsense_counterpart import COLOR, RealSenseCounterpart, render

from selfgrasp_nodes.errors import InvalidConfig, MissingDependency, Unavailable, WrongCamera
from selfgrasp_nodes.perception.devices import realsense
from selfgrasp_nodes.perception.devices.base import Frame, Runner
from selfgrasp_nodes.perception.devices.realsense import RealSense, RealSenseSettings


@pytest.fixture(scope="module")
def scene():
    return render()


@pytest.fixture
def camera(scene):
    camera = RealSenseCounterpart(scene)
    yield camera
    camera.close()


def opened(camera, **settings):
    device = RealSense(RealSenseSettings(**{"filters": (), **settings}), camera.find)
    device.open()
    return device


def test_depth_is_aligned_to_colour(scene, camera):
    color, truth, _ = scene
    device = opened(camera)
    assert (device.serial, device.model) == ("815", "Simulated D415")
    frame = device.read(5.0)
    device.close()
    np.testing.assert_array_equal(frame.color, color)
    np.testing.assert_allclose(frame.intrinsics, COLOR.intrinsics, rtol=1e-6)
    assert frame.depth.shape == truth.shape
    both = (frame.depth > 0) & (truth > 0)
    error = np.abs(frame.depth - truth)[both]
    print("valid", both.mean(), "median", np.median(error), "p95", np.quantile(error, 0.95))
    assert both.sum() > 0.9 * (truth > 0).sum()
    assert np.median(error) < 0.001
    assert np.quantile(error, 0.95) < 0.005
    assert abs(time.time_ns() - frame.stamp) < 2e9


def test_filters_run_and_keep_what_is_there(scene, camera):
    truth = scene[1]
    device = opened(camera, filters=realsense.FILTERS, near=0.1, far=2.0)
    for _ in range(3):
        frame = device.read(5.0)
    device.close()
    assert frame.depth.shape == frame.color.shape[:2]
    middle = (slice(200, 280), slice(280, 360))
    assert np.median(np.abs(frame.depth - truth)[middle]) < 0.01
    near = opened(camera, filters=("threshold",), near=0.1, far=0.3)
    assert near.read(5.0).depth.max() == 0
    near.close()


def until(condition, limit=8.0):
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_it_runs_again_after_silence_and_unplugging(camera):
    frames: list[Frame] = []
    said: list[str] = []
    device = RealSense(RealSenseSettings(filters=()), camera.find)
    runner = Runner(device, frames.append, said.append, timeout=0.5, retry=0.1)
    try:
        until(lambda: len(frames) > 3)
        assert runner.problem == ""
        camera.silent = True
        until(lambda: "no picture from" in runner.problem)
        camera.silent = False
        count = len(frames)
        until(lambda: len(frames) > count + 3 and runner.problem == "")
        camera.plugged = False
        until(lambda: "no RealSense camera is plugged in" in runner.problem)
        camera.plugged = True
        count = len(frames)
        until(lambda: len(frames) > count + 3 and runner.problem == "")
        assert runner.opened >= 3
        camera.late = 5.0
        until(lambda: "stale image" in runner.problem)
    finally:
        runner.close()
    assert said.count("") >= 3


def test_another_camera_is_refused(camera):
    with pytest.raises(WrongCamera, match="815 is connected, but 4711 is wanted"):
        opened(camera, serial="4711")


def test_a_size_that_it_has_not_is_refused(camera):
    with pytest.raises(InvalidConfig, match="no color of 1920x1080 at 30 Hz; valid: 640x480@30"):
        opened(camera, width=1920, height=1080)


def test_unknown_filter_is_refused():
    with pytest.raises(InvalidConfig, match="valid: decimation"):
        RealSenseSettings(filters=("magic",))


def test_without_a_device_it_says_so():
    with pytest.raises(Unavailable, match="plugged in"):
        RealSense(RealSenseSettings()).open()


def test_without_the_library_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    with pytest.raises(MissingDependency, match="pip install pyrealsense2"):
        RealSense(RealSenseSettings()).open()
