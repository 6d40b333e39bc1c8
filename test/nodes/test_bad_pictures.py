"""What a camera may do wrong, and what the heightmap and roi nodes answer."""

from __future__ import annotations

import numpy as np
import pytest
import rclpy
from selfgrasp.msg import Status
from selfgrasp.srv import Capture, CaptureBackground, SampleRegion
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Empty

from selfgrasp_nodes.nodes import conversions, image_messages
from selfgrasp_nodes.nodes.heightmap_node import HeightmapNode, given_pose
from selfgrasp_nodes.nodes.roi_node import RoiNode
from selfgrasp_nodes.nodes.tf import TransformPublisher
from selfgrasp_nodes.nodes.waiting import call
from selfgrasp_nodes.robots import load_robot

POSE = " ".join(
    str(v) for v in (*(-1.0, 0.0, 0.5), *load_robot("ur5_rg2").camera().pose.quaternion)
)
K = load_robot("ur5_rg2").camera().intrinsics


class Camera:
    """A camera that exposes when it is triggered, and does as it is told."""

    def __init__(self, spinner, space: str):
        self.node = spinner.add(rclpy.create_node("camera", namespace=space))
        self.color = np.full((480, 640, 3), 30, np.uint8)
        self.depth = np.full((480, 640), 0.9, np.float32)
        self.encoding, self.depth_encoding = "rgb8", "32FC1"
        self.info = True
        self.frame = "optical"
        self.ahead = 0.0  # of its clock over the others' [s]
        self._topics = [
            self.node.create_publisher(kind, f"cam/{name}", 5)
            for kind, name in (
                (Image, "color/image_raw"),
                (Image, "depth/image_raw"),
                (CameraInfo, "color/camera_info"),
            )
        ]
        self.node.create_subscription(Empty, "cam/trigger", self._expose, 5)

    def _expose(self, _: Empty) -> None:
        now = self.node.get_clock().now().nanoseconds
        head = conversions.header(self.frame, now + round(self.ahead * 1e9))
        if self.info:
            height, width = self.color.shape[:2]
            self._topics[2].publish(image_messages.camera_info(K, width, height, head))
        color = image_messages.encode(self.color, "rgb8", head)
        color.encoding = self.encoding
        self._topics[1].publish(image_messages.encode(self.depth, self.depth_encoding, head))
        self._topics[0].publish(color)


@pytest.fixture
def make(spinner, request):
    """Camera, and a way to call a node that looks through it."""
    space = f"/t{abs(hash(request.node.name)) % 100_000}"
    camera = Camera(spinner, space)

    def build(kind, service, name: str, **parameters):
        given = {"camera_namespace": "cam", "timeout": 1.0, "camera_pose": POSE, **parameters}
        spinner.add(kind(parameters=given, namespace=space))
        client = camera.node.create_client(service, name)
        return lambda value=None: call(client, value or service.Request(), 15.0)

    return camera, build


def capture(build, **parameters):
    return build(HeightmapNode, Capture, "capture", **parameters)()


def test_a_good_picture_becomes_a_heightmap(make) -> None:
    _, build = make
    answer = capture(build)
    assert answer.success, answer.message
    heightmap = conversions.heightmap(answer.observation.heightmap[0])
    assert heightmap.height.shape == (224, 224) and heightmap.valid.any()
    assert answer.observation.views[0].camera == "overhead"


def test_depth_in_millimetres(make) -> None:
    camera, build = make
    camera.depth, camera.depth_encoding = np.full((480, 640), 900, np.uint16), "16UC1"
    assert capture(build).success


def test_colour_and_depth_of_different_size(make) -> None:
    camera, build = make
    camera.depth = np.full((240, 320), 0.9, np.float32)
    answer = capture(build)
    assert answer.code == Status.INVALID_IMAGE
    assert "640x480" in answer.message and "320x240" in answer.message


