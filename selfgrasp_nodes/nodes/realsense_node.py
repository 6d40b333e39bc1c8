"""An Intel RealSense as a camera of the graph."""

from __future__ import annotations

from selfgrasp_nodes.nodes.device_camera import DEVICE_PARAMETERS, DeviceCameraNode
from selfgrasp_nodes.nodes.params import Param
from selfgrasp_nodes.perception.devices import realsense
from selfgrasp_nodes.perception.devices.base import Device


class RealSenseNode(DeviceCameraNode):
    """Any RealSense with depth and colour, through pyrealsense2."""

    NAME = "realsense_camera"
    PARAMETERS = (
        *DEVICE_PARAMETERS,
        Param("width", 640, "Of the colour picture [px]", low=160, high=4096),
        Param("height", 480, "Of the colour picture [px]", low=90, high=3072),
        Param("depth_width", 0, "Of the depth picture [px]; 0: the largest", low=0, high=4096),
        Param("depth_height", 0, "Of the depth picture [px]; 0: the largest", low=0, high=3072),
        Param("fps", 30, "At which the camera runs [Hz]", low=1, high=300),
        Param(
            "filters",
            ["spatial", "temporal"],
            "On depth, in this order: " + ", ".join(realsense.FILTERS),
        ),
        Param("near", 0.1, "Threshold filter: depth below is invalid [m]", low=0.0, high=10.0),
        Param("far", 4.0, "Threshold filter: depth above is invalid [m]", low=0.1, high=16.0),
    )

    def make_device(self) -> Device:
        """See :class:`DeviceCameraNode`."""
        values = self.values
        names = ("width", "height", "depth_width", "depth_height", "fps", "near", "far")
        settings = realsense.RealSenseSettings(
            serial=self.wanted_serial,
            filters=tuple(name for name in values["filters"] if name),
            **{name: values[name] for name in names},
        )
        realsense.library()  # without it the node need not start
        return realsense.RealSense(settings, self.find)

    @staticmethod
    def find() -> list:
        """Devices that are plugged in."""
        return realsense.connected()
