"""Runtimes of the Kinect v2: libfreenect2 on Linux, PyKinect2 on Windows.

libfreenect2 has a C++ interface alone. ``drivers/kinect2/shim.cpp`` gives it the few C
functions that are called here; it is built with ``cmake`` where libfreenect2 is installed, and
the environment variable ``SELFGRASP_KINECT2`` names the library that comes out.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from importlib import import_module
from typing import Any

import cv2
import numpy as np

from selfgrasp_nodes.errors import MissingDependency, Unavailable
from selfgrasp_nodes.perception.devices.kinect2 import COLOR_SIZE, DEPTH_SIZE, KinectRuntime

LIBRARY_VARIABLE = "SELFGRASP_KINECT2"
"""Environment variable with the path of the shim's library."""

_PYKINECT = (("pykinect2024", "PyKinect2024"), ("pykinect2", "PyKinectV2"))
"""Packages that offer ``PyKinectRuntime``, and the module of each that holds the types."""

_LIBRARY = "libselfgrasp_kinect2.so"
_WAIT = 200  # for a pair of frames in one call [ms]


def start(serial: str, platform: str = sys.platform) -> KinectRuntime:
    """The runtime of this machine.

    Raises:
        MissingDependency: If its library is not installed.
        Unavailable: If no camera is plugged in.
    """
    return PyKinect2Runtime() if platform == "win32" else Freenect2Runtime(serial)


