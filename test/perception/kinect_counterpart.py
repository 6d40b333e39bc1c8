"""A Kinect v2 as a runtime object: frames of the simulator, mirrored as the real one's are."""

from __future__ import annotations

import threading
import time

import mujoco
import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import Unavailable
from selfgrasp_nodes.robots import CameraSpec, PoseSpec
from selfgrasp_nodes.simulation.cameras import CameraRenderer, add_camera, add_lights

WORLD_T_COLOR = geometry.transform((-1.0, 0.0, 0.6), (np.pi, 0, 0)) @ geometry.transform(
    rpy=(0, 0, -np.pi / 2)
)
# The depth camera sits 52 mm to the side, and no two Kinects are glued alike.
COLOR_T_DEPTH = geometry.transform((-0.052, 0.0006, -0.001), (0.003, -0.008, 0.002))
# Both behind the same face: 0.3 to 1.2 m from what they look at.
LOOK = geometry.transform((-1.15, 0.0, 0.75), (-2.2, 0.0, -np.pi / 2))


def _spec(name, width, height, fx, cx, cy, pose):
    return CameraSpec(
        name=name,
        width=width,
        height=height,
        fx=fx,
        fy=fx,
        cx=cx,
        cy=cy,
        pose=PoseSpec(xyz=tuple(pose[:3, 3]), quaternion=tuple(geometry.quaternion(pose))),
        frame=name,
        namespace=name,
    )


COLOR = _spec("kinect_color", 1920, 1080, 1081.4, 955.0, 541.5, LOOK)
DEPTH = _spec("kinect_depth", 512, 424, 366.2, 258.1, 207.3, LOOK @ COLOR_T_DEPTH)


def render():
    """(colour, depth in it, depth picture) of a table with boxes, not mirrored."""
    spec = mujoco.MjSpec()
    add_lights(spec)
    box = mujoco.mjtGeom.mjGEOM_BOX
    spec.worldbody.add_geom(type=box, size=[1.2, 1.2, 0.01], pos=[-0.5, 0, -0.01])
    for i, (x, y) in enumerate([(-0.6, 0.1), (-0.45, -0.15), (-0.3, 0.05), (-0.55, -0.3)]):
        rgba = [i == 0, i == 1, i >= 2, 1]
        spec.worldbody.add_geom(type=box, size=[0.04] * 3, pos=[x, y, 0.04], rgba=rgba)
    for camera in (COLOR, DEPTH):
        add_camera(spec, camera)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with CameraRenderer(model, [COLOR, DEPTH]) as renderer:
        color, truth = renderer.render(data, COLOR.name)
        _, depth = renderer.render(data, DEPTH.name)
    return color, truth, depth


class KinectCounterpart:
    """Speaks the runtime interface; can be told to delay, fall silent or be unplugged."""

    def __init__(self, frames, serial="K2-1"):
        color, _, depth = frames
        bgra = np.concatenate([color[..., ::-1], np.full((*color.shape[:2], 1), 255)], axis=-1)
        self._color = np.ascontiguousarray(bgra[:, ::-1].astype(np.uint8)).ravel()
        self._depth = np.rint(depth[:, ::-1] * 1000).astype(np.uint16).ravel()
        self._serial = serial
        self.plugged, self.silent, self.depth_silent, self.delay = True, False, False, 0.0
        self.opened = 0

    def start(self, serial):
        """What makes a runtime."""
        if not self.plugged:
            raise Unavailable("no Kinect v2 is plugged in")
        self.opened += 1
        return _Runtime(self)


class _Runtime:
    def __init__(self, kinect):
        self._kinect = kinect
        self._lock = threading.Lock()
        self._next = {"color": 0.0, "depth": 0.0}
        self.serial = kinect._serial

    def _due(self, kind):
        kinect, now = self._kinect, time.monotonic()
        if kinect.silent or not kinect.plugged or (kind == "depth" and kinect.depth_silent):
            return False
        return now >= self._next[kind]

    def _take(self, kind):
        self._next[kind] = time.monotonic() + 1 / 30 + self._kinect.delay

    def has_new_color_frame(self):
        return self._due("color")

    def has_new_depth_frame(self):
        return self._due("depth")

    def get_last_color_frame(self):
        self._take("color")
        return self._kinect._color.copy()

    def get_last_depth_frame(self):
        self._take("depth")
        return self._kinect._depth.copy()

    def depth_intrinsics(self):
        return (DEPTH.fx, DEPTH.fy, DEPTH.width - 1 - DEPTH.cx, DEPTH.cy, 0.0, 0.0, 0.0)

    def map_depth_points_to_color_space(self, pixels, depth):
        u = DEPTH.width - 1 - pixels[:, 0]
        z = depth / 1000
        rays = np.stack(
            [(u - DEPTH.cx) / DEPTH.fx, (pixels[:, 1] - DEPTH.cy) / DEPTH.fy, np.ones(len(u))],
            axis=1,
        )
        points = rays * z[:, None] @ COLOR_T_DEPTH[:3, :3].T + COLOR_T_DEPTH[:3, 3]
        mapped = geometry.project(COLOR.intrinsics, points)
        mapped[:, 0] = COLOR.width - 1 - mapped[:, 0]
        return mapped

    def close(self):
        pass
