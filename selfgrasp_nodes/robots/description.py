"""Robots, arms, grippers and cameras, as validated dataclasses.

Filled from ``config/robots/*.yaml`` by :mod:`selfgrasp_nodes.robots.loader`;
an unknown key or a value out of range is refused with its reason (pydantic).
Units: m, rad, N, kg, s.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import UnknownName
from selfgrasp_nodes.types import Workspace

Vector3 = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]


class Spec(BaseModel):
    """Base of all descriptions: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PoseSpec(Spec):
    """A pose as written in YAML: translation [m], fixed-axis rpy [rad] or a quaternion.

    ``quaternion`` is (w, x, y, z) and wins over ``rpy`` where it is given.
    """

    xyz: Vector3 = (0.0, 0.0, 0.0)
    rpy: Vector3 = (0.0, 0.0, 0.0)
    quaternion: tuple[float, float, float, float] | None = None

    @property
    def matrix(self) -> np.ndarray:
        """The pose as a 4 x 4 transform."""
        if self.quaternion is not None:
            return geometry.from_quaternion(self.xyz, self.quaternion)
        return geometry.transform(self.xyz, self.rpy)


class WorkspaceSpec(Spec):
    """The rectangle of table that the robot works on; see ``types.Workspace``."""

    center: tuple[float, float]
    size: tuple[Positive, Positive] = (0.448, 0.448)
    resolution: Positive = 0.002
    height_max: Positive = 0.4

    @property
    def workspace(self) -> Workspace:
        """As the plain dataclass that perception and policies use."""
        return Workspace(self.center, self.size, self.resolution, self.height_max)


class BinSpec(Spec):
    """Where grasped objects are dropped.

    Attributes:
        center: (x, y) of the bin's middle in the world frame.
        size: Inner (x, y, height) of the bin.
        floor: World z of the bin's floor.
        release_height: World z of the TCP when the fingers open.
    """

    center: tuple[float, float]
    size: tuple[Positive, Positive, Positive] = (0.3, 0.3, 0.1)
    floor: float = 0.0
    release_height: float = 0.25


class TableSpec(Spec):
    """The table's top, whose upper face is the world's z = 0.

    Attributes:
        center: (x, y) of its middle in the world frame.
        size: (x, y) extents.
        thickness: Of the top.
    """

    center: tuple[float, float]
    size: tuple[Positive, Positive]
    thickness: Positive = 0.04


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


class ArmSpec(Spec):
    """One arm, its controllers and its gripper.

    Attributes:
        name: As used in candidates and goals.
        joints: Names, base to wrist.
        tip_link: The tool flange in the URDF; its +z is the approach.
        home: Joint positions out of every camera's view of the workspace.
        ready: Joint positions over the workspace, the seed of inverse kinematics.
        velocity_limits: Per joint.
        acceleration_limits: Per joint.
        wrench_noise: Standard deviation of (force, torque) of the wrist sensor.
        joint_noise: Standard deviation of (position, velocity, effort) of the
            reported joint states.
        trajectory_action: Name of its FollowJointTrajectory action.
        wrench_topic: Topic of its wrist wrench.
        hand_camera: Name of the camera on it, or empty.
        bin: Where it drops things; the robot's bin where None.
    """

    name: str
    joints: tuple[str, ...]
    tip_link: str
    home: tuple[float, ...]
    ready: tuple[float, ...]
    velocity_limits: tuple[Positive, ...]
    acceleration_limits: tuple[Positive, ...]
    wrench_noise: tuple[float, float] = (0.3, 0.02)
    joint_noise: tuple[float, float, float] = (0.0001, 0.002, 0.3)
    trajectory_action: str
    wrench_topic: str
    hand_camera: str = ""
    bin: BinSpec | None = None
    gripper: GripperSpec

    @model_validator(mode="after")
    def _one_value_a_joint(self) -> ArmSpec:
        for key in ("home", "ready", "velocity_limits", "acceleration_limits"):
            if len(getattr(self, key)) != len(self.joints):
                raise ValueError(f"{key} needs one value for each of {len(self.joints)} joints")
        return self


