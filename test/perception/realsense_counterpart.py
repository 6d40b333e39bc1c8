"""A RealSense as librealsense's software device, with frames of the simulator."""

from __future__ import annotations

import threading
import time

import mujoco
import numpy as np
import pytest

from selfgrasp_nodes import geometry
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


def render():
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


class RealSenseCounterpart:
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
