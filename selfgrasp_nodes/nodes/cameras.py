"""Pairs of colour and depth pictures of one camera, as they arrive."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Empty

from selfgrasp_nodes.errors import InvalidImage, Unavailable, WrongCamera
from selfgrasp_nodes.nodes import conversions, image_messages, qos
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.tf import TransformListener
from selfgrasp_nodes.robots import CameraSpec
from selfgrasp_nodes.types import View

_KEPT = 4
_ASK_AGAIN = 0.25  # wall time without a picture after which it is asked for again [s]


@dataclass(frozen=True)
class Pair:
    """A colour and a depth message of the same moment."""

    stamp: int
    color: Image
    depth: Image


class CameraStream:
    """Subscribes to one camera and matches its messages by their stamps.

    Args:
        node: Whose executor hears the topics.
        camera: Its description.
        namespace: Of the topics; that of the description where empty.
        slop: Stamps that differ by less belong together [s].
        depth: Whether depth is needed.
    """

    def __init__(
        self,
        node: BaseNode,
        camera: CameraSpec,
        namespace: str = "",
        slop: float = 0.02,
        depth: bool = True,
    ):
        self.camera = camera
        self.namespace = namespace or camera.namespace
        self.received = 0
        self.last: Pair | None = None
        self.info: CameraInfo | None = None
        self._node = node
        self._slop = round(slop * 1e9)
        self._wants_depth = depth
        self._color: deque[Image] = deque(maxlen=_KEPT)
        self._depth: deque[Image] = deque(maxlen=_KEPT)
        self._changed = threading.Condition()
        self._trigger = node.create_publisher(Empty, f"{self.namespace}/trigger", qos.EVENT)

        def subscribe(kind: type, topic: str, take: Any) -> None:
            name = f"{self.namespace}/{topic}"
            node.create_subscription(kind, name, take, qos.camera(), callback_group=node.group)

        subscribe(Image, "color/image_raw", lambda m: self._take(m, self._color))
        subscribe(CameraInfo, "color/camera_info", self._take_info)
        if depth:
            subscribe(Image, "depth/image_raw", lambda m: self._take(m, self._depth))

    def trigger(self) -> None:
        """Ask a camera that exposes on request for a picture; others do not listen."""
        self._trigger.publish(Empty())

    def wait(self, not_before: int, timeout: float, ask: bool = True) -> Pair:
        """The newest pair exposed at or after a time.

        Args:
            not_before: Stamp [ns]; 0 takes any.
            timeout: Wall-clock limit [s].
            ask: Whether to trigger the camera.

        Raises:
            Unavailable: Naming the topic that is silent.
        """
        limit = time.monotonic() + timeout
        asked = 0.0
        with self._changed:
            while True:
                pair = self.last
                if pair is not None and pair.stamp >= not_before and self.info is not None:
                    return pair
                now = time.monotonic()
                if now >= limit:
                    raise Unavailable(self._why(not_before, timeout))
                if ask and now - asked > _ASK_AGAIN:
                    self.trigger()
                    asked = now
                self._changed.wait(min(0.05, limit - now))

    def view(self, pair: Pair, world_T_camera: np.ndarray) -> View:
        """The pair as a view, its depth scaled as the camera's calibration says.

        Raises:
            InvalidImage: If sizes or encodings do not fit.
            WrongCamera: If the camera's calibration was made with another one.
        """
        color = image_messages.rgb(pair.color)
        depth = image_messages.metres(pair.depth)
        if color.shape[:2] != depth.shape:
            raise InvalidImage(
                f"camera {self.camera.name!r}: colour is {color.shape[1]}x{color.shape[0]} but "
                f"depth {depth.shape[1]}x{depth.shape[0]}; let the driver align depth to colour"
            )
        assert self.info is not None
        matrix = image_messages.intrinsics(self.info)
        if (self.info.height, self.info.width) != color.shape[:2] and self.info.height:
            raise InvalidImage(
                f"camera {self.camera.name!r}: camera_info is for "
                f"{self.info.width}x{self.info.height} but colour is "
                f"{color.shape[1]}x{color.shape[0]}; correct the driver's calibration"
            )
        calibration = self.camera.calibration
        if calibration is not None:
            problem = calibration.mismatch(color.shape[1], color.shape[0], matrix)
            if problem:
                raise WrongCamera(
                    f"the calibration of camera {self.camera.name!r} ({calibration.date}) belongs "
                    f"to another camera or resolution: {problem}. Set the driver to what it was, "
                    "or run selfgrasp calibrate again"
                )
            if calibration.depth_scale != 1.0:
                depth = depth * np.float32(calibration.depth_scale)
        return View(self.camera.name, color, depth, matrix, world_T_camera, pair.stamp)

    def _take_info(self, message: CameraInfo) -> None:
        with self._changed:
            self.info = message
            self._changed.notify_all()

    def _take(self, message: Image, into: deque[Image]) -> None:
        with self._changed:
            into.append(message)
            self._match()
            self._changed.notify_all()

    def _match(self) -> None:
        for color in reversed(self._color):
            at = conversions.stamp(color.header.stamp)
            if self.last is not None and self.last.color is color:
                return
            if not self._wants_depth:
                self.last, self.received = Pair(at, color, color), self.received + 1
                return
            for depth in reversed(self._depth):
                if abs(conversions.stamp(depth.header.stamp) - at) <= self._slop:
                    self.last, self.received = Pair(at, color, depth), self.received + 1
                    return

    def _why(self, not_before: int, timeout: float) -> str:
        base = self._node.resolve_topic_name(self.namespace)
        if self.info is None:
            what = f"no camera_info on {base}/color/camera_info"
        elif not self._color:
            what = f"no picture on {base}/color/image_raw"
        elif self._wants_depth and not self._depth:
            what = f"no picture on {base}/depth/image_raw"
        elif self.last is None:
            what = f"colour and depth of {base} never have the same stamp"
        else:
            late = (not_before - self.last.stamp) / 1e9
            what = f"the newest picture of {base} is {late:.2f} s too old"
        return (
            f"{what} within {timeout:.3g} s; check that the camera or simulation runs and that "
            "its topics are remapped to this name"
        )


PATIENCE = 5.0
"""For transforms that are published once [s]: where processes start together, discovery may
repair a lost packet only after 3 s."""


def world_T_camera(
    listener: TransformListener,
    fixed_frame: str,
    pair: Pair,
    given: np.ndarray | None = None,
    timeout: float = 0.5,
) -> np.ndarray:
    """Pose of the camera at the moment of exposure: as given by parameter, else from TF.

    Waits at most ``timeout`` [s] for the transform; a service has :data:`PATIENCE`.

    Raises:
        Unavailable: If there is no such transform.
    """
    if given is not None:
        return given
    return listener.lookup(fixed_frame, pair.color.header.frame_id, pair.stamp, timeout)
