"""The simulated cameras' topics: pictures on request, rendered beside the stepping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Empty

from selfgrasp_nodes.nodes import conversions, image_messages, qos
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.sim_loop import SimLoop
from selfgrasp_nodes.robots import CameraSpec
from selfgrasp_nodes.simulation.noise import CameraNoise
from selfgrasp_nodes.simulation.rendering import RenderThread
from selfgrasp_nodes.simulation.world import World
from selfgrasp_nodes.types import View


class _Topics:
    """Publishers of one camera."""

    def __init__(self, node: BaseNode, camera: CameraSpec):
        base = camera.namespace
        self.color = node.create_publisher(Image, f"{base}/color/image_raw", qos.IMAGE)
        self.depth = node.create_publisher(Image, f"{base}/depth/image_raw", qos.IMAGE)
        self.infos = [
            node.create_publisher(CameraInfo, f"{base}/{kind}/camera_info", qos.EVENT)
            for kind in ("color", "depth")
        ]


class SimCameras:
    """Renders a camera whenever ``<namespace>/trigger`` asks for it.

    Args:
        node: Owner of the topics.
        loop: The world.
        exposed: Called in the stepping thread with the time of each exposure [ns].
    """

    def __init__(self, node: BaseNode, loop: SimLoop, exposed: Callable[[int], None]):
        self._node, self._loop, self._exposed = node, loop, exposed
        self._specs = {camera.name: camera for camera in node.robot.rendered_cameras}
        self._topics = {name: _Topics(node, spec) for name, spec in self._specs.items()}
        seed = node.values["seed"]
        self._noise = {name: CameraNoise(spec, seed) for name, spec in self._specs.items()}
        self._waiting: set[str] = set()
        self._lock = threading.Lock()
        self.pictures = 0
        self.render_ms = 0.0
        self._thread = self._new_thread(loop.world)
        for name, spec in self._specs.items():
            node.create_subscription(
                Empty,
                f"{spec.namespace}/trigger",
                lambda _, name=name: self.request(name),
                qos.EVENT,
                callback_group=node.group,
            )

    def heard(self, camera: str) -> bool:
        """Whether somebody listens to the camera's pictures."""
        topics = self._topics[camera]
        return any(t.get_subscription_count() for t in (topics.color, topics.depth))

    def request(self, camera: str) -> None:
        """Take a picture as soon as possible and publish it; any thread."""
        with self._lock:
            if camera in self._waiting:
                return  # that one has not been exposed yet: it serves both
            self._waiting.add(camera)
        self._loop.post(lambda world: self._expose(world, camera))

    def reset(self) -> None:
        """The world has a new model."""
        old = self._thread
        self._thread = self._loop.do(self._new_thread)
        old.close()

    def close(self) -> None:
        """End the rendering thread."""
        self._thread.close()

    def _new_thread(self, world: World) -> RenderThread:
        return RenderThread(world.model, list(self._specs.values()), self._finish)

    def _expose(self, world: World, camera: str) -> None:
        with self._lock:
            self._waiting.discard(camera)
        now = self._loop.now
        begun = time.monotonic()
        self._exposed(now)
        if self._thread._model is not world.model:
            return  # between a reset and its new thread
        future = self._thread.request(world.data, camera, now)
        future.add_done_callback(lambda done: self._publish(done, begun))

    def _finish(self, view: View) -> View:
        """Noise; in the rendering thread."""
        if not self._node.values["noise"]:
            return view
        color, depth = self._noise[view.camera].apply(view.color, view.depth)
        return View(view.camera, color, depth, view.intrinsics, view.world_T_camera, view.stamp)

    def _publish(self, done: Future[View], begun: float) -> None:
        """In the rendering thread."""
        try:
            view = done.result()
        except Exception as error:
            self._node.get_logger().error(f"rendering failed: {error}")
            return
        spec, topics = self._specs[view.camera], self._topics[view.camera]
        head = conversions.header(spec.frame, view.stamp)
        info = image_messages.camera_info(view.intrinsics, spec.width, spec.height, head)
        for publisher in topics.infos:
            publisher.publish(info)
        # A device reports its own depth, which the scale of its calibration sets right.
        measured = view.depth if spec.depth_scale == 1.0 else view.depth / spec.depth_scale
        topics.depth.publish(image_messages.encode(measured.astype(np.float32), "32FC1", head))
        topics.color.publish(image_messages.encode(view.color, "rgb8", head))
        self.pictures += 1
        self.render_ms = (time.monotonic() - begun) * 1e3
