"""Pictures to heightmaps: a topic, and a service that takes a fresh observation."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from selfgrasp.msg import Heightmap as HeightmapMsg
from selfgrasp.msg import Observation as ObservationMsg
from selfgrasp.msg import Regions as RegionsMsg
from selfgrasp.srv import Capture
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import MarkerArray

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidConfig, SelfGraspError, Unavailable
from selfgrasp_nodes.nodes import conversions, qos
from selfgrasp_nodes.nodes.arm_view import ArmView
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.cameras import PATIENCE, CameraStream, Pair, world_T_camera
from selfgrasp_nodes.nodes.markers import cell_markers, heightmap_points
from selfgrasp_nodes.nodes.params import Param
from selfgrasp_nodes.nodes.status import set_ok
from selfgrasp_nodes.nodes.tf import TransformListener
from selfgrasp_nodes.perception.heightmap import build_heightmap
from selfgrasp_nodes.types import Heightmap, View, Workspace

CAMERA_PARAMETERS = (
    Param("camera", "", "Camera of the robot's description; empty: the overhead camera"),
    Param("camera_namespace", "", "Of its topics; empty: as the description says"),
    Param("camera_pose", "", "fixed_T_camera: 'x y z qw qx qy qz'; empty: from TF"),
    Param("sync_slop", 0.02, "Stamps that differ by less belong together [s]", low=0.0, high=1.0),
    Param("timeout", 5.0, "Wall-clock limit for a picture [s]", low=0.1, high=60.0),
)

_AHEAD = 2.0  # a stamp may be ahead of this node's clock by so much [s]: /clock may be late


def given_pose(text: str) -> np.ndarray | None:
    """The ``camera_pose`` parameter as a 4 x 4 transform; None where it is empty.

    Raises:
        InvalidConfig: If it is not 7 numbers.
    """
    if not text.strip():
        return None
    try:
        numbers = [float(v) for v in text.replace(",", " ").split()]
    except ValueError:
        numbers = []
    if len(numbers) != 7:
        raise InvalidConfig(f"camera_pose needs 7 numbers: x y z qw qx qy qz, not {text!r}")
    return geometry.from_quaternion(numbers[:3], numbers[3:])


class HeightmapNode(BaseNode):
    """Colour, depth, camera_info and camera pose in; heightmap and observations out."""

    NAME = "heightmap"
    PARAMETERS = (
        *CAMERA_PARAMETERS,
        Param("stream", False, "A heightmap of each picture, not only of those asked for"),
        Param("max_rate", 5.0, "Of heightmaps in a stream [Hz]", low=0.1, high=60.0),
        Param("resolution", 0.0, "Edge of a cell [m]; 0: as described", low=0.0, high=0.05),
        Param("wait_regions", 1.0, "Longest wait for regions of a picture [s]", low=0.0, high=5.0),
    )

    def __init__(self, **options: Any):
        """Subscribe to the cameras and offer the service."""
        super().__init__(**options)
        values = self.values
        workspace = self.robot.workspace.workspace
        if values["resolution"]:
            workspace = Workspace(
                workspace.center, workspace.size, values["resolution"], workspace.height_max
            )
        self.workspace = workspace
        self._pose = given_pose(values["camera_pose"])
        self._main = self.robot.camera(values["camera"]).name
        self._tf = TransformListener(self, self.group)
        self._streams: dict[str, CameraStream] = {}
        self._streams_lock = threading.Lock()
        self._listen(self._main)
        for arm in self.robot.arms:
            if arm.hand_camera:
                self._listen(arm.hand_camera)
        self._arms = ArmView(self)
        self._frames = {camera.name: camera.frame for camera in self.robot.cameras}
        self._topic = self.create_publisher(HeightmapMsg, "heightmap", qos.LATCHED)
        self._points = self.create_publisher(PointCloud2, "heightmap/points", qos.LATCHED)
        self._outlines = self.create_publisher(MarkerArray, "cell/markers", qos.LATCHED)
        self._outlines.publish(cell_markers(self.robot, conversions.header(self.frame, 0)))
        self._observations = self.create_publisher(ObservationMsg, "observation", qos.EVENT)
        self._regions: dict[int, RegionsMsg] = {}
        self._regions_changed = threading.Condition()
        self.create_subscription(
            RegionsMsg, "regions", self._take_regions, qos.EVENT, callback_group=self.group
        )
        self.serve(Capture, "capture", self._capture)
        self._count = 0
        self._prefix = f"obs-{time.time_ns() // 1_000_000:x}"
        self._last_ms = float("nan")
        self._problem = ""
        self._streamed = 0
        if values["stream"]:
            self.every(1.0 / values["max_rate"], self._stream)

    def diagnose(self) -> tuple[str, dict[str, object]]:
        """What was seen and how long a heightmap took."""
        figures: dict[str, object] = {
            f"pictures/{name}": stream.received for name, stream in self._streams.items()
        }
        return self._problem, {**figures, "heightmap_ms": self._last_ms, "captures": self._count}

    def _listen(self, name: str) -> CameraStream:
        """Subscribe to a camera, once."""
        with self._streams_lock:
            if name not in self._streams:
                self._streams[name] = CameraStream(
                    self,
                    self.robot.camera(name),
                    self.values["camera_namespace"] if name == self._main else "",
                    self.values["sync_slop"],
                )
            return self._streams[name]

    def _capture(self, request: Capture.Request, response: Capture.Response) -> None:
        names = list(request.cameras) or [self._main]
        names = [self.robot.camera(name).name for name in names]
        # The graph's clock may lag by a tick: a picture is asked for anew in any case.
        not_before = self.now() - round(conversions.seconds(request.max_age) * 1e9)
        limit = time.monotonic() + self.values["timeout"]
        for name in names:
            self._listen(name).trigger()
        views: dict[str, View] = {}
        pair: Pair | None = None
        for name in names:
            stream = self._streams[name]
            while True:
                left = max(limit - time.monotonic(), 0.05)
                pair = stream.wait(not_before, left)
                self._check_stamp(name, pair.stamp)
                if not request.require_arm_clear or name != self._main:
                    break
                blocking = self._arms.blocking(pair.stamp)
                if not blocking:
                    break
                if time.monotonic() > limit:
                    raise Unavailable(
                        f"arm {blocking!r} stayed in view of camera {name!r}; send it home "
                        "(move_arm), or ask without require_arm_clear"
                    )
                not_before = pair.stamp + 1
            views[name] = self._view(name, pair, PATIENCE)
        main = views.get(self._main)
        regions = self._wait_regions(main.stamp) if main is not None else None
        observation = self._observe(views, regions)
        response.observation = observation
        set_ok(response)

    def _check_stamp(self, name: str, stamp: int) -> None:
        """Refuse pictures that are yet to be taken: no transform and no arm fits them."""
        ahead = (stamp - self.now()) * 1e-9
        if ahead > _AHEAD:
            raise Unavailable(
                f"the newest picture of camera {name!r} is stamped {ahead:.1f} s ahead of this "
                "node's clock; let the clocks agree (chrony), and use_sim_time be the same "
                "for camera and nodes"
            )

    def _view(self, name: str, pair: Pair, timeout: float = 0.5) -> View:
        given = self._pose if name == self._main else None
        pose = world_T_camera(self._tf, self.frame, pair, given, timeout)
        return self._streams[name].view(pair, pose)

    def _observe(self, views: dict[str, View], regions: RegionsMsg | None) -> ObservationMsg:
        """Build the heightmap, publish it, and return the whole observation.

        There is one where the main camera was asked for: what a hand's camera sees alone shows
        its own fingers above the table, which motion would take for something to keep clear of.
        """
        self._count += 1
        identity = f"{self._prefix}-{self._count:05d}"
        stamp = max(view.stamp for view in views.values())
        message = ObservationMsg(
            header=conversions.header(self.frame, stamp), observation_id=identity
        )
        message.views = [
            conversions.view_message(view, self.frame, self._frames[name])
            for name, view in views.items()
        ]
        if regions is not None:
            regions.observation_id = identity
            message.regions = [regions]
        if self._main in views:
            message.heightmap = [self._make_map(views, stamp, identity)]
        if self._observations.get_subscription_count():
            self._observations.publish(message)
        return message

    def _make_map(self, views: dict[str, View], stamp: int, identity: str) -> HeightmapMsg:
        """The heightmap of some views, built and published."""
        begun = time.perf_counter()
        heightmap: Heightmap = build_heightmap(list(views.values()), self.workspace)
        self._last_ms = (time.perf_counter() - begun) * 1e3
        sources = [self._frames[name] for name in views]
        message = conversions.heightmap_message(heightmap, self.frame, stamp, identity, sources)
        self._topic.publish(message)
        if self._points.get_subscription_count():
            self._points.publish(heightmap_points(heightmap, message.header))
        return message

    def _stream(self) -> None:
        pair = self._streams[self._main].last
        if pair is None or pair.stamp <= self._streamed:
            return
        self._streamed = pair.stamp
        try:
            self._observe({self._main: self._view(self._main, pair)}, None)
            self._problem = ""
        except SelfGraspError as error:
            self._problem = str(error)
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)

    def _take_regions(self, message: RegionsMsg) -> None:
        with self._regions_changed:
            self._regions[conversions.stamp(message.header.stamp)] = message
            for old in sorted(self._regions)[:-8]:
                del self._regions[old]
            self._regions_changed.notify_all()

    def _wait_regions(self, stamp: int) -> RegionsMsg | None:
        """The regions of the picture of that stamp, if the roi node runs and is ready."""
        if not self.count_publishers("regions") or not self.values["wait_regions"]:
            return None
        with self._regions_changed:
            self._regions_changed.wait_for(
                lambda: stamp in self._regions, timeout=self.values["wait_regions"]
            )
            return self._regions.get(stamp)
