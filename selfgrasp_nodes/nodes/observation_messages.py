"""Messages <-> what is seen: views, heightmaps, regions and whole observations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point32, Polygon
from selfgrasp.msg import Heightmap as HeightmapMsg
from selfgrasp.msg import Observation as ObservationMsg
from selfgrasp.msg import Region as RegionMsg
from selfgrasp.msg import Regions as RegionsMsg
from selfgrasp.msg import View as ViewMsg
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from selfgrasp_nodes.errors import InvalidImage
from selfgrasp_nodes.nodes import image_messages
from selfgrasp_nodes.nodes.geometry_messages import (
    header,
    stamp,
    transform,
    transform_message,
)
from selfgrasp_nodes.types import Heightmap, Observation, Region, Regions, View, Workspace


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
