"""Where the robot stands and its cameras are, on /tf_static, as its description says."""

from __future__ import annotations

from typing import Any

from selfgrasp_nodes.nodes import conversions
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.robot_state import RobotState
from selfgrasp_nodes.nodes.tf import TransformPublisher


class CameraFramesNode(BaseNode):
    """A real robot's drivers publish its links; the cell's own frames they do not know."""

    NAME = "camera_frames"

    def __init__(self, **options: Any):
        """Publish them, once and for late joiners."""
        super().__init__(**options)
        self._transforms = TransformPublisher(self)
        own = {self.robot.base_link, *(camera.frame for camera in self.robot.cameras)}
        self._transforms.send_fixed(
            [
                conversions.transform_message(parent, child, matrix, 0)
                for parent, child, matrix in RobotState(self.robot, self.frame).fixed
                if child in own
            ]
        )

    def diagnose(self) -> tuple[str, dict[str, object]]:
        """Which cameras were calibrated, and when."""
        return "", {
            camera.name: f"calibrated {camera.calibration.date}"
            if camera.calibration
            else "not calibrated"
            for camera in self.robot.cameras
        }
