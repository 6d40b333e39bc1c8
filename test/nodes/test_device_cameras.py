"""The camera nodes on counterparts of their devices: topics, diagnostics, faults."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

sys.path.insert(0, str(Path(__file__).parents[1] / "perception"))

from kinect_counterpart import KinectCounterpart
from kinect_counterpart import render as render_kinect

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import MissingDependency, WrongCamera
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.camera_frames_node import CameraFramesNode
from selfgrasp_nodes.nodes.cameras import CameraStream
from selfgrasp_nodes.nodes.kinect2_node import Kinect2Node
from selfgrasp_nodes.nodes.tf import TransformListener
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots import CalibrationSpec, load_robot
from selfgrasp_nodes.robots.edit import write_calibration


def calibrated(folder, robot, camera, **changes):
    """A robot's YAML whose camera was calibrated."""
    file = shutil.copy(share_dir() / "config" / "robots" / f"{robot}.yaml", folder / "mine.yaml")
    spec = load_robot(robot).camera(camera)
    given = {
        "date": "2026-11-23",
        "serial": "",
        "width": spec.width,
        "height": spec.height,
        "intrinsics": (spec.fx, spec.fy, spec.cx, spec.cy),
        "depth_scale": 1.1,
        "pictures": 20,
        "reprojection": 0.1,
        "error_3d": 0.001,
        **changes,
    }
    pose = spec.pose.matrix @ geometry.transform((0.01, 0.02, 0.03))
    write_calibration(file, camera, pose, CalibrationSpec(**given))
    return file


class Viewer(BaseNode):
    """Sees a camera as the heightmap node does."""

    NAME = "viewer"

    def __init__(self, robot, camera):
        super().__init__({"robot": str(robot)})
        self.stream = CameraStream(self, self.robot.camera(camera))


class Ear:
    """What diagnostics say of a node."""

    def __init__(self, spinner, name):
        self.message, self.values, self._name = None, {}, name
        node = spinner.add(Node("ear"))
        node.create_subscription(DiagnosticArray, "/diagnostics", self._take, 10)

    def _take(self, message):
        for status in message.status:
            if status.name == self._name:
                self.message = status.message
                self.values = {item.key: item.value for item in status.values}

    def wait(self, words, limit=15.0):
        end = time.monotonic() + limit
        while self.message is None or words not in self.message:
            assert time.monotonic() < end, f"{words!r} was not said, but {self.message!r}"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def kinect_frames():
    return render_kinect()


def kinect_node(spinner, counterpart, robot, **given):
    values = {"robot": str(robot), "camera": "head", "timeout": 0.5, "retry": 0.1}
    values |= {"diagnostics_period": 0.1, "max_age": 5.0, **given}
    kind = type("Node", (Kinect2Node,), {"start": staticmethod(counterpart.start)})
    return spinner.add(kind(parameters=values))


def test_kinect_runs_falls_silent_is_unplugged_and_runs_again(spinner, kinect_frames) -> None:
    counterpart = KinectCounterpart(kinect_frames)
    ear, viewer = Ear(spinner, "/kinect2_camera"), spinner.add(Viewer("baxter", "head"))
    kinect_node(spinner, counterpart, "baxter")
    pair = viewer.stream.wait(0, 20.0)
    view = viewer.stream.view(pair, np.eye(4))
    assert view.color.shape == (540, 960, 3) and view.depth.shape == (540, 960)
    assert pair.color.header.frame_id == "head_rgb_optical_frame"
    assert (view.depth > 0).mean() > 0.5
    ear.wait("ok")
    assert ear.values["serial"] == "K2-1" and ear.values["camera"] == "head"
    counterpart.silent = True
    ear.wait("no colour frame")
    counterpart.silent, counterpart.plugged = False, False
    ear.wait("no Kinect v2 is plugged in")
    counterpart.plugged = True
    ear.wait("ok")
    newer = viewer.stream.wait(pair.stamp + 1, 20.0)
    assert newer.stamp > pair.stamp


def test_a_camera_that_was_not_calibrated_is_told(spinner, kinect_frames, tmp_path) -> None:
    robot = calibrated(tmp_path, "baxter", "head", serial="K2-7")
    ear = Ear(spinner, "/kinect2_camera")
    kinect_node(spinner, KinectCounterpart(kinect_frames), robot)
    ear.wait("camera K2-1 is connected, but K2-7 is wanted")


def test_calibration_of_other_pictures_is_refused(spinner, kinect_frames, tmp_path) -> None:
    robot = calibrated(tmp_path, "baxter", "head", width=640, height=480)
    viewer = spinner.add(Viewer(robot, "head"))
    kinect_node(spinner, KinectCounterpart(kinect_frames), robot)
    pair = viewer.stream.wait(0, 20.0)
    with pytest.raises(WrongCamera, match="calibrated at 640x480, pictures are 960x540"):
        viewer.stream.view(pair, np.eye(4))


def test_realsense_node_publishes_its_device(spinner, tmp_path) -> None:
    counterpart_module = pytest.importorskip("realsense_counterpart")
    from selfgrasp_nodes.nodes.realsense_node import RealSenseNode

    scene = counterpart_module.render()
    counterpart = counterpart_module.RealSenseCounterpart(scene)
    robot = calibrated(tmp_path, "ur5_rg2", "overhead", serial="815")
    try:
        ear, viewer = Ear(spinner, "/realsense_camera"), spinner.add(Viewer(robot, "overhead"))
        kind = type("Node", (RealSenseNode,), {"find": staticmethod(counterpart.find)})
        values = {"robot": str(robot), "filters": [""], "timeout": 0.5, "retry": 0.1}
        spinner.add(kind(parameters={**values, "diagnostics_period": 0.1}))
        view = viewer.stream.view(viewer.stream.wait(0, 20.0), np.eye(4))
        np.testing.assert_array_equal(view.color, scene[0])
        both = (view.depth > 0) & (scene[1] > 0)
        assert np.median(np.abs(view.depth / 1.1 - scene[1])[both]) < 0.002  # its depth scale
        ear.wait("ok")
        assert ear.values["serial"] == "815" and ear.values["model"] == "Simulated D415"
        counterpart.plugged = False
        ear.wait("no RealSense camera is plugged in")
        counterpart.plugged = True
        ear.wait("ok")
    finally:
        counterpart.close()


def test_without_its_library_a_node_does_not_start(ros, monkeypatch) -> None:
    from selfgrasp_nodes.nodes.realsense_node import RealSenseNode

    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    with pytest.raises(MissingDependency, match="pip install pyrealsense2"):
        RealSenseNode()


def test_camera_frames_are_those_of_the_calibration(spinner, tmp_path) -> None:
    robot = calibrated(tmp_path, "ur5_rg2", "overhead")
    spinner.add(CameraFramesNode(parameters={"robot": str(robot)}))
    listener_node = spinner.add(Node("listener"))
    listener = TransformListener(listener_node, ReentrantCallbackGroup())
    found = listener.lookup("world", "overhead_color_optical_frame", timeout=10.0)
    np.testing.assert_allclose(found, load_robot(robot).camera().pose.matrix, atol=1e-6)
    base = listener.lookup("world", "base_link", timeout=10.0)
    np.testing.assert_allclose(base, load_robot(robot).world_T_base.matrix, atol=1e-9)
    assert rclpy.ok()