class CalibrationSpec(Spec):
    """Where a camera's pose comes from, and whose it is; `selfgrasp calibrate` writes it.

    Attributes:
        date: When it was made.
        serial: Of the device; empty where its driver does not tell.
        width: Of the pictures that it was made with.
        height: Of them.
        intrinsics: Their (fx, fy, cx, cy).
        depth_scale: Measured depth times this is true.
        pictures: That it rests on.
        reprojection: Median error of a picture [px].
        error_3d: Median error of a picture's corners [m].
    """

    date: str
    serial: str = ""
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    intrinsics: tuple[Positive, Positive, float, float]
    depth_scale: Annotated[float, Field(gt=0.5, lt=2.0)] = 1.0
    pictures: Annotated[int, Field(gt=0)]
    reprojection: float
    error_3d: float

    def mismatch(self, width: int, height: int, intrinsics: np.ndarray) -> str:
        """Why pictures are not of the calibrated camera; empty where they may be.

        Args:
            width: Of the pictures.
            height: Of them.
            intrinsics: Their 3 x 3 matrix.
        """
        if (width, height) != (self.width, self.height):
            return f"calibrated at {self.width}x{self.height}, pictures are {width}x{height}"
        now = np.array([intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]])
        then = np.array(self.intrinsics)
        # Two devices of one model differ by a percent; another model or lens by far more.
        if np.any(np.abs(now - then) > 0.003 * max(width, height)):
            return (
                f"calibrated with fx, fy, cx, cy = {np.round(then, 1).tolist()}, pictures have "
                f"{np.round(now, 1).tolist()}"
            )
        return ""


class CameraSpec(Spec):
    """A pinhole RGB-D camera; depth is aligned to colour.

    Attributes:
        parent: ``world`` or a link of the URDF.
        pose: parent_T_camera, of the optical frame.
        frame: Name of the optical frame in TF.
        namespace: Of its topics ``color/image_raw``, ``depth/image_raw`` and
            their ``camera_info``.
        depth_noise: (a, b): standard deviation a + b z^2 [m] at distance z [m].
        depth_dropout: Share of pixels at depth edges that are lost.
        color_noise: Standard deviation of each channel (of 255).
        calibration: Where ``pose`` comes from; None where it is a drawing's or a guess.
    """

    name: str
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    fx: Positive
    fy: Positive
    cx: float
    cy: float
    parent: str = "world"
    pose: PoseSpec
    frame: str
    namespace: str
    depth_noise: tuple[float, float] = (0.0005, 0.001)
    depth_dropout: float = 0.3
    color_noise: float = 2.0
    calibration: CalibrationSpec | None = None

    @property
    def depth_scale(self) -> float:
        """Factor on measured depth; 1 where the camera was not calibrated."""
        return self.calibration.depth_scale if self.calibration else 1.0

    @model_serializer(mode="wrap")
    def _as_before(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A camera that was not calibrated keeps the digest of records made before."""
        values: dict[str, Any] = serialise(self)
        if self.calibration is None:
            values.pop("calibration", None)
        return values

    @property
    def intrinsics(self) -> np.ndarray:
        """3 x 3 pinhole matrix."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])


class RobotSpec(Spec):
    """Everything about one robot cell.

    Attributes:
        urdf: xacro file, relative to the share folder.
        base_link: Root link of the robot in the URDF.
        world_T_base: Where it stands.
        overhead_camera: The camera that heightmaps and regions come from.
        spectator: A simulated camera for films of the scene; no sensor.
        speed_scale: Largest share of the configured speeds that this cell runs at.
        blocks: Kinds of block that random scenes of this cell draw from (see
            ``simulation.shapes``); all where empty.
    """

    name: str
    urdf: str
    xacro_args: dict[str, str] = {}
    base_link: str
    world_T_base: PoseSpec
    workspace: WorkspaceSpec
    table: TableSpec
    bin: BinSpec
    overhead_camera: str
    arms: tuple[ArmSpec, ...]
    cameras: tuple[CameraSpec, ...]
    spectator: CameraSpec | None = None
    speed_scale: Annotated[float, Field(gt=0, le=1)] = 1.0
    blocks: tuple[str, ...] = ()

    @property
    def rendered_cameras(self) -> tuple[CameraSpec, ...]:
        """The robot's cameras, and the simulated spectator where there is one."""
        return self.cameras + ((self.spectator,) if self.spectator else ())

    def arm(self, name: str = "") -> ArmSpec:
        """The arm of that name; the first one where the name is empty."""
        if not name:
            return self.arms[0]
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise UnknownName("arm", name, [a.name for a in self.arms])

    def bin_of(self, arm: ArmSpec) -> BinSpec:
        """Where an arm drops what it grasped."""
        return arm.bin or self.bin

    @property
    def bins(self) -> tuple[BinSpec, ...]:
        """All bins of the cell, each once."""
        return tuple(dict.fromkeys(self.bin_of(arm) for arm in self.arms))

    def camera(self, name: str = "") -> CameraSpec:
        """The camera of that name; the overhead camera where the name is empty."""
        for camera in self.rendered_cameras:
            if camera.name == (name or self.overhead_camera):
                return camera
        raise UnknownName("camera", name, [c.name for c in self.cameras])
