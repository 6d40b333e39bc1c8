"""The Kinect v2 device, and its registration against what the simulator knows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from kinect_counterpart import COLOR, COLOR_T_DEPTH, DEPTH, KinectCounterpart, render
from pykinect2_counterpart import modules

from selfgrasp_nodes.errors import InvalidImage, MissingDependency, Unavailable, WrongCamera
from selfgrasp_nodes.perception.devices import kinect2_runtimes
from selfgrasp_nodes.perception.devices.base import Runner
from selfgrasp_nodes.perception.devices.kinect2 import Kinect2, Kinect2Settings, lenses
from selfgrasp_nodes.perception.registration import Registration


@pytest.fixture(scope="module")
def frames():
    return render()


@pytest.fixture(scope="module")
def process(frames):
    return KinectCounterpart(frames)


@pytest.fixture
def kinect(process):
    process.plugged, process.silent, process.depth_silent, process.delay = True, False, False, 0.0
    process.opened = 0
    return process


def registration(size=(1920, 1080)):
    scale = size[0] / 1920
    matrix = COLOR.intrinsics.copy()
    matrix[:2] *= scale
    matrix[:2, 2] += (scale - 1) / 2
    return Registration(DEPTH.intrinsics, np.zeros(5), (512, 424), matrix, COLOR_T_DEPTH, size)


def test_registered_depth_is_what_the_colour_camera_would_measure(frames):
    _, truth, depth = frames
    found = registration().apply(depth)
    # Where the depth camera sees what the colour camera sees: away from edges and shadows.
    edge = cv2.dilate(truth, np.ones((25, 25))) - cv2.erode(truth, np.ones((25, 25))) > 0.03
    shared = np.zeros(truth.shape, bool)
    shared[60:-60, 330:-330] = True
    smooth = shared & (truth > 0) & ~edge
    filled = found[smooth] > 0
    error = np.abs(found[smooth][filled] - truth[smooth][filled])
    print("filled", filled.mean(), "median mm", 1e3 * np.median(error), np.quantile(error, 0.99))
    assert filled.mean() > 0.99
    assert np.median(error) < 0.001
    assert np.quantile(error, 0.99) < 0.004


def test_nothing_far_shines_through_what_is_near(frames):
    color, truth, depth = frames
    found = registration().apply(depth)
    # The boxes alone are coloured: no hole in them, and no table behind them.
    box = (np.ptp(color.astype(int), axis=-1) > 40) & (truth > 0)
    inner = cv2.erode(box.astype(np.uint8), np.ones((21, 21))) > 0
    hidden, behind = (found[inner] == 0).mean(), (found[inner] > truth[inner] + 0.02).mean()
    print("boxes:", inner.sum(), "pixels, hidden", hidden, "behind", behind)
    assert inner.sum() > 3000
    assert hidden < 0.02
    assert behind < 0.005


def test_a_distorted_depth_picture_is_straightened(frames):
    _, truth, depth = frames
    distortion = np.array([0.09, -0.27, 0.0, 0.0, 0.1])
    # Each pixel of a distorted picture sees along the ray that undistortion gives.
    v, u = np.mgrid[:424, :512]
    pixels = np.stack([u, v], axis=-1).reshape(-1, 1, 2).astype(float)
    k = DEPTH.intrinsics
    ideal = cv2.undistortPoints(pixels, k, distortion, P=k).reshape(424, 512, 2)
    bent = cv2.remap(depth, ideal.astype(np.float32), None, cv2.INTER_NEAREST)
    plain = registration()
    straight = Registration(
        k, distortion, (512, 424), plain.color_intrinsics, COLOR_T_DEPTH, (1920, 1080)
    ).apply(bent)
    both = (straight > 0) & (truth > 0)
    both[:150], both[-150:], both[:, :450], both[:, -450:] = False, False, False, False
    assert both.mean() > 0.25
    assert np.median(np.abs(straight - truth)[both]) < 0.002
    bent_only = plain.apply(bent)
    worse = np.abs(bent_only - truth)[both & (bent_only > 0)]
    assert np.median(worse) > 1.2 * np.median(np.abs(straight - truth)[both])


def test_lenses_are_fitted_to_the_coordinate_mapping(kinect):
    found = lenses(kinect.start(""))
    assert found.error < 0.01
    np.testing.assert_allclose(found.color_intrinsics, COLOR.intrinsics, atol=0.05)
    np.testing.assert_allclose(found.depth_intrinsics, DEPTH.intrinsics, atol=1e-9)
    np.testing.assert_allclose(found.color_T_depth, COLOR_T_DEPTH, atol=1e-4)


@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_frames_are_registered_and_not_mirrored(frames, kinect, scale):
    color, truth, _ = frames
    device = Kinect2(Kinect2Settings(scale=scale), kinect.start)
    device.open()
    assert device.serial == "K2-1"
    frame = device.read(2.0)
    device.close()
    size = (round(1920 * scale), round(1080 * scale))
    assert frame.color.shape == (size[1], size[0], 3)
    assert frame.depth.shape == (size[1], size[0])
    want = cv2.resize(color, size, interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(frame.color, want)
    small = cv2.resize(truth, size, interpolation=cv2.INTER_NEAREST)
    both = (frame.depth > 0) & (small > 0)
    assert both.mean() > 0.5
    assert np.median(np.abs(frame.depth - small)[both]) < 0.002
    assert frame.intrinsics[0, 0] == pytest.approx(COLOR.fx * scale, abs=0.05)


def until(condition, limit=15.0):
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_it_runs_again_after_silence_delay_and_unplugging(kinect):
    got = []
    device = Kinect2(Kinect2Settings(), kinect.start)
    runner = Runner(device, got.append, timeout=0.5, retry=0.1, max_age=2.0)
    try:
        until(lambda: len(got) > 1)
        kinect.depth_silent = True
        until(lambda: "no depth frame" in runner.problem)
        kinect.depth_silent, kinect.silent = False, True
        until(lambda: "no colour frame" in runner.problem)
        kinect.silent, kinect.delay = False, 0.2
        count = len(got)
        until(lambda: len(got) > count + 1 and runner.problem == "")
        kinect.plugged = False
        until(lambda: "no Kinect v2 is plugged in" in runner.problem)
        kinect.plugged, kinect.delay = True, 0.0
        count = len(got)
        until(lambda: len(got) > count + 1 and runner.problem == "")
        assert kinect.opened >= 4
        kinect.kill()
        until(lambda: runner.problem != "")
        kinect.run()
        count = len(got)
        until(lambda: len(got) > count + 1 and runner.problem == "")
    finally:
        runner.close()


def test_another_camera_is_refused(kinect):
    with pytest.raises(WrongCamera, match="K2-1 is connected, but K2-9 is wanted"):
        Kinect2(Kinect2Settings(serial="K2-9"), kinect.start).open()


def test_lenses_that_are_not_known_yet(kinect):
    runtime = kinect.start("")
    runtime.depth_intrinsics = lambda: (0.0,) * 7
    with pytest.raises(Unavailable, match="does not tell its lenses yet"):
        lenses(runtime)


def test_a_map_that_is_no_cameras_is_refused(kinect):
    runtime = kinect.start("")
    true = runtime.map_depth_points_to_color_space
    runtime.map_depth_points_to_color_space = lambda p, z: true(p, z) + 40 * np.sin(p / 30)
    with pytest.raises(InvalidImage, match="no pinhole camera"):
        lenses(runtime)


def test_frames_of_another_size_are_refused(kinect):
    device = Kinect2(Kinect2Settings(), kinect.start)
    device.open()
    device._runtime.get_last_depth_frame = lambda: np.zeros(640 * 480, np.uint16)
    with pytest.raises(InvalidImage, match="307200 numbers came, 217088"):
        device.read(1.0)


def test_without_a_library_it_says_so(monkeypatch):
    monkeypatch.delenv(kinect2_runtimes.LIBRARY_VARIABLE, raising=False)
    with pytest.raises(MissingDependency, match="libfreenect2"):
        kinect2_runtimes.start("", platform="linux")
    with pytest.raises(MissingDependency, match="pip install pykinect2024"):
        kinect2_runtimes.start("", platform="win32")


@pytest.mark.parametrize(
    ("package", "kinds"), [("pykinect2024", "PyKinect2024"), ("pykinect2", "PyKinectV2")]
)
def test_windows_runtime_speaks_to_pykinect2(frames, kinect, monkeypatch, package, kinds):
    for name, module in modules(kinect, package, kinds).items():
        monkeypatch.setitem(sys.modules, name, module)
    device = Kinect2(Kinect2Settings(), lambda s: kinect2_runtimes.start(s, platform="win32"))
    device.open()
    found = lenses(device._runtime)
    np.testing.assert_allclose(found.color_intrinsics, COLOR.intrinsics, atol=0.1)
    np.testing.assert_allclose(found.color_T_depth, COLOR_T_DEPTH, atol=2e-4)
    frame = device.read(5.0)
    want = cv2.resize(frames[0], (960, 540), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(frame.color, want)
    assert (frame.depth > 0).mean() > 0.5
    device.close()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (AttributeError("module 'time' has no attribute 'clock'"), "no attribute 'clock'"),
        (AssertionError(80), "AssertionError: 80"),
    ],
)
def test_a_pykinect2_that_this_python_cannot_run_is_named(kinect, monkeypatch, fault, said):
    loaded = modules(kinect, "pykinect2", "PyKinectV2")
    for name, module in loaded.items():
        monkeypatch.setitem(sys.modules, name, module)

    def broken(kinds):
        raise fault

    loaded["pykinect2.PyKinectRuntime"].PyKinectRuntime = broken
    with pytest.raises(MissingDependency, match=f"{said}.*pip install pykinect2024"):
        kinect2_runtimes.start("", platform="win32")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A library with the shim's functions and no device behind them."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    path = tmp_path_factory.mktemp("kinect2") / "libcounterpart.so"
    source = Path(__file__).with_name("kinect2_library.cpp")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", path, source], check=True)
    return path


def test_linux_runtime_speaks_to_its_library(library, monkeypatch):
    monkeypatch.setenv(kinect2_runtimes.LIBRARY_VARIABLE, str(library))
    device = Kinect2(Kinect2Settings(), lambda s: kinect2_runtimes.start(s, platform="linux"))
    device.open()
    assert device.serial == "R1"
    found = lenses(device._runtime)
    assert found.error < 0.01
    assert found.color_intrinsics[0, 0] == pytest.approx(1081, abs=0.1)
    # Mirrored: what the library has on its left is on the right.
    assert found.color_T_depth[0, 3] == pytest.approx(-0.052, abs=1e-4)
    frame = device.read(3.0)
    assert frame.color[0, 0].tolist() == [30, 20, 10]
    row = frame.depth[270]
    row = row[row > 0]
    assert row[0] > row[-1] and row.min() > 0.79 and row.max() < 1.32
    device.close()
    with pytest.raises(Unavailable, match="connected: R1"):
        kinect2_runtimes.start("gone", platform="linux")


def test_the_shim_has_every_function_that_is_called():
    source = (Path(__file__).parents[2] / "drivers" / "kinect2" / "shim.cpp").read_text()
    called = set(re.findall(r"sg_k2_\w+", Path(kinect2_runtimes.__file__).read_text()))
    assert called == set(re.findall(r"\b(sg_k2_\w+)\(", source)) and len(called) == 6
