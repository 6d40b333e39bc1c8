"""Kinect v2: colour 1920 x 1080 and depth 512 x 424, registered here.

The device talks to a runtime object with the interface of PyKinect2's ``PyKinectRuntime``:
PyKinect2 itself on Windows, libfreenect2 on Linux (``kinect2_runtimes``), or
whatever else offers these methods.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from selfgrasp_nodes.errors import InvalidImage, Unavailable
from selfgrasp_nodes.perception.devices.base import Frame, check_serial
from selfgrasp_nodes.perception.registration import Registration

COLOR_SIZE = (1920, 1080)
DEPTH_SIZE = (512, 424)
_POLL = 0.004  # between two looks for a new frame [s]
_APART = 0.05  # colour and depth that came further apart are no pair [s]
_FIT_ERROR = 2.0  # of the fitted colour camera, above which the mapping is no camera's [px]


class KinectRuntime(Protocol):
    """PyKinect2's ``PyKinectRuntime``, and what it keeps in its coordinate mapper.

    Pictures are mirrored left to right, as both vendors' libraries deliver them.
    """

    serial: str

    def has_new_color_frame(self) -> bool:
        """Whether a colour frame came since the last was fetched."""

    def get_last_color_frame(self) -> np.ndarray:
        """(1080 * 1920 * 4,) uint8, BGRA."""

    def has_new_depth_frame(self) -> bool:
        """Whether a depth frame came since the last was fetched."""

    def get_last_depth_frame(self) -> np.ndarray:
        """(424 * 512,) uint16 [mm], 0 invalid."""

    def depth_intrinsics(self) -> tuple[float, float, float, float, float, float, float]:
        """(fx, fy, cx, cy, k1, k2, k3) of the depth picture as delivered; zeros: not known yet."""

    def map_depth_points_to_color_space(self, pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Colour pixels (N, 2) of depth pixels (N, 2) int at depths (N,) [mm]; NaN: none."""

    def close(self) -> None:
        """Stop."""


@dataclass(frozen=True)
class Kinect2Settings:
    """What is asked of the camera.

    Attributes:
        serial: Of the device; any where empty.
        scale: Size of the pictures against 1920 x 1080: 0.5 is 960 x 540.
        near: Depth below is invalid [m].
        far: Depth above is invalid [m].
    """

    serial: str = ""
    scale: float = 0.5
    near: float = 0.3
    far: float = 4.5


@dataclass(frozen=True)
class Lenses:
    """Both cameras of one Kinect, pictures not mirrored.

    Attributes:
        depth_intrinsics: 3 x 3.
        depth_distortion: (5,) plumb-bob.
        color_intrinsics: 3 x 3 at 1920 x 1080.
        color_T_depth: 4 x 4.
        error: RMS of the fit [px].
    """

    depth_intrinsics: np.ndarray
    depth_distortion: np.ndarray
    color_intrinsics: np.ndarray
    color_T_depth: np.ndarray
    error: float


class Kinect2:
    """One camera; see :class:`selfgrasp_nodes.perception.devices.base.Device`.

    Args:
        settings: What is asked of it.
        start: Makes a runtime; raises ``Unavailable`` or ``MissingDependency``.
    """

    model_name = "Kinect v2"

    def __init__(self, settings: Kinect2Settings, start: Callable[[str], KinectRuntime]):
        self.settings = settings
        self.serial = self.model = ""
        self._start = start
        self._runtime: KinectRuntime | None = None
        self._registration: Registration | None = None

    def open(self) -> None:
        """See :class:`Device`."""
        runtime = self._start(self.settings.serial)
        try:
            check_serial(self.settings.serial, runtime.serial)
        except Exception:
            runtime.close()
            raise
        self._runtime = runtime
        self.serial, self.model = runtime.serial, self.model_name

    def read(self, timeout: float) -> Frame:
        """See :class:`Device`."""
        runtime = self._runtime
        if runtime is None:
            raise Unavailable("the Kinect is not open")
        limit = time.monotonic() + timeout
        color = depth = None
        color_at = depth_at = 0
        while True:
            if runtime.has_new_color_frame():
                color, color_at = runtime.get_last_color_frame(), time.time_ns()
            if runtime.has_new_depth_frame():
                depth, depth_at = runtime.get_last_depth_frame(), time.time_ns()
            together = abs(color_at - depth_at) <= _APART * 1e9
            if color is not None and depth is not None and together:
                return self._frame(runtime, color, depth, min(color_at, depth_at))
            if time.monotonic() > limit:
                missing = "colour" if color is None else "depth" if depth is None else "matching"
                raise Unavailable(
                    f"no {missing} frame from the Kinect within {timeout:g} s; check its power "
                    "supply and that it is on a USB 3 port of its own; it is opened again"
                )
            time.sleep(_POLL)

    def close(self) -> None:
        """See :class:`Device`."""
        runtime, self._runtime = self._runtime, None
        self._registration = None
        self.serial = self.model = ""
        if runtime is not None:
            runtime.close()

    def _frame(
        self, runtime: KinectRuntime, color: np.ndarray, depth: np.ndarray, stamp: int
    ) -> Frame:
        bgra, millimetres = (
            _shaped(color, (*COLOR_SIZE[::-1], 4)),
            _shaped(depth, DEPTH_SIZE[::-1]),
        )
        if self._registration is None:
            self._registration = self._register(lenses(runtime))
        registration = self._registration
        rgb = cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGB)
        if registration.color_size != COLOR_SIZE:
            rgb = cv2.resize(rgb, registration.color_size, interpolation=cv2.INTER_AREA)
        rgb = cv2.flip(rgb, 1)
        metres = cv2.flip(millimetres, 1).astype(np.float32) * np.float32(0.001)
        metres[(metres < self.settings.near) | (metres > self.settings.far)] = 0
        return Frame(
            color=rgb,
            depth=registration.apply(metres),
            intrinsics=registration.color_intrinsics,
            distortion=np.zeros(5),
            stamp=stamp,
        )

    def _register(self, found: Lenses) -> Registration:
        scale = self.settings.scale
        size = (round(COLOR_SIZE[0] * scale), round(COLOR_SIZE[1] * scale))
        matrix = found.color_intrinsics.copy()
        matrix[:2] *= scale
        # Pixel centres are at whole numbers: the edge at -0.5 stays where it is.
        matrix[:2, 2] += (scale - 1) / 2
        return Registration(
            found.depth_intrinsics,
            found.depth_distortion,
            DEPTH_SIZE,
            matrix,
            found.color_T_depth,
            size,
        )


