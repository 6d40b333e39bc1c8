"""Regions of interest by background subtraction: a topic, and the random sampler."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from selfgrasp.msg import Regions as RegionsMsg
from selfgrasp.srv import CaptureBackground, SampleRegion
from sensor_msgs.msg import Image

from selfgrasp_nodes.errors import EmptyObservation, NotReady, SelfGraspError, Unavailable
from selfgrasp_nodes.geometry import wrap_grasp
from selfgrasp_nodes.nodes import conversions, image_messages, qos
from selfgrasp_nodes.nodes.arm_view import ArmView
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.cameras import PATIENCE, CameraStream, Pair, world_T_camera
from selfgrasp_nodes.nodes.heightmap_node import CAMERA_PARAMETERS, given_pose
from selfgrasp_nodes.nodes.params import Param
from selfgrasp_nodes.nodes.status import set_ok
from selfgrasp_nodes.nodes.tf import TransformListener
from selfgrasp_nodes.perception.pixels import workspace_mask
from selfgrasp_nodes.perception.regions import BackgroundModel, RegionOptions
from selfgrasp_nodes.types import Regions, View


class RoiNode(BaseNode):
    """Colour (and depth) in; regions that differ from the learnt empty table out."""

    NAME = "roi"
    PARAMETERS = (
        *CAMERA_PARAMETERS,
        Param("frames", 10, "Pictures that the empty table is learnt from", low=1, high=500),
        Param("use_depth", True, "Whether what stands above the table counts, too"),
        Param("adapt", True, "Follow slow changes of light"),
        Param("height", 0.12, "Highest objects [m], for the workspace's outline", low=0.0, high=1),
        Param("threshold", 16.0, "Squared distance from which a pixel is foreground", low=1.0),
        Param("min_area", 60.0, "Smaller regions are noise [px]", low=1.0),
    )

    def __init__(self, **options: Any):
        """Subscribe and offer the services."""
        super().__init__(**options)
        values = self.values
        self._camera = self.robot.camera(values["camera"])
        self._pose = given_pose(values["camera_pose"])
        self._model = BackgroundModel(
            RegionOptions(threshold=values["threshold"], min_area=values["min_area"])
        )
        self._lock = threading.Lock()
        self._tf = TransformListener(self, self.group)
        self._arms = ArmView(self)
        self._stream = CameraStream(
            self, self._camera, values["camera_namespace"], values["sync_slop"]
        )
        self._latest: tuple[Pair, Regions] | None = None
        self._problem = ""
        self._left_out = 0
        self._topic = self.create_publisher(RegionsMsg, "regions", qos.EVENT)
        self._background = self.create_publisher(Image, "regions/background", qos.LATCHED)
        self.serve(CaptureBackground, "capture_background", self._learn)
        self.serve(SampleRegion, "sample_region", self._sample)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="roi", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the working thread."""
        self._ending.set()
        self._thread.join(1.0)
        super().close()

    def diagnose(self) -> tuple[str, dict[str, object]]:
        """Whether the table was learnt, and what was found."""
        found = len(self._latest[1].regions) if self._latest else 0
        return self._problem, {
            "background_ready": self._model.ready,
            "regions": found,
            "frames": self._stream.received,
            "left_out": self._left_out,
        }

    def _work(self) -> None:
        """Regions of each new picture, in a thread of its own."""
        done = 0
        while not self._ending.is_set():
            pair = self._stream.last
            if pair is None or pair.stamp <= done or self._stream.info is None:
                self._ending.wait(0.005)
                continue
            done = pair.stamp
            try:
                self._find(pair)
                self._problem = ""
            except SelfGraspError as error:
                self._problem = str(error)
                self.get_logger().warning(str(error), throttle_duration_sec=5.0)

    def _find(self, pair: Pair) -> None:
        if not self._model.ready:
            # Says that it lives, without the work: a mask would be empty anyway.
            empty = np.zeros((pair.color.height, pair.color.width), bool)
            self._publish(pair, Regions(self._camera.name, (), empty, background_ready=False))
            return
        view = self._view(pair)
        blocking = bool(self._arms.blocking(pair.stamp))
        self._left_out += blocking
        with self._lock:
            regions = self._model.regions(
                view.color,
                self._camera.name,
                depth=view.depth if self.values["use_depth"] else None,
                within=self._mask(view),
                arm_in_view=blocking,
            )
            if self.values["adapt"]:
                self._model.adapt(view.color, arm_in_view=blocking)
        if not blocking:
            self._latest = (pair, regions)
        self._publish(pair, regions)

    def _publish(self, pair: Pair, regions: Regions) -> None:
        self._topic.publish(conversions.regions_message(regions, pair.color.header))

    def _view(self, pair: Pair, timeout: float = 0.5) -> View:
        pose = world_T_camera(self._tf, self.frame, pair, self._pose, timeout)
        return self._stream.view(pair, pose)

    def _mask(self, view: View) -> np.ndarray:
        workspace = self.robot.workspace.workspace
        shape = view.color.shape[:2]
        return workspace_mask(
            view.intrinsics, view.world_T_camera, workspace, shape, self.values["height"]
        )

    def _learn(
        self, request: CaptureBackground.Request, response: CaptureBackground.Response
    ) -> None:
        if request.camera:
            wanted = self.robot.camera(request.camera).name
            if wanted != self._camera.name:
                raise Unavailable(
                    f"this node looks through {self._camera.name!r}; start another roi node "
                    f"with camera:={wanted} for that one"
                )
        count = request.frames or self.values["frames"]
        colors: list[np.ndarray] = []
        depths: list[np.ndarray] = []
        stamp = self.now()
        limit = time.monotonic() + self.values["timeout"] + 0.5 * count
        while len(colors) < count:
            pair = self._stream.wait(stamp, self.values["timeout"])  # of each, not of all
            stamp = pair.stamp + 1
            blocking = self._arms.blocking(pair.stamp)
            if blocking and time.monotonic() > limit:
                raise Unavailable(
                    f"arm {blocking!r} is in the camera's view; send it home before the empty "
                    "table is learnt"
                )
            if not blocking:
                view = self._view(pair, PATIENCE)
                colors.append(view.color)
                depths.append(view.depth)
        with self._lock:
            self._model.learn_empty(colors, depths if self.values["use_depth"] else ())
            picture = self._model.background
        head = conversions.header(self._camera.frame, stamp)
        self._background.publish(image_messages.encode(picture, "rgb8", head))
        response.frames = len(colors)
        set_ok(response, "the empty table is learnt")

    def _sample(self, request: SampleRegion.Request, response: SampleRegion.Response) -> None:
        if request.camera:
            self.robot.camera(request.camera)
        if not self._model.ready:
            raise NotReady("the empty table is not learnt; call capture_background first")
        if self._latest is None:
            raise Unavailable("no picture since the table was learnt; trigger the camera")
        pair, regions = self._latest
        if not regions.regions:
            raise EmptyObservation("nothing stands out against the empty table")
        rng = np.random.default_rng(int(request.seed))
        region = regions.regions[int(rng.integers(len(regions.regions)))]
        x, y, width, height = region.box
        inside = regions.mask[y : y + height, x : x + width]
        rows, columns = np.nonzero(inside)
        chosen = int(rng.integers(len(rows)))
        message = conversions.regions_message(
            Regions(regions.camera, (region,), regions.mask), pair.color.header
        )
        response.header, response.region = pair.color.header, message.regions[0]
        response.u, response.v = int(x + columns[chosen]), int(y + rows[chosen])
        response.angle = wrap_grasp(float(rng.uniform(0, np.pi)))
        set_ok(response)
