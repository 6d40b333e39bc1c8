"""A Kinect v2 in a process of its own: frames of the simulator, mirrored as the real one's are.

python kinect_counterpart.py SOCKET
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from multiprocessing.connection import Client, Listener

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
    """Speaks the runtime interface, from a process of its own behind a socket.

    It can be told to delay, fall silent or be unplugged (the attributes), and be killed.
    """

    def __init__(self, frames, serial="K2-1"):
        color, _, depth = frames
        bgra = np.concatenate([color[..., ::-1], np.full((*color.shape[:2], 1), 255)], axis=-1)
        self._frames = (
            np.ascontiguousarray(bgra[:, ::-1].astype(np.uint8)).ravel(),
            np.rint(depth[:, ::-1] * 1000).astype(np.uint16).ravel(),
        )
        self._serial = serial
        self._lock = threading.Lock()
        self.run()

    def run(self):
        """Start the process."""
        self._folder = tempfile.TemporaryDirectory(prefix="kinect-")
        self._address = f"{self._folder.name}/socket"
        command = [sys.executable, __file__, self._address]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout.readline() == "ready\n"
        self._control = Client(self._address)
        for kind, pixels in zip(("color", "depth"), self._frames, strict=True):
            np.save(f"{self._folder.name}/{kind}.npy", pixels)
        self._control.send(("control", self._serial))
        weakref.finalize(self, self._process.kill)

    def kill(self):
        """End the process in the middle of whatever it does."""
        self._process.kill()
        self._process.wait()

    def start(self, serial):
        """What makes a runtime."""
        try:
            connection = Client(self._address)
        except OSError as error:
            raise Unavailable("no Kinect v2 is plugged in") from error
        connection.send(("runtime", serial))
        found = connection.recv()
        if isinstance(found, Exception):
            raise found
        return _Runtime(connection, found, self._folder.name)

    def _tell(self, *question):
        with self._lock:
            self._control.send(question)
            return self._control.recv()

    def __getattr__(self, name):
        if name not in _STATE:
            raise AttributeError(name)
        return self._tell("get", name)

    def __setattr__(self, name, value):
        if name in _STATE:
            self._tell("set", name, value)
        else:
            super().__setattr__(name, value)


class _Runtime:
    """The runtime object: each call is answered by the process; pixels pass through files."""

    def __init__(self, connection, serial, folder):
        self._connection, self.serial = connection, serial
        self._frames = {
            kind: np.load(f"{folder}/{kind}.npy", mmap_mode="r") for kind in ("color", "depth")
        }

    def _ask(self, *question):
        self._connection.send(question)
        answer = self._connection.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def has_new_color_frame(self):
        return self._ask("has", "color")

    def has_new_depth_frame(self):
        return self._ask("has", "depth")

    def get_last_color_frame(self):
        return np.array(self._frames[self._ask("last", "color")])

    def get_last_depth_frame(self):
        return np.array(self._frames[self._ask("last", "depth")])

    def depth_intrinsics(self):
        return self._ask("lens")

    def map_depth_points_to_color_space(self, pixels, depth):
        return self._ask("map", pixels, depth)

    def close(self):
        self._connection.close()


# -- in the process

_STATE = {"plugged": True, "silent": False, "depth_silent": False, "delay": 0.0, "opened": 0}


class _Device:
    def __init__(self):
        self.state, self.serial = dict(_STATE), ""

    def serve(self, connection):
        """Answer one connection until it is closed."""
        role, *given = connection.recv()
        if role == "control":
            (self.serial,) = given
            answer = self._control
        elif not self.state["plugged"]:
            connection.send(Unavailable("no Kinect v2 is plugged in"))
            return
        else:
            self.state["opened"] += 1
            connection.send(self.serial)
            due = {"color": 0.0, "depth": 0.0}

            def answer(*question):
                return self._runtime(due, *question)

        with contextlib.suppress(EOFError, OSError):
            while True:
                connection.send(answer(*connection.recv()))

    def _control(self, what, name, value=None):
        if what == "set":
            self.state[name] = value
        return self.state[name]

    def _runtime(self, due, what, *given):
        state, now = self.state, time.monotonic()
        if what == "has":
            quiet = state["silent"] or not state["plugged"]
            quiet = quiet or (given[0] == "depth" and state["depth_silent"])
            return not quiet and now >= due[given[0]]
        if what == "last":
            due[given[0]] = now + 1 / 30 + state["delay"]
            return given[0]
        if what == "lens":
            return (DEPTH.fx, DEPTH.fy, DEPTH.width - 1 - DEPTH.cx, DEPTH.cy, 0.0, 0.0, 0.0)
        return _mapped(*given)


def _mapped(pixels, depth):
    u = DEPTH.width - 1 - pixels[:, 0]
    z = depth / 1000
    rays = np.stack(
        [(u - DEPTH.cx) / DEPTH.fx, (pixels[:, 1] - DEPTH.cy) / DEPTH.fy, np.ones(len(u))], axis=1
    )
    points = rays * z[:, None] @ COLOR_T_DEPTH[:3, :3].T + COLOR_T_DEPTH[:3, 3]
    mapped = geometry.project(COLOR.intrinsics, points)
    mapped[:, 0] = COLOR.width - 1 - mapped[:, 0]
    return mapped


def _end_with_the_test():
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_test, daemon=True).start()
    device = _Device()
    with Listener(sys.argv[1]) as listener:
        print("ready", flush=True)
        while True:
            accepted = listener.accept()
            threading.Thread(target=device.serve, args=(accepted,), daemon=True).start()
