"""The RealSense device on librealsense's software device, with frames of the simulator."""

from __future__ import annotations

import threading
import time

import mujoco
import numpy as np
import pytest

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidConfig, MissingDependency, Unavailable, WrongCamera
from selfgrasp_nodes.perception.devices import realsense
from selfgrasp_nodes.perception.devices.base import Frame, Runner
from selfgrasp_nodes.perception.devices.realsense import RealSense, RealSenseSettings
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.cameras import CameraRenderer, add_camera, add_lights

rs = pytest.importorskip(
    "pyrealsense2", reason="pyrealsense2 is not installed", exc_type=ImportError
)

# As on a D415: the depth camera 15 mm beside the colour camera, with another lens and size.
COLOR = load_robot("ur5_rg2").camera()
COLOR_T_DEPTH = geometry.transform((-0.015, 0.0, 0.001), (0.004, -0.006, 0.002))
DEPTH = COLOR.model_copy(
    update={"name": "depth", "width": 848, "height": 480, "fx": 605.0, "fy": 605.0, "cx": 424.0}
)


@pytest.fixture(scope="module")
def scene():
    """(colour picture, depth in it, depth as the depth camera sees it)."""
    spec = mujoco.MjSpec()
    add_lights(spec)
    box = mujoco.mjtGeom.mjGEOM_BOX
    spec.worldbody.add_geom(type=box, size=[0.5, 0.5, 0.01], pos=[-0.5, 0, -0.01])
    for i, x in enumerate((-0.6, -0.5, -0.4)):
        color = np.eye(3)[i].tolist()
        spec.worldbody.add_geom(
            type=box, size=[0.03] * 3, pos=[x, 0.1 * (i - 1), 0.03], rgba=[*color, 1]
        )
    add_camera(spec, COLOR)
    added = add_camera(spec, DEPTH)
    pose = COLOR.pose.matrix @ COLOR_T_DEPTH @ np.diag([1.0, -1.0, -1.0, 1.0])
    added.pos, added.quat = pose[:3, 3], geometry.quaternion(pose)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with CameraRenderer(model, [COLOR, DEPTH]) as renderer:
        color, truth = renderer.render(data, "overhead")
        _, raw = renderer.render(data, "depth")
    return color, truth, np.rint(raw * 1000).astype(np.uint16)


class Camera:
    """A software device that can be told to fall silent, or be unplugged."""

    def __init__(self, scene, serial="815"):
        self.serial, self.plugged, self.silent, self.late = serial, True, False, 0.0
        self._color, _, self._depth = scene
        self._ending = threading.Event()
        self._made: list = []
        self._streams = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def find(self):
        """What a fresh context would list."""
        if not self.plugged:
            return []
        device = rs.software_device()
        device.register_info(rs.camera_info.serial_number, self.serial)
        device.register_info(rs.camera_info.name, "Simulated D415")
        depth, color = device.add_sensor("Stereo Module"), device.add_sensor("RGB Camera")
        depth.add_read_only_option(rs.option.depth_units, 0.001)
        d = depth.add_video_stream(video(rs.stream.depth, DEPTH, rs.format.z16, 2, 0))
        c = color.add_video_stream(video(rs.stream.color, COLOR, rs.format.rgb8, 3, 1))
        turned = rs.extrinsics()
        turned.rotation = COLOR_T_DEPTH[:3, :3].T.ravel().tolist()  # column by column
        turned.translation = COLOR_T_DEPTH[:3, 3].tolist()
        d.register_extrinsics_to(c, turned)
        device.create_matcher(rs.matchers.dlr_c)
        with self._lock:
            self._made.append(device)  # the library frees what nobody holds
            self._streams = ((depth, d, self._depth, 2), (color, c, self._color, 3))
        return [device]

    def close(self):
        self._ending.set()
        self._thread.join()

    def _feed(self):
        number = 0
        while not self._ending.wait(0.03):
            with self._lock:
                if self._streams is None or self.silent or not self.plugged:
                    continue
                number += 1
                now = 1e3 * (time.time() - self.late)
                for sensor, profile, pixels, bytes_per_pixel in self._streams:
                    frame = rs.software_video_frame()
                    frame.pixels = pixels
                    frame.bpp = bytes_per_pixel
                    frame.stride = pixels.shape[1] * bytes_per_pixel
                    frame.timestamp, frame.frame_number = now, number
                    frame.domain = rs.timestamp_domain.system_time
                    frame.profile = profile.as_video_stream_profile()
                    if bytes_per_pixel == 2:
                        frame.depth_units = 0.001
                    sensor.on_video_frame(frame)


def video(kind, camera, form, bytes_per_pixel, uid):
    lens = rs.intrinsics()
    lens.width, lens.height = camera.width, camera.height
    lens.fx, lens.fy, lens.ppx, lens.ppy = camera.fx, camera.fy, camera.cx, camera.cy
    lens.model, lens.coeffs = rs.distortion.none, [0.0] * 5
    stream = rs.video_stream()
    stream.type, stream.index, stream.uid = kind, 0, uid
    stream.width, stream.height, stream.fps = camera.width, camera.height, 30
    stream.bpp, stream.fmt, stream.intrinsics = bytes_per_pixel, form, lens
    return stream


@pytest.fixture
def camera(scene):
    camera = Camera(scene)
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
    import sys

    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    with pytest.raises(MissingDependency, match="pip install pyrealsense2"):
        RealSense(RealSenseSettings()).open()
