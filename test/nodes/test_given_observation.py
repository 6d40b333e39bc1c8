"""Plans for a caller without camera nodes of ours: its pictures come with the request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import rclpy
from selfgrasp.msg import Heightmap as HeightmapMsg
from selfgrasp.msg import Observation, Status, View
from selfgrasp.srv import Plan
from sensor_msgs.msg import RegionOfInterest

from selfgrasp_nodes import geometry
from selfgrasp_nodes.client import observation_of
from selfgrasp_nodes.errors import MissingDependency
from selfgrasp_nodes.nodes import conversions, image_messages, qos
from selfgrasp_nodes.nodes.policy_node import PolicyNode
from selfgrasp_nodes.nodes.tf import TransformPublisher
from selfgrasp_nodes.nodes.waiting import call
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.objects import ObjectSpec
from selfgrasp_nodes.simulation.scene import Scene, SceneObject
from selfgrasp_nodes.simulation.world import World

ROBOT = load_robot("ur5_rg2")
PLACES = ((0.0, -0.1), (0.05, 0.12))
CUBES = np.array(PLACES) + ROBOT.workspace.workspace.center


@pytest.fixture(scope="module")
def picture():
    """What a camera sees of two cubes."""
    world = World(ROBOT)
    identity = (1.0, 0.0, 0.0, 0.0)
    cube = ObjectSpec("cube")
    objects = [SceneObject(cube, (x, y, 0.025), identity) for x, y in PLACES]
    world.reset(Scene("cubes", tuple(objects)), 1)
    try:
        yield world.render()
    except MissingDependency as error:
        pytest.skip(str(error))
    finally:
        world.close()


@pytest.fixture
def ask(spinner, request) -> Callable[..., Any]:
    """The plan service of a policy node that is alone: no camera, no heightmap node."""
    space = f"/t{abs(hash(request.node.name)) % 100_000}"
    caller = spinner.add(rclpy.create_node("caller", namespace=space))
    spinner.add(PolicyNode(namespace=space))
    client = caller.create_client(Plan, "plan")

    def ask(observation: Observation, **fields: Any) -> Any:
        return call(client, Plan.Request(observation=[observation], seed=1, **fields), 30.0)

    ask.node = caller  # type: ignore[attr-defined]
    return ask


def messages(picture, frame: str, stamp: int, depth_encoding: str = "32FC1") -> list[Any]:
    head = conversions.header(frame, stamp)
    height, width = picture.depth.shape
    depth = picture.depth.astype(np.float32)
    if depth_encoding == "16UC1":
        depth = np.round(depth * 1000).astype(np.uint16)
    return [
        image_messages.encode(picture.color, "rgb8", head),
        image_messages.encode(depth, depth_encoding, head),
        image_messages.camera_info(picture.intrinsics, width, height, head),
    ]


def posed(picture, ask, stamp: int | None = None, frame: str = "world") -> Observation:
    stamp = ask.node.get_clock().now().nanoseconds if stamp is None else stamp
    pose = conversions.transform_message(frame, "lens", picture.world_T_camera, stamp)
    return observation_of(*messages(picture, "lens", stamp), pose)


def distances(candidates) -> np.ndarray:
    """Of each grasp to the nearer cube [m]."""
    at = np.array([[c.pose.position.x, c.pose.position.y] for c in candidates])
    return np.linalg.norm(at[:, None] - CUBES, axis=2).min(axis=1)


def test_pictures_alone_give_grasps_at_what_lies_there(ask, picture) -> None:
    heard: list[HeightmapMsg] = []
    here = threading.Event()

    def take(message: HeightmapMsg) -> None:
        heard.append(message)
        here.set()

    ask.node.create_subscription(HeightmapMsg, "heightmap", take, qos.LATCHED)
    answer = ask(posed(picture, ask))
    assert answer.success, answer.message
    assert distances(answer.candidates).max() < 0.04
    assert all(c.header.frame_id == "world" for c in answer.candidates)
    assert {c.observation_id for c in answer.candidates} == {answer.observation_id} != {""}
    # Motion is shown the same, under the same name.
    assert here.wait(5.0) and heard[0].observation_id == answer.observation_id


def test_where_the_camera_is_says_tf(ask, picture) -> None:
    now = ask.node.get_clock().now().nanoseconds
    seen = observation_of(*messages(picture, "lens", now, "16UC1"))
    unknown = ask(seen)
    assert unknown.code == Status.UNAVAILABLE and "'lens'" in unknown.message
    # A post that stands somewhere, the camera on it; the table's frame is the fixed one.
    world_T_post = geometry.transform([0.3, -0.2, 0.1], [0.0, 0.0, 0.7])
    post_T_lens = geometry.inverse(world_T_post) @ picture.world_T_camera
    TransformPublisher(ask.node).send_fixed(
        [
            conversions.transform_message("world", "post", world_T_post, 0),
            conversions.transform_message("post", "lens", post_T_lens, 0),
        ]
    )
    by_tf = ask(seen)
    assert by_tf.success, by_tf.message
    assert distances(by_tf.candidates).max() < 0.04
    # A pose that is given in another frame than the fixed one goes through TF, too.
    given = posed(picture, ask, now)
    given.views[0].camera_pose = conversions.transform_message("post", "lens", post_T_lens, now)
    assert distances(ask(given).candidates).max() < 0.04


def test_only_candidates_of_the_region_and_the_primitive(ask, picture) -> None:
    seen = posed(picture, ask)
    workspace = ROBOT.workspace.workspace
    rows = workspace.shape[0] // 2
    half = RegionOfInterest(height=rows, width=workspace.shape[1])  # y below the middle
    some = ask(seen, roi=half, use_roi=True, primitives=[0], max_candidates=50)
    assert some.success and len(some.candidates) >= 1
    assert {c.primitive for c in some.candidates} == {0}
    assert all(c.pose.position.y < workspace.center[1] for c in some.candidates)
    corner = RegionOfInterest(height=3, width=3)
    none = ask(seen, roi=corner, use_roi=True)
    assert none.code == Status.EMPTY_OBSERVATION and not none.candidates
    assert "roi" in none.message


@pytest.mark.parametrize(
    ("age", "allowed", "words"),
    [(3.0, 1.0, "stale image"), (-30.0, 1.0, "ahead of this node's clock"), (3.0, 60.0, "")],
)
def test_stale_pictures_and_those_from_the_future(ask, picture, age, allowed, words) -> None:
    stamp = ask.node.get_clock().now().nanoseconds - round(age * 1e9)
    limit = conversions.duration_message(allowed)
    answer = ask(posed(picture, ask, stamp), max_age=limit)
    assert answer.success == (not words), answer.message
    if words:
        assert answer.code == Status.UNAVAILABLE and words in answer.message


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        ("nothing", Status.INVALID_IMAGE, "neither a view nor a heightmap"),
        ("no frame", Status.INVALID_IMAGE, "frame_id"),
        ("info", Status.INVALID_IMAGE, "camera_info is for 320x240"),
        ("no lens", Status.INVALID_IMAGE, "no focal length"),
        ("short", Status.INVALID_IMAGE, "image"),
        ("nan", Status.INVALID_IMAGE, "not finite"),
        ("twice", Status.INVALID_IMAGE, "same camera name"),
        ("away", Status.EMPTY_OBSERVATION, "workspace"),
    ],
)
def test_what_cannot_be_used_is_refused_and_the_node_goes_on(
    ask, picture, damage, code, words
) -> None:
    good = posed(picture, ask)
    bad = posed(picture, ask)
    view: View = bad.views[0]
    if damage == "nothing":
        bad = Observation()
    elif damage == "no frame":
        bad = observation_of(*messages(picture, "", 1))
    elif damage == "info":
        view.info.width, view.info.height = 320, 240
    elif damage == "no lens":
        view.info.k = np.zeros(9)
    elif damage == "short":
        view.color.data = view.color.data[:1000]
    elif damage == "nan":
        view.camera_pose.transform.translation.x = float("nan")
    elif damage == "twice":
        bad.views = [view, good.views[0]]
    else:
        view.camera_pose.transform.translation.x += 5.0
    answer = ask(bad)
    assert answer.code == code, (answer.code, answer.message)
    assert words in answer.message
    assert ask(good).success


def test_drawing_is_refused_where_a_policy_ranks(ask, picture) -> None:
    seen = posed(picture, ask)
    refused = ask(seen, sample=True)
    assert refused.code == Status.INVALID_CONFIG and "random" in refused.message
    drawn = ask(seen, sample=True, policy="random", max_candidates=4)
    assert drawn.success and len(drawn.candidates) == 4
