from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidCandidate, InvalidImage
from selfgrasp_nodes.nodes import conversions, image_messages, trial_messages
from selfgrasp_nodes.types import (
    Candidate,
    Execution,
    Heightmap,
    Observation,
    Outcome,
    OutcomeCode,
    Phase,
    PhaseCode,
    Primitive,
    Region,
    Regions,
    SensorTrace,
    Trajectory,
    Trial,
    View,
    Workspace,
)

RNG = np.random.default_rng(5)


def through_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


def same(a, b) -> bool:
    """Equal, down to arrays in nested dataclasses; NaN equals NaN."""
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(
            same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a)
        )
    if isinstance(a, np.ndarray):
        return a.shape == np.shape(b) and np.allclose(a, b, atol=1e-12, equal_nan=True)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float):
        return math.isclose(a, b, abs_tol=1e-12) or (math.isnan(a) and math.isnan(b))
    return a == b


def a_candidate(primitive: Primitive = Primitive.GRASP) -> Candidate:
    pose = geometry.grasp_pose(-0.5, 0.1, 0.03, 1.234567890123)
    return Candidate(
        primitive, pose, 1.234567890123, 0.07, 25.0, 0.1, 0.8, 0.6, 0.01, (12, 34), 3,
        "overhead", "antipodal", "abc", "left", "c-1", "obs-1",
    )  # fmt: skip


def an_execution() -> Execution:
    n = 5
    trace = SensorTrace(
        np.arange(n) * 10_000_000 + 7,
        RNG.random(n),
        np.full(n, np.nan),
        RNG.random((n, 6)),
        RNG.random((n, 6)),
        RNG.random((n, 6)),
    )
    moves = Trajectory(("a", "b"), np.array([0, 0.5, 1.0]), RNG.random((3, 2)), RNG.random((3, 2)))
    phases = (Phase(PhaseCode.APPROACH, 3, 5_000_000_001), Phase(PhaseCode.ACT, 7, 9))
    return Execution(a_candidate(), phases, trace, (moves,), "why", OutcomeCode.EXECUTION_FAILED)


def an_observation() -> Observation:
    color = RNG.integers(0, 255, (48, 64, 3), np.uint8)
    depth = RNG.random((48, 64)).astype(np.float32)
    k = np.array([[60, 0, 32], [0, 60, 24], [0, 0, 1.0]])
    view = View("overhead", color, depth, k, geometry.transform((1, 2, 3), (0.1, 0.2, 0.3)), 12)
    workspace = Workspace((-0.5, 0.0), (0.2, 0.1), 0.002)
    height = RNG.random(workspace.shape).astype(np.float32)
    valid = RNG.random(workspace.shape) > 0.5
    paint = RNG.integers(0, 255, (*workspace.shape, 3), np.uint8)
    region = Region(0, (3, 4, 10, 12), np.array([[3, 4], [12, 4], [12, 15]], np.int32), 99.0, 1.0)
    regions = Regions("overhead", (region,), RNG.random((48, 64)) > 0.5)
    return Observation(
        "obs-1", 12, {"overhead": view}, Heightmap(workspace, paint, height, valid), regions
    )


def test_observation_survives_the_wire() -> None:
    before = an_observation()
    message = conversions.observation_message(before, "world", {"overhead": "optical"})
    after = conversions.observation(through_the_wire(message))
    assert same(before.views, after.views)
    assert same(before.regions, after.regions)
    assert same(before.heightmap.height, after.heightmap.height)
    assert (before.heightmap.valid == after.heightmap.valid).all()
    assert np.allclose(before.heightmap.workspace.low, after.heightmap.workspace.low)
    assert after.heightmap.workspace.shape == before.heightmap.workspace.shape


@pytest.mark.parametrize("primitive", Primitive)
def test_candidate_survives_bit_by_bit(primitive: Primitive) -> None:
    before = a_candidate(primitive)
    message = through_the_wire(conversions.candidate_message(before, "world", 5))
    after = conversions.candidate(message)
    assert same(before, after)
    assert after.angle == before.angle and after.width == before.width
    length = math.hypot(message.push_direction.x, message.push_direction.y)
    assert length == pytest.approx(1.0 if primitive is Primitive.PUSH else 0.0)


def test_trial_survives() -> None:
    outcome = Outcome(
        OutcomeCode.SLIPPED, 0.7, "slid", "grasp/1", 0.02, 0.0, 12, 0.3, stalled=True
    )
    before = Trial(
        "t-1", "run", "0", 4, 2**63, "ur5_rg2", "d", "s", a_candidate(), outcome,
        an_execution(), "obs-1", "obs-2", "bag", 1, notes={"a": 1},
    )  # fmt: skip
    message = trial_messages.trial_message(before, "world", 77, tuple("abcdef"))
    assert same(before, trial_messages.trial(through_the_wire(message)))


@given(st.integers(min_value=0, max_value=2**60))
def test_stamps(at: int) -> None:
    assert conversions.stamp(conversions.time_message(at)) == at


def test_poses_that_are_none() -> None:
    message = conversions.pose_message(np.eye(4))
    message.position.x = float("nan")
    with pytest.raises(InvalidCandidate, match="not finite"):
        conversions.pose(message)
    message = conversions.pose_message(np.eye(4))
    message.orientation.w = 0.0
    with pytest.raises(InvalidCandidate, match="quaternion"):
        conversions.pose(message)


def test_an_unknown_primitive_is_refused() -> None:
    message = conversions.candidate_message(a_candidate(), "world")
    message.primitive = 9
    with pytest.raises(InvalidCandidate, match="0 \\(GRASP\\), 1 \\(PUSH\\)"):
        conversions.candidate(message)


def test_pictures_keep_their_bytes_and_are_no_lists() -> None:
    color = RNG.integers(0, 255, (5, 7, 3), np.uint8)
    message = image_messages.encode(color, "rgb8")
    assert type(message.data).__name__ == "array" and message.step == 21
    assert (image_messages.rgb(through_the_wire(message)) == color).all()
    with pytest.raises(InvalidImage, match="depth"):
        image_messages.metres(message)
    message.encoding = "bayer_rggb8"
    with pytest.raises(InvalidImage, match="rgb8"):
        image_messages.rgb(message)


def test_depth_in_millimetres_and_metres_are_the_same() -> None:
    metres = np.array([[0.5, 1.25], [0.0, np.nan]], np.float32)
    millimetres = np.array([[500, 1250], [0, 0]], np.uint16)
    wanted = np.array([[0.5, 1.25], [0, 0]], np.float32)
    assert np.allclose(image_messages.metres(image_messages.encode(metres, "32FC1")), wanted)
    assert np.allclose(image_messages.metres(image_messages.encode(millimetres, "16UC1")), wanted)


def test_colour_and_depth_of_different_size_are_refused() -> None:
    observation = an_observation()
    view = dataclasses.replace(observation.views["overhead"])
    message = conversions.view_message(view, "world", "optical")
    message.depth = image_messages.encode(np.ones((10, 10), np.float32), "32FC1")
    with pytest.raises(InvalidImage, match="64x48 but depth 10x10"):
        conversions.view(message)


def test_an_uncalibrated_camera_is_refused() -> None:
    info = image_messages.camera_info(np.zeros((3, 3)), 640, 480)
    with pytest.raises(InvalidImage, match="focal length"):
        image_messages.intrinsics(info)