class Freenect2Runtime:
    """libfreenect2 through the shim; see :class:`KinectRuntime`.

    A thread waits for frames, so that the checks for new ones return at once.
    """

    def __init__(self, serial: str = ""):
        self._library = _shim()
        message = ctypes.create_string_buffer(256)
        self._handle = self._library.sg_k2_open(serial.encode(), message, len(message))
        if not self._handle:
            raise Unavailable(
                f"the Kinect v2 cannot be opened: {message.value.decode() or 'unknown reason'}; "
                "check its power supply, the USB 3 port and libfreenect2's udev rules"
            )
        self._library.sg_k2_serial(self._handle, message, len(message))
        self.serial = message.value.decode()
        self._color = np.zeros(COLOR_SIZE[0] * COLOR_SIZE[1] * 4, np.uint8)
        self._depth = np.zeros(DEPTH_SIZE[0] * DEPTH_SIZE[1], np.float32)
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        self._new = {"color": False, "depth": False}
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="kinect2", daemon=True)
        self._thread.start()

    def has_new_color_frame(self) -> bool:
        """See :class:`KinectRuntime`."""
        return self._new["color"]

    def has_new_depth_frame(self) -> bool:
        """See :class:`KinectRuntime`."""
        return self._new["depth"]

    def get_last_color_frame(self) -> np.ndarray:
        """See :class:`KinectRuntime`."""
        return self._fetch("color")

    def get_last_depth_frame(self) -> np.ndarray:
        """See :class:`KinectRuntime`."""
        return self._fetch("depth")

    def depth_intrinsics(self) -> tuple[float, float, float, float, float, float, float]:
        """See :class:`KinectRuntime`."""
        values = (ctypes.c_float * 7)()
        self._library.sg_k2_depth_lens(self._handle, values)
        fx, fy, cx, cy, k1, k2, k3 = (float(v) for v in values)
        return fx, fy, cx, cy, k1, k2, k3

    def map_depth_points_to_color_space(self, pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """See :class:`KinectRuntime`; libfreenect2 maps pixels that it has straightened."""
        fx, fy, cx, cy, k1, k2, k3 = self.depth_intrinsics()
        matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
        raw = np.asarray(pixels, float).reshape(-1, 1, 2)
        straight = cv2.undistortPoints(
            raw, matrix, np.array([k1, k2, 0, 0, k3]), P=matrix
        ).reshape(-1, 2)
        whole = np.floor(straight).astype(np.int32)
        # The library maps whole pixels; between them the map is as good as linear.
        (right, below), share = np.eye(2, dtype=np.int32), straight - whole
        here = self._map(whole, depth)
        along_u, along_v = self._map(whole + right, depth), self._map(whole + below, depth)
        return here + share[:, :1] * (along_u - here) + share[:, 1:] * (along_v - here)

    def _map(self, pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Colour pixels of whole straightened depth pixels at depths [mm]; NaN outside."""
        pixels = np.ascontiguousarray(pixels, np.int32)
        millimetres = np.ascontiguousarray(depth, np.float32)
        mapped = np.full((len(pixels), 2), np.nan, np.float32)
        self._library.sg_k2_map(
            self._handle,
            len(pixels),
            pixels.ctypes.data_as(ctypes.POINTER(ctypes.c_int32)),
            millimetres.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
            mapped.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
        )
        return mapped

    def close(self) -> None:
        """See :class:`KinectRuntime`."""
        self._ending.set()
        self._thread.join(2.0)
        if self._handle and not self._thread.is_alive():
            self._library.sg_k2_close(self._handle)
            self._handle = None

    def _fetch(self, kind: str) -> np.ndarray:
        with self._lock:
            self._new[kind] = False
            if self._last is None:
                raise Unavailable("no Kinect frame has come yet")
            return self._last[0 if kind == "color" else 1]

    def _work(self) -> None:
        color = self._color.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        depth = self._depth.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        while not self._ending.is_set():
            if not self._library.sg_k2_wait(self._handle, _WAIT, color, depth):
                continue
            millimetres = np.clip(np.nan_to_num(self._depth), 0, 65535).astype(np.uint16)
            with self._lock:
                self._last = (self._color.copy(), millimetres)
                self._new = {"color": True, "depth": True}


class PyKinect2Runtime:
    """PyKinect2's runtime, with its coordinate mapper; see :class:`KinectRuntime`."""

    serial = ""  # Microsoft's library has one sensor a machine and does not name it

    def __init__(self) -> None:
        problem = ""
        for package, name in _PYKINECT:
            try:
                kinds = import_module(f"{package}.{name}")
                module = import_module(f"{package}.PyKinectRuntime")
                wanted = kinds.FrameSourceTypes_Color | kinds.FrameSourceTypes_Depth
                self._runtime: Any = module.PyKinectRuntime(wanted)
            # Microsoft's pykinect2 asserts the size of a structure that 64-bit Python has not,
            # and calls time.clock, which Python has no more.
            except (ImportError, AssertionError, AttributeError) as error:
                problem += f"; {package}: {type(error).__name__}: {error}"
            else:
                self._kinds = kinds
                return
        raise MissingDependency(
            f"PyKinect2 cannot be used ({problem.lstrip('; ')}); install the Kinect for Windows "
            "SDK 2.0 and pip install pykinect2024, which continues it for today's Python"
        )

    def has_new_color_frame(self) -> bool:
        """See :class:`KinectRuntime`."""
        return bool(self._runtime.has_new_color_frame())

    def has_new_depth_frame(self) -> bool:
        """See :class:`KinectRuntime`."""
        return bool(self._runtime.has_new_depth_frame())

    def get_last_color_frame(self) -> np.ndarray:
        """See :class:`KinectRuntime`."""
        return np.array(self._runtime.get_last_color_frame(), np.uint8)

    def get_last_depth_frame(self) -> np.ndarray:
        """See :class:`KinectRuntime`."""
        return np.array(self._runtime.get_last_depth_frame(), np.uint16)

    def depth_intrinsics(self) -> tuple[float, float, float, float, float, float, float]:
        """See :class:`KinectRuntime`; the sensor tells them once it runs."""
        lens = self._runtime._mapper.GetDepthCameraIntrinsics()
        return (
            float(lens.FocalLengthX),
            float(lens.FocalLengthY),
            float(lens.PrincipalPointX),
            float(lens.PrincipalPointY),
            float(lens.RadialDistortionSecondOrder),
            float(lens.RadialDistortionFourthOrder),
            float(lens.RadialDistortionSixthOrder),
        )

    def map_depth_points_to_color_space(self, pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """See :class:`KinectRuntime`."""
        mapper, kinds = self._runtime._mapper, self._kinds
        mapped = np.full((len(pixels), 2), np.nan)
        for i, ((u, v), z) in enumerate(zip(pixels, depth, strict=True)):
            point = mapper.MapDepthPointToColorSpace(
                kinds._DepthSpacePoint(float(u), float(v)), int(z)
            )
            mapped[i] = (point.x, point.y)  # minus infinity where there is none
        return mapped

    def close(self) -> None:
        """See :class:`KinectRuntime`."""
        self._runtime.close()


def _shim() -> Any:
    """The shim's library with its signatures.

    Raises:
        MissingDependency: If it was not built, or libfreenect2 is not installed.
    """
    path = os.environ.get(LIBRARY_VARIABLE) or _LIBRARY
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise MissingDependency(
            f"the Kinect v2 needs libfreenect2 and the shim of drivers/kinect2 ({error}): install "
            "libfreenect2, then cmake -S drivers/kinect2 -B build/kinect2 && cmake --build "
            f"build/kinect2, and set {LIBRARY_VARIABLE} to build/kinect2/{_LIBRARY}"
        ) from error
    text, number = ctypes.c_char_p, ctypes.c_int32
    numbers, reals = ctypes.POINTER(number), ctypes.POINTER(ctypes.c_float)
    library.sg_k2_open.argtypes = [text, text, number]
    library.sg_k2_open.restype = ctypes.c_void_p
    library.sg_k2_serial.argtypes = [ctypes.c_void_p, text, number]
    library.sg_k2_serial.restype = None
    library.sg_k2_wait.argtypes = [ctypes.c_void_p, number, ctypes.POINTER(ctypes.c_uint8), reals]
    library.sg_k2_wait.restype = number
    library.sg_k2_depth_lens.argtypes = [ctypes.c_void_p, reals]
    library.sg_k2_depth_lens.restype = None
    library.sg_k2_map.argtypes = [ctypes.c_void_p, number, numbers, reals, reals]
    library.sg_k2_map.restype = None
    library.sg_k2_close.argtypes = [ctypes.c_void_p]
    library.sg_k2_close.restype = None
    return library
