"""PyKinect2's modules, with their names, classes and argument types, and a counterpart behind.

Written after PyKinect2024 0.1.2024 and Microsoft's PyKinect2 (which it continues). Which of
their faults they have is chosen, too.
"""

from __future__ import annotations

import ctypes
import types
from typing import Any


class _DepthSpacePoint(ctypes.Structure):
    _fields_ = (("x", ctypes.c_float), ("y", ctypes.c_float))


class _ColorSpacePoint(ctypes.Structure):
    _fields_ = (("x", ctypes.c_float), ("y", ctypes.c_float))


class _CameraIntrinsics(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_float)
        for name in (
            "FocalLengthX",
            "FocalLengthY",
            "PrincipalPointX",
            "PrincipalPointY",
            "RadialDistortionSecondOrder",
            "RadialDistortionFourthOrder",
            "RadialDistortionSixthOrder",
        )
    )


class _Mapper:
    """The SDK's ICoordinateMapper, one point at a call as through COM."""

    def __init__(self, runtime: Any):
        self._runtime = runtime

    def GetDepthCameraIntrinsics(self):
        return _CameraIntrinsics(*self._runtime.depth_intrinsics())

    def MapDepthPointToColorSpace(self, depthPoint, depth):
        import numpy as np

        assert isinstance(depthPoint, _DepthSpacePoint)  # comtypes takes nothing else
        millimetres = ctypes.c_ushort(depth).value
        pixel = np.array([[depthPoint.x, depthPoint.y]])
        (found,) = self._runtime.map_depth_points_to_color_space(
            pixel, np.array([float(millimetres)])
        )
        return _ColorSpacePoint(*found)


def modules(counterpart: Any, package: str, kinds_name: str) -> dict[str, types.ModuleType]:
    """The package's modules, by name, for ``sys.modules``."""
    kinds = types.ModuleType(f"{package}.{kinds_name}")
    kinds.FrameSourceTypes_Color, kinds.FrameSourceTypes_Depth = 1, 8  # type: ignore[attr-defined]
    kinds._DepthSpacePoint = _DepthSpacePoint  # type: ignore[attr-defined]
    runtimes = types.ModuleType(f"{package}.PyKinectRuntime")

    class PyKinectRuntime:
        def __init__(self, frame_source_types):
            assert frame_source_types == 1 | 8
            self._runtime = counterpart.start("")
            self._mapper = _Mapper(self._runtime)

        def has_new_color_frame(self):
            return self._runtime.has_new_color_frame()

        def has_new_depth_frame(self):
            return self._runtime.has_new_depth_frame()

        def get_last_color_frame(self):
            return self._runtime.get_last_color_frame()

        def get_last_depth_frame(self):
            return self._runtime.get_last_depth_frame()

        def close(self):
            self._runtime.close()

    runtimes.PyKinectRuntime = PyKinectRuntime  # type: ignore[attr-defined]
    parent = types.ModuleType(package)
    return {package: parent, kinds.__name__: kinds, runtimes.__name__: runtimes}