def lenses(runtime: KinectRuntime) -> Lenses:
    """Both cameras, the colour camera fitted to the runtime's coordinate mapping.

    Neither library tells the colour camera's pose, but each maps depth pixels into the
    colour picture: a pinhole camera is fitted to that map over the working range.

    Raises:
        Unavailable: If the runtime does not know its lenses yet.
        InvalidImage: If the map is no pinhole camera's.
    """
    fx, fy, cx, cy, k1, k2, k3 = runtime.depth_intrinsics()
    if not fx > 0:
        raise Unavailable("the Kinect does not tell its lenses yet; it is opened again")
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    distortion = np.array([k1, k2, 0, 0, k3], float)
    u, v = np.meshgrid(
        np.arange(20, DEPTH_SIZE[0] - 19, 24), np.arange(20, DEPTH_SIZE[1] - 19, 24)
    )
    pixels = np.stack([u, v], axis=-1).reshape(-1, 2)
    flat = cv2.undistortPoints(pixels.astype(float).reshape(-1, 1, 2), matrix, distortion)
    rays = np.concatenate([flat.reshape(-1, 2), np.ones((len(pixels), 1))], axis=1)
    points, mapped = [], []
    for metres in (0.6, 0.9, 1.4, 2.2):
        points.append(rays * metres)
        millimetres = np.full(len(pixels), 1000 * metres)
        mapped.append(runtime.map_depth_points_to_color_space(pixels, millimetres))
    solid, target = np.concatenate(points), np.concatenate(mapped).astype(float)
    inside = np.isfinite(target).all(axis=1)
    inside &= ((target > 0) & (target < COLOR_SIZE)).all(axis=1)
    if inside.sum() < 100:
        raise Unavailable("the Kinect does not map depth to colour yet; it is opened again")
    color, pose, error = _fit(solid[inside], target[inside])
    if error > _FIT_ERROR:
        raise InvalidImage(
            f"the Kinect's map from depth to colour is no pinhole camera's ({error:.1f} px off); "
            "its factory calibration cannot be used"
        )
    return _unmirrored(matrix, distortion, color, pose, error)


def _fit(points: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """(intrinsics, color_T_depth, RMS error [px]) of the camera that sees points at pixels."""
    begin = np.array([1060.0, 1060.0, COLOR_SIZE[0] / 2, COLOR_SIZE[1] / 2, 0, 0, 0, 0, 0, 0])

    def residuals(p: np.ndarray) -> np.ndarray:
        seen = points @ Rotation.from_rotvec(p[4:7]).as_matrix().T + p[7:10]
        return np.asarray((seen[:, :2] / seen[:, 2:] * p[:2] + p[2:4] - pixels).ravel())

    p = least_squares(residuals, begin, x_scale=[100, 100, 100, 100, *[0.01] * 6]).x
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(p[4:7]).as_matrix()
    pose[:3, 3] = p[7:10]
    error = float(np.sqrt(2 * np.mean(residuals(p) ** 2)))
    return np.array([[p[0], 0, p[2]], [0, p[1], p[3]], [0, 0, 1.0]]), pose, error


def _unmirrored(
    depth: np.ndarray, distortion: np.ndarray, color: np.ndarray, pose: np.ndarray, error: float
) -> Lenses:
    """Lenses of the pictures flipped left to right: x changes its sign everywhere."""
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    depth, color = depth.copy(), color.copy()
    depth[0, 2] = DEPTH_SIZE[0] - 1 - depth[0, 2]
    color[0, 2] = COLOR_SIZE[0] - 1 - color[0, 2]
    return Lenses(depth, distortion, color, flip @ pose @ flip, error)


def _shaped(flat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    flat = np.asarray(flat)
    if flat.size != int(np.prod(shape)):
        raise InvalidImage(
            f"a Kinect frame of {flat.size} numbers came, {int(np.prod(shape))} were expected; "
            "is this another sensor?"
        )
    return flat.reshape(shape)
