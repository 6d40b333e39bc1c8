"""A Kinect v2 as a camera of the graph."""

from __future__ import annotations

from selfgrasp_nodes.nodes.device_camera import DEVICE_PARAMETERS, DeviceCameraNode
from selfgrasp_nodes.nodes.params import Param
from selfgrasp_nodes.perception.devices import kinect2_runtimes
from selfgrasp_nodes.perception.devices.base import Device
from selfgrasp_nodes.perception.devices.kinect2 import Kinect2, Kinect2Settings, KinectRuntime


class Kinect2Node(DeviceCameraNode):
    """A Kinect v2, its depth registered to colour."""

    NAME = "kinect2_camera"
    PARAMETERS = (
        *DEVICE_PARAMETERS,
        Param("scale", 0.5, "Size of the pictures against 1920x1080", low=0.1, high=1.0),
        Param("near", 0.3, "Depth below is invalid [m]", low=0.0, high=4.5),
        Param("far", 4.5, "Depth above is invalid [m]", low=0.5, high=8.0),
    )

    def make_device(self) -> Device:
        """See :class:`DeviceCameraNode`."""
        values = self.values
        settings = Kinect2Settings(
            self.wanted_serial, values["scale"], values["near"], values["far"]
        )
        return Kinect2(settings, self.start)

    @staticmethod
    def start(serial: str) -> KinectRuntime:
        """This machine's runtime."""
        return kinect2_runtimes.start(serial)
