"""What the nodes of cameras share: a device's frames as topics, its faults as diagnostics."""

from __future__ import annotations

from typing import Any

from sensor_msgs.msg import CameraInfo, Image

from selfgrasp_nodes.nodes import conversions, image_messages, qos
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.params import Param
from selfgrasp_nodes.perception.devices.base import Device, Frame, Runner

DEVICE_PARAMETERS = (
    Param("camera", "", "Camera of the robot's description; empty: the overhead camera"),
    Param("camera_namespace", "", "Of its topics; empty: as the description says"),
    Param("serial", "", "Of the device; empty: the one that was calibrated, else the first"),
    Param("rate", 10.0, "Pictures a second at most [Hz]", low=0.1, high=90.0),
    Param("max_age", 1.0, "Older pictures are stale and not published [s]", low=0.05, high=10.0),
    Param("timeout", 2.0, "Silence after which it is opened again [s]", low=0.1, high=30.0),
    Param("retry", 1.0, "Pause before it is opened again [s]", low=0.1, high=60.0),
)


class DeviceCameraNode(BaseNode):
    """Publishes colour, depth aligned to it, and camera_info of one device.

    Subclasses make the device. A camera that is unplugged, silent or another than the
    calibrated one is said once in the log and shown in the diagnostics until it is over; the
    node goes on as soon as it can.
    """

    def __init__(self, **options: Any):
        """Start the device's thread; whether it is there shows later."""
        super().__init__(**options)
        values = self.values
        self.camera = self.robot.camera(values["camera"])
        base = values["camera_namespace"] or self.camera.namespace
        self._color = self.create_publisher(Image, f"{base}/color/image_raw", qos.IMAGE)
        self._depth = self.create_publisher(Image, f"{base}/depth/image_raw", qos.IMAGE)
        self._infos = [
            self.create_publisher(CameraInfo, f"{base}/{kind}/camera_info", qos.EVENT)
            for kind in ("color", "depth")
        ]
        self._known = {"serial": "", "model": ""}
        self.runner = Runner(
            self.make_device(),
            self._publish,
            self._say,
            timeout=values["timeout"],
            retry=values["retry"],
            max_age=values["max_age"],
            rate=values["rate"],
        )

    def make_device(self) -> Device:
        """The device, not opened yet."""
        raise NotImplementedError

    @property
    def wanted_serial(self) -> str:
        """Of the device: the parameter's, else that of the camera's calibration."""
        calibration = self.camera.calibration
        return self.values["serial"] or (calibration.serial if calibration else "")

    def diagnose(self) -> tuple[str, dict[str, object]]:
        """What is wrong with the device, which one it is, and what came from it."""
        return self.runner.problem, {
            "camera": self.camera.name,
            **self._known,
            "pictures": self.runner.frames,
            "opened": self.runner.opened,
        }

    def close(self) -> None:
        """Stop the device."""
        self.runner.close()
        super().close()

    def _publish(self, frame: Frame) -> None:
        """In the device's thread."""
        device = self.runner.device
        self._known = {"serial": device.serial, "model": device.model}
        head = conversions.header(self.camera.frame, frame.stamp)
        height, width = frame.depth.shape
        info = image_messages.camera_info(frame.intrinsics, width, height, head)
        info.d = frame.distortion.tolist()
        for publisher in self._infos:
            publisher.publish(info)
        self._depth.publish(image_messages.encode(frame.depth, "32FC1", head))
        self._color.publish(image_messages.encode(frame.color, "rgb8", head))

    def _say(self, problem: str) -> None:
        if problem:
            self.get_logger().error(f"camera {self.camera.name!r}: {problem}")
        else:
            self.get_logger().info(f"camera {self.camera.name!r} runs")
