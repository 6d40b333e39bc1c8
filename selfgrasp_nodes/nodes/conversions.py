"""Messages <-> the package's own types: what is seen and what is proposed.

Each pair of functions is inverse: ``x_message`` makes a message, ``x`` reads it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import (
    Point32,
    Polygon,
    Pose,
    PoseStamped,
    Transform,
    TransformStamped,
)
from selfgrasp.msg import Candidate as CandidateMsg
from selfgrasp.msg import Heightmap as HeightmapMsg
from selfgrasp.msg import Observation as ObservationMsg
from selfgrasp.msg import Outcome as OutcomeMsg
from selfgrasp.msg import Region as RegionMsg
from selfgrasp.msg import Regions as RegionsMsg
from selfgrasp.msg import View as ViewMsg
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidCandidate, InvalidImage, Unavailable
from selfgrasp_nodes.nodes import image_messages
from selfgrasp_nodes.types import (
    Candidate,
    Heightmap,
    Observation,
    Outcome,
    OutcomeCode,
    Primitive,
    Region,
    Regions,
    View,
    Workspace,
)


def time_message(stamp: int) -> Time:
    """A stamp [ns] as a message."""
    return Time(sec=int(stamp // 1_000_000_000), nanosec=int(stamp % 1_000_000_000))


def stamp(message: Time) -> int:
    """A time message as [ns]."""
    return int(message.sec) * 1_000_000_000 + int(message.nanosec)


def duration_message(seconds: float) -> Duration:
    """Seconds as a message."""
    nanoseconds = round(seconds * 1e9)
    return Duration(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def seconds(message: Duration) -> float:
    """A duration message in seconds."""
    return float(message.sec) + message.nanosec * 1e-9


def header(frame: str, at: int) -> Header:
    """A header of a frame and a stamp [ns]."""
    return Header(stamp=time_message(at), frame_id=frame)


def pose_message(matrix: np.ndarray) -> Pose:
    """A 4 x 4 transform as a pose."""
    w, x, y, z = geometry.quaternion(matrix)
    pose = Pose()
    pose.position.x, pose.position.y, pose.position.z = (float(v) for v in matrix[:3, 3])
    pose.orientation.w, pose.orientation.x = float(w), float(x)
    pose.orientation.y, pose.orientation.z = float(y), float(z)
    return pose


def pose(message: Pose) -> np.ndarray:
    """A pose as a 4 x 4 transform.

    Raises:
        InvalidCandidate: If a number is not finite, or the quaternion is zero.
    """
    p, q = message.position, message.orientation
    numbers = (p.x, p.y, p.z, q.w, q.x, q.y, q.z)
    if not all(math.isfinite(v) for v in numbers):
        raise InvalidCandidate(f"pose has a number that is not finite: {numbers}")
    if q.w**2 + q.x**2 + q.y**2 + q.z**2 < 1e-6:
        raise InvalidCandidate("pose has a zero quaternion; (0, 0, 0, 1) is no rotation")
    return geometry.from_quaternion((p.x, p.y, p.z), (q.w, q.x, q.y, q.z))


def pose_stamped(matrix: np.ndarray, frame: str, at: int = 0) -> PoseStamped:
    """A 4 x 4 transform as a stamped pose."""
    return PoseStamped(header=header(frame, at), pose=pose_message(matrix))


def transform_message(
    parent: str, child: str, parent_T_child: np.ndarray, at: int
) -> TransformStamped:
    """A 4 x 4 transform between named frames."""
    w, x, y, z = geometry.quaternion(parent_T_child)
    message = TransformStamped(header=header(parent, at), child_frame_id=child)
    moved, turned = message.transform.translation, message.transform.rotation
    moved.x, moved.y, moved.z = (float(v) for v in parent_T_child[:3, 3])
    turned.w, turned.x, turned.y, turned.z = float(w), float(x), float(y), float(z)
    return message


def transform(message: Transform) -> np.ndarray:
    """A transform message as a 4 x 4 matrix.

    Raises:
        Unavailable: If it holds no rotation.
    """
    p, q = message.translation, message.rotation
    if not q.w**2 + q.x**2 + q.y**2 + q.z**2 > 1e-6:
        raise Unavailable("a transform has a zero quaternion; its publisher is at fault")
    return geometry.from_quaternion((p.x, p.y, p.z), (q.w, q.x, q.y, q.z))


def view_message(view: View, fixed_frame: str, frame: str) -> ViewMsg:
    """A view as a message; ``frame`` is the camera's optical frame."""
    head = header(frame, view.stamp)
    height, width = view.depth.shape
    return ViewMsg(
        camera=view.camera,
        color=image_messages.encode(view.color, "rgb8", head),
        depth=image_messages.encode(np.asarray(view.depth, np.float32), "32FC1", head),
        info=image_messages.camera_info(view.intrinsics, width, height, head),
        camera_pose=transform_message(fixed_frame, frame, view.world_T_camera, view.stamp),
    )


