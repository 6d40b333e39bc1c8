"""Observations that a caller sends along: pictures of cameras that this graph does not know."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
from selfgrasp.msg import Observation as ObservationMsg
from selfgrasp.msg import View as ViewMsg

from selfgrasp_nodes.errors import InvalidImage, Unavailable
from selfgrasp_nodes.nodes import conversions
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.observation_messages import view as plain_view
from selfgrasp_nodes.nodes.tf import TransformListener
from selfgrasp_nodes.perception.heightmap import build_heightmap
from selfgrasp_nodes.types import Observation, View

_WAIT = 2.0  # for a transform to become known [s]
_AHEAD = 0.5  # a stamp may be ahead of this node's clock by so much [s]


class GivenObservations:
    """Completes what a caller sends: poses from TF, a heightmap from the views, an id.

    The caller needs no node of ours for its cameras: colour, depth aligned to it
    and camera_info are enough, where TF knows the pictures' frame.

    Args:
        node: Whose robot's workspace and fixed frame hold.
    """

    def __init__(self, node: BaseNode):
        self._node = node
        self._listener: TransformListener | None = None
        self._lock = threading.Lock()
        self._count = 0

    def complete(self, message: ObservationMsg, max_age: float = 0.0) -> Observation:
        """The observation as a policy needs it.

        Args:
            message: With a heightmap, or with views that one is built from.
            max_age: Older ones are refused [s]; 0 takes any.

        Raises:
            InvalidImage: If there is neither a view nor a heightmap, or an image,
                camera_info or pose cannot be used.
            EmptyObservation: If no view measured any point of the workspace.
            Unavailable: If it is too old or from the future, or TF does not know
                where a camera is.
        """
        if not message.views and not message.heightmap:
            raise InvalidImage(
                "the observation holds neither a view nor a heightmap; fill in views (color, "
                "depth aligned to it, info), or leave the observation out"
            )
        stamps = [conversions.stamp(item.color.header.stamp) for item in message.views]
        stamp = conversions.stamp(message.header.stamp) or max(stamps, default=0)
        if max_age > 0:
            self._check_age(min([s for s in stamps if s] or [stamp]), max_age)
        views = [self._view(item, number) for number, item in enumerate(message.views)]
        if len({view.camera for view in views}) < len(views):
            raise InvalidImage("two views of the observation have the same camera name")
        # Read before anything is built: a damaged image of either kind is refused.
        rest = ObservationMsg(heightmap=message.heightmap, regions=message.regions)
        observation = replace(
            conversions.observation(rest),
            id=message.observation_id or self._identity(),
            stamp=stamp,
            views={view.camera: view for view in views},
        )
        if observation.heightmap is None:
            workspace = self._node.robot.workspace.workspace
            observation = replace(observation, heightmap=build_heightmap(views, workspace))
        return observation

    def _identity(self) -> str:
        with self._lock:
            self._count += 1
            return f"given-{time.time_ns() // 1_000_000:x}-{self._count:05d}"

    def _check_age(self, stamp: int, max_age: float) -> None:
        age = (self._node.now() - stamp) * 1e-9
        if age > max_age:
            raise Unavailable(
                f"stale image: the observation is {age:.1f} s old, older than max_age "
                f"({max_age:g} s); send a newer one, or leave max_age out"
            )
        if age < -_AHEAD:
            raise Unavailable(
                f"the observation's stamp is {-age:.1f} s ahead of this node's clock; let the "
                "machines' clocks agree (chrony), and use_sim_time be the same everywhere"
            )

    def _view(self, message: ViewMsg, number: int) -> View:
        name = message.camera or f"view{number}"
        view = plain_view(message)
        size = (message.info.height, message.info.width)
        if size != view.color.shape[:2] and any(size):
            raise InvalidImage(
                f"camera {name!r}: camera_info is for {size[1]}x{size[0]} but colour is "
                f"{view.color.shape[1]}x{view.color.shape[0]}"
            )
        return replace(view, camera=name, world_T_camera=self._pose(message, view, name))

    def _pose(self, message: ViewMsg, view: View, name: str) -> np.ndarray:
        """fixed_T_camera: the message's own, over TF where it is given in another frame."""
        parent = message.camera_pose.header.frame_id
        fixed = self._node.frame
        if parent:
            pose = view.world_T_camera
            if not np.isfinite(pose).all():
                raise InvalidImage(f"the pose of camera {name!r} is not finite")
            return pose if parent == fixed else self._lookup(parent, view.stamp) @ pose
        frame = message.color.header.frame_id or message.info.header.frame_id
        if not frame:
            raise InvalidImage(
                f"camera {name!r} has neither a pose (camera_pose, with its header.frame_id) nor "
                "a frame_id in its colour image; fill in one of them"
            )
        return self._lookup(frame, view.stamp)

    def _lookup(self, frame: str, stamp: int) -> np.ndarray:
        with self._lock:
            if self._listener is None:  # only now: a robot's /tf costs each node that hears it
                self._listener = TransformListener(self._node, self._node.group)
            listener = self._listener
        return listener.lookup(self._node.frame, frame, stamp or None, timeout=_WAIT)
