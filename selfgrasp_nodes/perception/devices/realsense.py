"""Intel RealSense cameras through pyrealsense2: any model with depth and colour.

Works on the sensors themselves rather than on the library's pipeline, which refuses
devices that it did not find itself (a software device, a recording).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from selfgrasp_nodes.errors import InvalidConfig, MissingDependency, Unavailable
from selfgrasp_nodes.perception.devices.base import Frame, check_serial

FILTERS = ("decimation", "threshold", "spatial", "temporal", "hole_filling")
"""The library's filters on depth, in the order in which Intel recommends them."""

_EPOCH_DOMAINS = ("system_time", "global_time")  # timestamps in ms since the epoch
_RECENT = 3600e9  # a timestamp further than this from now is no time of day [ns]


@dataclass(frozen=True)
class RealSenseSettings:
    """What is asked of the camera.

    Attributes:
        serial: Of the device; the first one where empty.
        width: Of the colour picture.
        height: Of it.
        depth_width: Of the depth picture; any that the device offers where 0.
        depth_height: Of it; likewise.
        fps: Of both [Hz].
        filters: Names out of :data:`FILTERS`.
        near: Depth below is invalid (``threshold``) [m].
        far: Depth above is invalid (``threshold``) [m].
    """

    serial: str = ""
    width: int = 640
    height: int = 480
    depth_width: int = 0
    depth_height: int = 0
    fps: int = 30
    filters: tuple[str, ...] = ("spatial", "temporal")
    near: float = 0.1
    far: float = 4.0

    def __post_init__(self) -> None:
        """Refuse filters that do not exist.

        Raises:
            InvalidConfig: Listing the valid ones.
        """
        unknown = [name for name in self.filters if name not in FILTERS]
        if unknown:
            raise InvalidConfig(
                f"no RealSense filter {', '.join(unknown)}; valid: {', '.join(FILTERS)}"
            )


def library() -> Any:
    """pyrealsense2.

    Raises:
        MissingDependency: If it is not installed.
    """
    try:
        return import_module("pyrealsense2")
    except ImportError as error:
        raise MissingDependency(
            f"pyrealsense2 cannot be used ({error}); pip install pyrealsense2, and "
            "apt-get install libusb-1.0-0"
        ) from error


def connected() -> list[Any]:
    """Devices that are plugged in; a new context looks afresh."""
    return list(library().context().query_devices())


