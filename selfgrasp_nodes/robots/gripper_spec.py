"""The description of a gripper. Units: m, rad, N."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from selfgrasp_nodes.robots.spec import Positive, Spec


class ToolIoSpec(Spec):
    """A gripper on the signals of a Universal Robots tool connector.

    One output closes it (high) and opens it (low), to widths set at the gripper; an
    analog input tells the opening, linearly between two voltages that you measure.

    Attributes:
        pin: The output, as the driver numbers it (16: tool output 0).
        topic: Of the driver's ur_msgs/ToolDataMsg.
        volts_closed: Of the analog input 2 with the fingers at ``width_min``.
        volts_open: With the fingers at ``width_max``.
    """

    pin: Annotated[int, Field(ge=0, le=17)] = 16
    topic: str = "io_and_status_controller/tool_data"
    volts_closed: float
    volts_open: float

    @model_validator(mode="after")
    def _apart(self) -> ToolIoSpec:
        if self.volts_closed == self.volts_open:
            raise ValueError("volts_closed and volts_open must differ; measure both")
        return self


class GripperSpec(Spec):
    """A parallel-jaw gripper.

    Attributes:
        kind: ``arc`` (the pads move on circles, RG2) or ``prismatic``.
        joint: The actuated joint in the URDF.
        width_min: Opening when closed.
        width_max: Opening when open.
        force_min: Smallest closing force that can be commanded.
        force_max: Largest.
        speed: Closing speed of the opening.
        measures_force: Whether the device reports a force.
        width_noise: Standard deviation of the reported width.
        force_noise: Standard deviation of the reported force.
        tcp_closed: Distance from the tool flange to the TCP along +z at
            ``width_min``.
        link_length: Length of the links that carry the pads (``arc`` only).
        angle_closed: Their angle to the approach axis at ``width_min``
            (``arc``; larger opens).
        joint_closed: Value of ``joint`` at ``width_min``.
        joint_open: Value of ``joint`` at ``width_max``.
        finger_thickness: Of one finger, along the closing direction.
        finger_width: Across it (the tool's x).
        pad_length: Height of a pad along the approach.
        command: Action that the driver offers; ``ur_tool_io`` for none, but the arm's
            outputs.
        command_topic: Its name; of the driver's ``set_io`` service for ``ur_tool_io``.
        tool_io: How it is wired (``ur_tool_io`` only).
        driver_joint: Name under which the driver commands the gripper and reports it in
            ``joint_states``; ``joint`` where empty.
        driver_unit: What its position is: the value of ``joint``, with a torque (or force)
            at it as effort; or the opening [m], with the closing force [N].
    """

    name: str
    kind: Literal["arc", "prismatic"]
    joint: str
    width_min: Annotated[float, Field(ge=0)]
    width_max: Positive
    force_min: Annotated[float, Field(ge=0)]
    force_max: Positive
    speed: Positive
    measures_force: bool
    width_noise: Annotated[float, Field(ge=0)] = 0.0005
    force_noise: Annotated[float, Field(ge=0)] = 0.5
    tcp_closed: Positive
    link_length: float = 0.0
    angle_closed: float = 0.0
    joint_closed: float
    joint_open: float
    finger_thickness: Positive
    finger_width: Positive
    pad_length: Positive
    command: Literal["gripper_command", "parallel_gripper_command", "ur_tool_io"] = (
        "parallel_gripper_command"
    )
    tool_io: ToolIoSpec | None = None
    command_topic: str
    driver_joint: str = ""
    driver_unit: Literal["joint", "width"] = "joint"

    @model_validator(mode="after")
    def _ordered(self) -> GripperSpec:
        if self.width_min >= self.width_max:
            raise ValueError("width_min must be smaller than width_max")
        if self.force_min > self.force_max:
            raise ValueError("force_min must not be larger than force_max")
        if (self.command == "ur_tool_io") != (self.tool_io is not None):
            raise ValueError("command ur_tool_io needs tool_io with its voltages, no other does")
        if self.kind == "arc" and self.link_length <= 0:
            raise ValueError("an arc gripper needs link_length > 0")
        return self