def view(message: ViewMsg) -> View:
    """A view from a message.

    Raises:
        InvalidImage: If its images cannot be read, or differ in size.
    """
    color = image_messages.rgb(message.color)
    depth = image_messages.metres(message.depth)
    if color.shape[:2] != depth.shape:
        raise InvalidImage(
            f"camera {message.camera!r}: colour is {color.shape[1]}x{color.shape[0]} but depth "
            f"{depth.shape[1]}x{depth.shape[0]}; depth must be aligned to colour"
        )
    return View(
        camera=message.camera,
        color=color,
        depth=depth,
        intrinsics=image_messages.intrinsics(message.info),
        world_T_camera=transform(message.camera_pose.transform),
        stamp=stamp(message.color.header.stamp),
    )


def heightmap_message(
    heightmap: Heightmap,
    frame: str,
    at: int,
    observation_id: str = "",
    source_frames: Sequence[str] = (),
) -> HeightmapMsg:
    """A heightmap as a message."""
    head = header(frame, at)
    message = HeightmapMsg(
        header=head,
        observation_id=observation_id,
        resolution=float(heightmap.workspace.resolution),
        height_max=float(heightmap.workspace.height_max),
        color=image_messages.encode(heightmap.color, "rgb8", head),
        height=image_messages.encode(np.asarray(heightmap.height, np.float32), "32FC1", head),
        valid=image_messages.encode(heightmap.valid.astype(np.uint8) * 255, "mono8", head),
        source_frames=list(source_frames),
    )
    low = heightmap.workspace.low
    message.origin.position.x, message.origin.position.y = float(low[0]), float(low[1])
    return message


def heightmap(message: HeightmapMsg) -> Heightmap:
    """A heightmap from a message.

    Raises:
        InvalidImage: If its images cannot be read, differ in size, or hold
            a height that is not finite.
    """
    height = image_messages.decode(message.height)
    color = image_messages.rgb(message.color)
    valid = image_messages.decode(message.valid) > 0
    if not (height.shape == valid.shape == color.shape[:2]):
        raise InvalidImage("the images of the heightmap differ in size")
    if not np.isfinite(height).all():
        raise InvalidImage("the heightmap holds a height that is not finite")
    if not message.resolution > 0:
        raise InvalidImage(f"the heightmap's resolution is {message.resolution}; it must be > 0")
    rows, cols = height.shape
    size = (cols * message.resolution, rows * message.resolution)
    origin = message.origin.position
    center = (origin.x + size[0] / 2, origin.y + size[1] / 2)
    workspace = Workspace(center, size, message.resolution, message.height_max)
    return Heightmap(workspace, color, height, valid)


def regions_message(regions: Regions, head: Header, observation_id: str = "") -> RegionsMsg:
    """Regions as a message."""
    return RegionsMsg(
        header=head,
        observation_id=observation_id,
        camera=regions.camera,
        regions=[_region_message(region) for region in regions.regions],
        mask=image_messages.encode(regions.mask.astype(np.uint8) * 255, "mono8", head),
        background_ready=bool(regions.background_ready),
        arm_in_view=bool(regions.arm_in_view),
    )


def _region_message(region: Region) -> RegionMsg:
    x, y, width, height = (int(v) for v in region.box)
    return RegionMsg(
        id=int(region.id),
        box=RegionOfInterest(x_offset=x, y_offset=y, width=width, height=height),
        outline=Polygon(points=[Point32(x=float(u), y=float(v)) for u, v in region.outline]),
        area=float(region.area),
        score=float(region.score),
    )


def region(message: RegionMsg) -> Region:
    """One region from a message."""
    box = message.box
    outline = [(round(p.x), round(p.y)) for p in message.outline.points]
    return Region(
        id=int(message.id),
        box=(box.x_offset, box.y_offset, box.width, box.height),
        outline=np.array(outline, np.int32).reshape(-1, 2),
        area=float(message.area),
        score=float(message.score),
    )