class RealSense:
    """One camera; see :class:`selfgrasp_nodes.perception.devices.base.Device`.

    Args:
        settings: What is asked of it.
        find: Lists the library's devices; those plugged in by default.
    """

    def __init__(self, settings: RealSenseSettings, find: Callable[[], Sequence[Any]] = connected):
        self.settings = settings
        self.serial = self.model = ""
        self._find = find
        self._sensors: list[Any] = []
        self._queue: Any = None
        self._filters: list[Any] = []
        self._align: Any = None

    def open(self) -> None:
        """See :class:`Device`."""
        rs = library()
        device = self._pick(rs)
        self.serial = _info(rs, device, "serial_number")
        self.model = _info(rs, device, "name")
        wanted = self.settings
        color = self._stream(
            rs, device, "color", (wanted.width, wanted.height), (rs.format.rgb8, rs.format.bgr8)
        )
        depth = self._stream(
            rs, device, "depth", (wanted.depth_width, wanted.depth_height), (rs.format.z16,)
        )
        self._syncer = rs.syncer(1)
        self._filters = self._make_filters(rs)
        self._align = rs.align(rs.stream.color)
        try:
            by_sensor: dict[int, tuple[Any, list[Any]]] = {}
            for number, sensor, profile in (color, depth):
                by_sensor.setdefault(number, (sensor, []))[1].append(profile)
            for sensor, profiles in by_sensor.values():
                sensor.open(profiles)
                self._sensors.append(sensor)
                sensor.start(self._syncer)
        except RuntimeError as error:
            self.close()
            raise Unavailable(
                f"{self.model} {self.serial} cannot be started ({error}); another program may "
                "have it, or the USB port be too slow for this resolution"
            ) from error

    def read(self, timeout: float) -> Frame:
        """See :class:`Device`."""
        limit = time.monotonic() + timeout
        while self._sensors:
            left = limit - time.monotonic()
            if left <= 0:
                break
            arrived, frames = self._syncer.try_wait_for_frames(max(int(left * 1000), 1))
            if not arrived:
                break
            frames = frames.as_frameset()
            if frames.get_color_frame() and frames.get_depth_frame():
                return self._frame(frames)
        raise Unavailable(
            f"no picture from {self.model or 'the RealSense camera'} {self.serial} within "
            f"{timeout:g} s; is it still plugged in? It is opened again as soon as it is there"
        )

    def close(self) -> None:
        """See :class:`Device`."""
        sensors, self._sensors = self._sensors, []
        for sensor in sensors:
            for stop in (sensor.stop, sensor.close):
                with contextlib.suppress(RuntimeError):  # it may be gone already
                    stop()
        self.serial = self.model = ""

    def _pick(self, rs: Any) -> Any:
        """The device with the wanted serial number, or the first."""
        devices = list(self._find())
        if not devices:
            raise Unavailable(
                "no RealSense camera is plugged in; check cable, USB port and udev rules "
                "(rs-enumerate-devices lists what is found)"
            )
        serials = [_info(rs, device, "serial_number") for device in devices]
        if self.settings.serial and self.settings.serial not in serials:
            check_serial(self.settings.serial, ", ".join(serials))
        return devices[serials.index(self.settings.serial) if self.settings.serial else 0]

    def _stream(
        self, rs: Any, device: Any, kind: str, size: tuple[int, int], formats: Sequence[Any]
    ) -> tuple[int, Any, Any]:
        """(number of the sensor, sensor, profile) that comes nearest to what is wanted."""
        offered: list[tuple[Any, int, Any, Any]] = []
        for number, sensor in enumerate(device.query_sensors()):
            for profile in sensor.get_stream_profiles():
                if profile.stream_type() == getattr(rs.stream, kind):
                    video = profile.as_video_stream_profile()
                    if video.format() in formats:
                        offered.append((video, number, sensor, profile))
        fitting = [
            item
            for item in offered
            if item[0].fps() == self.settings.fps
            and (not any(size) or (item[0].width(), item[0].height()) == size)
        ]
        if not fitting:
            listed = sorted({f"{v.width()}x{v.height()}@{v.fps()}" for v, _, _, _ in offered})
            raise InvalidConfig(
                f"{self.model} has no {kind} of {size[0]}x{size[1]} at {self.settings.fps} Hz; "
                f"valid: {', '.join(listed) or '(none)'}"
            )
        # Where the size is left open: the most pixels; then the format named first.
        best = max(
            fitting,
            key=lambda item: (
                item[0].width() * item[0].height(),
                -list(formats).index(item[0].format()),
            ),
        )
        return best[1], best[2], best[3]

    def _make_filters(self, rs: Any) -> list[Any]:
        chosen: list[Any] = []
        names = [name for name in FILTERS if name in self.settings.filters]
        smooths = [name for name in names if name in ("spatial", "temporal")]
        for name in names:
            if smooths and name == smooths[0]:
                chosen.append(rs.disparity_transform(True))
            if name == "threshold":
                chosen.append(rs.threshold_filter(self.settings.near, self.settings.far))
            else:
                chosen.append(getattr(rs, f"{name}_filter")())
            if smooths and name == smooths[-1]:
                chosen.append(rs.disparity_transform(False))
        return chosen

    def _frame(self, frames: Any) -> Frame:
        rs = library()
        for step in self._filters:
            frames = step.process(frames).as_frameset()
        turned = _color_T_depth(frames)
        frames = self._align.process(frames).as_frameset()
        color, depth = frames.get_color_frame(), frames.get_depth_frame()
        pixels = np.array(np.asanyarray(color.get_data()))
        if color.profile.format() == rs.format.bgr8:
            pixels = pixels[..., ::-1]
        metres = np.asanyarray(depth.get_data()).astype(np.float32)
        metres *= np.float32(depth.get_units())
        k = color.profile.as_video_stream_profile().get_intrinsics()
        matrix = np.array([[k.fx, 0, k.ppx], [0, k.fy, k.ppy], [0, 0, 1.0]])
        metres = _along_color_axis(metres, matrix, turned)
        # The inverse model of D400 cameras has all-zero coefficients.
        plumb_bob = k.model == rs.distortion.brown_conrady
        distortion = np.array(k.coeffs if plumb_bob else [0.0] * 5, float)
        return Frame(np.ascontiguousarray(pixels), metres, matrix, distortion, _stamp(color))


def _color_T_depth(frames: Any) -> np.ndarray:
    """Pose of the depth camera in the colour camera's frame, 4 x 4."""
    depth, color = frames.get_depth_frame().profile, frames.get_color_frame().profile
    extrinsics = depth.get_extrinsics_to(color)
    pose = np.eye(4)
    pose[:3, :3] = np.array(extrinsics.rotation).reshape(3, 3).T  # stored column by column
    pose[:3, 3] = extrinsics.translation
    return pose


def _along_color_axis(
    depth: np.ndarray, intrinsics: np.ndarray, color_T_depth: np.ndarray
) -> np.ndarray:
    """Aligned depth measured along the colour camera's axis.

    The library's alignment moves depth to the colour pixel that sees the point, but
    leaves it as it was along the depth camera's axis: with half a degree between the two that
    is off by millimetres. With the colour pixel's ray r, depth-camera z and rotation R,
    translation t: z = z' (R' r)_3 - (R' t)_3, solved for z'.
    """
    height, width = depth.shape
    axis, shift = color_T_depth[:3, 2], float(color_T_depth[:3, 2] @ color_T_depth[:3, 3])
    x = (np.arange(width) - intrinsics[0, 2]) / intrinsics[0, 0] * axis[0]
    y = (np.arange(height) - intrinsics[1, 2]) / intrinsics[1, 1] * axis[1] + axis[2]
    along = (x[None, :] + y[:, None]).astype(np.float32)
    return np.where(depth > 0, (depth + np.float32(shift)) / along, np.float32(0))


def _stamp(frame: Any) -> int:
    """Time of exposure since the epoch [ns]; that of arrival where the camera has none."""
    now = time.time_ns()
    stamp = round(frame.get_timestamp() * 1e6)
    if frame.get_frame_timestamp_domain().name in _EPOCH_DOMAINS and abs(now - stamp) < _RECENT:
        return stamp
    return now


def _info(rs: Any, device: Any, name: str) -> str:
    key = getattr(rs.camera_info, name)
    return str(device.get_info(key)) if device.supports(key) else ""
