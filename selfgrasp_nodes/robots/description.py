"""The description of a robot cell: workspace, table, bins and arms, as validated dataclasses.

Filled from ``config/robots/*.yaml`` by :mod:`selfgrasp_nodes.robots.loader`;
an unknown key or a value out of range is refused with its reason (pydantic).
Grippers and cameras are described in :mod:`selfgrasp_nodes.robots.gripper_spec` and
:mod:`selfgrasp_nodes.robots.camera_spec`. Units: m, rad, N, kg, s.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from selfgrasp_nodes.errors import UnknownName
from selfgrasp_nodes.robots.camera_spec import CameraSpec
from selfgrasp_nodes.robots.gripper_spec import GripperSpec
from selfgrasp_nodes.robots.spec import PoseSpec, Positive, Spec
from selfgrasp_nodes.types import Workspace


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