def test_unknown_encoding(make) -> None:
    camera, build = make
    camera.encoding = "yuv422"
    answer = capture(build)
    assert answer.code == Status.INVALID_IMAGE
    assert "yuv422" in answer.message and "rgb8" in answer.message


def test_no_camera_info(make) -> None:
    camera, build = make
    camera.info = False
    answer = capture(build)
    assert answer.code == Status.UNAVAILABLE and "camera_info" in answer.message


def test_depth_that_is_nan_everywhere(make) -> None:
    camera, build = make
    camera.depth = np.full((480, 640), np.nan, np.float32)
    answer = capture(build)
    assert answer.code == Status.EMPTY_OBSERVATION
    assert "no valid depth" in answer.message


def test_missing_transform(make) -> None:
    _, build = make
    answer = capture(build, camera_pose="")
    assert answer.code == Status.UNAVAILABLE
    assert "'optical'" in answer.message and "'world'" in answer.message


@pytest.mark.parametrize(("ahead", "words"), [(-60.0, "too old"), (60.0, "ahead of this node")])
def test_stale_pictures_and_those_from_the_future(make, ahead, words) -> None:
    camera, build = make
    ask = build(HeightmapNode, Capture, "capture")
    camera.ahead = ahead
    answer = ask()
    assert answer.code == Status.UNAVAILABLE and words in answer.message, answer.message
    # A caller that allows for the age gets the old one; nobody gets one from the future.
    lenient = ask(Capture.Request(max_age=conversions.duration_message(90.0)))
    assert lenient.success == (ahead < 0), lenient.message


def test_transforms_from_the_future(make) -> None:
    camera, build = make
    ask = build(HeightmapNode, Capture, "capture", camera_pose="")
    frames = TransformPublisher(camera.node)

    def moves(ahead: float) -> None:
        stamp = camera.node.get_clock().now().nanoseconds + round(ahead * 1e9)
        pose = given_pose(POSE)
        frames.send([conversions.transform_message("world", "optical", pose, stamp)])

    for _ in range(20):  # until the topics have found each other
        moves(30.0)
        answer = ask()
        if "known that far back" in answer.message:
            break
    assert answer.code == Status.UNAVAILABLE
    assert "'optical' is not known that far back" in answer.message and "clocks" in answer.message
    moves(0.05)
    again = ask()
    assert again.success, again.message


def test_a_fault_does_not_stop_the_node(make) -> None:
    camera, build = make
    ask = build(HeightmapNode, Capture, "capture")
    camera.encoding = "yuv422"
    assert not ask().success
    camera.encoding = "rgb8"
    assert ask().success


def test_a_silent_camera(make) -> None:
    _, build = make
    answer = capture(build, camera_namespace="elsewhere")
    assert answer.code == Status.UNAVAILABLE and "elsewhere" in answer.message


def test_an_unknown_camera(make) -> None:
    _, build = make
    ask = build(HeightmapNode, Capture, "capture")
    answer = ask(Capture.Request(cameras=["front"]))
    assert answer.code == Status.UNKNOWN_NAME and "overhead" in answer.message


def test_regions_only_after_the_table_was_learnt(make) -> None:
    camera, build = make
    sample = build(RoiNode, SampleRegion, "sample_region")
    learn_client = camera.node.create_client(CaptureBackground, "capture_background")
    answer = sample()
    assert answer.code == Status.NOT_READY and "capture_background" in answer.message
    learnt = call(learn_client, CaptureBackground.Request(frames=3), 20.0)
    assert learnt.success and learnt.frames == 3
    camera.color = camera.color.copy()
    camera.color[230:260, 300:340] = (220, 60, 60)
    camera._expose(Empty())
    found = None
    for _ in range(50):
        found = sample(SampleRegion.Request(seed=4))
        if found.success:
            break
    assert found is not None and found.success, found.message
    assert 300 <= found.u < 340 and 230 <= found.v < 260 and 0 <= found.angle < np.pi
    again = sample(SampleRegion.Request(seed=4))
    assert (again.u, again.v, again.angle) == (found.u, found.v, found.angle)