def regions(message: RegionsMsg) -> Regions:
    """Regions from a message."""
    return Regions(
        camera=message.camera,
        regions=tuple(region(item) for item in message.regions),
        mask=image_messages.decode(message.mask) > 0,
        background_ready=message.background_ready,
        arm_in_view=message.arm_in_view,
    )


def observation_message(
    observation: Observation, fixed_frame: str, frames: dict[str, str]
) -> ObservationMsg:
    """An observation as a message; ``frames`` names each camera's optical frame."""
    head = header(fixed_frame, observation.stamp)
    message = ObservationMsg(header=head, observation_id=observation.id)
    message.views = [
        view_message(view, fixed_frame, frames.get(name, name))
        for name, view in observation.views.items()
    ]
    if observation.heightmap is not None:
        sources = [frames.get(name, name) for name in observation.views]
        message.heightmap = [
            heightmap_message(
                observation.heightmap, fixed_frame, observation.stamp, observation.id, sources
            )
        ]
    if observation.regions is not None:
        camera = observation.regions.camera
        region_head = header(frames.get(camera, camera), observation.stamp)
        message.regions = [regions_message(observation.regions, region_head, observation.id)]
    return message


def observation(message: ObservationMsg) -> Observation:
    """An observation from a message.

    Raises:
        InvalidImage: If an image in it cannot be read.
    """
    return Observation(
        id=message.observation_id,
        stamp=stamp(message.header.stamp),
        views={item.camera: view(item) for item in message.views},
        heightmap=heightmap(message.heightmap[0]) if message.heightmap else None,
        regions=regions(message.regions[0]) if message.regions else None,
    )


def candidate_message(candidate: Candidate, frame: str, at: int = 0) -> CandidateMsg:
    """A candidate as a message, its pose in the fixed ``frame``."""
    message = CandidateMsg(
        header=header(frame, at),
        primitive=int(candidate.primitive),
        pose=pose_message(candidate.pose),
        u=int(candidate.pixel[0]),
        v=int(candidate.pixel[1]),
        rotation_index=int(candidate.rotation_index),
    )
    for name in _CANDIDATE_NUMBERS:
        setattr(message, name, float(getattr(candidate, name)))
    for name in _CANDIDATE_TEXTS:
        setattr(message, name, str(getattr(candidate, name)))
    if candidate.primitive == Primitive.PUSH:
        message.push_direction.x = math.cos(candidate.angle)
        message.push_direction.y = math.sin(candidate.angle)
    return message


_CANDIDATE_NUMBERS = (
    *("angle", "width", "max_force", "push_length", "score", "probability", "propensity"),
)
_CANDIDATE_TEXTS = ("view", "policy", "checkpoint_digest", "arm", "id", "observation_id")


def candidate(message: CandidateMsg) -> Candidate:
    """A candidate from a message.

    Raises:
        InvalidCandidate: If a number of its pose is not finite, or the
            primitive is unknown.
    """
    try:
        primitive = Primitive(message.primitive)
    except ValueError:
        valid = ", ".join(f"{p.value} ({p.name})" for p in Primitive)
        raise InvalidCandidate(f"unknown primitive {message.primitive}; valid: {valid}") from None
    if not math.isfinite(message.angle):
        raise InvalidCandidate(f"the candidate's angle is not finite: {message.angle}")
    return Candidate(
        primitive=primitive,
        pose=pose(message.pose),
        pixel=(message.u, message.v),
        rotation_index=message.rotation_index,
        **{name: getattr(message, name) for name in _CANDIDATE_NUMBERS + _CANDIDATE_TEXTS},
    )


_OUTCOME_NUMBERS = (
    *("confidence", "width_closed", "width_lifted", "force_peak", "force_held", "payload"),
    "changed_area",
)


def outcome_message(outcome: Outcome) -> OutcomeMsg:
    """An outcome as a message."""
    return OutcomeMsg(
        code=int(outcome.code),
        reason=outcome.reason,
        rule_version=outcome.rule_version,
        force_measured=bool(outcome.force_measured),
        stalled=bool(outcome.stalled),
        **{name: float(getattr(outcome, name)) for name in _OUTCOME_NUMBERS},
    )


def outcome(message: OutcomeMsg) -> Outcome:
    """An outcome from a message."""
    return Outcome(
        code=OutcomeCode(message.code),
        reason=message.reason,
        rule_version=message.rule_version,
        force_measured=message.force_measured,
        stalled=message.stalled,
        **{name: getattr(message, name) for name in _OUTCOME_NUMBERS},
    )
