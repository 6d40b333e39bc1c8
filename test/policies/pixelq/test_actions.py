"""Pixels and poses, and pixels on the turned canvas: there and back, for every orientation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_tables import box, observe

from selfgrasp_nodes.geometry import grasp_angle, push_angle
from selfgrasp_nodes.motion.candidates import check_candidate
from selfgrasp_nodes.motion.primitives import clip_stroke
from selfgrasp_nodes.policies.fingers import Fingers
from selfgrasp_nodes.policies.pixelq.actions import (
    HALF,
    ROTATIONS,
    STEP,
    Motions,
    Pixel,
    Strokes,
    angle_rotation,
    pixel_to_pose,
    pose_to_pixel,
    rotation_angle,
)
from selfgrasp_nodes.policies.pixelq.state import make_state
from selfgrasp_nodes.types import Primitive, Workspace

WORKSPACE = Workspace((-0.5, 0.0))
cells = st.integers(0, 223)


@pytest.mark.parametrize("rotation", range(ROTATIONS))
@pytest.mark.parametrize("primitive", Primitive)
@given(row=cells, col=cells)
def test_a_pixel_comes_back_from_its_pose(primitive, rotation, row, col) -> None:
    pixel = Pixel(primitive, rotation, row, col)
    pose = pixel_to_pose(WORKSPACE, pixel, 0.03)
    back = pose_to_pixel(WORKSPACE, primitive, pose)
    assert back[2:] == (row, col)
    # A grasp that is turned by half a turn is the same grasp.
    same = rotation % HALF if primitive is Primitive.GRASP else rotation
    assert back.rotation == same
    np.testing.assert_allclose(pixel_to_pose(WORKSPACE, back, 0.03), pose, atol=1e-12)


@pytest.mark.parametrize("rotation", range(ROTATIONS))
def test_orientations_point_where_they_say(rotation) -> None:
    push = pixel_to_pose(WORKSPACE, Pixel(Primitive.PUSH, rotation, 10, 20), 0.03)
    assert push_angle(push) == pytest.approx(rotation * np.pi / 8)
    np.testing.assert_allclose(
        push[:2, 0], (np.cos(rotation * STEP), np.sin(rotation * STEP)), atol=1e-12
    )
    grasp = pixel_to_pose(WORKSPACE, Pixel(Primitive.GRASP, rotation, 10, 20), 0.03)
    assert grasp_angle(grasp) == pytest.approx((rotation % 8) * np.pi / 8)
    # Row is y, column is x: pixel (10, 20) is 20 cells along x from the corner.
    np.testing.assert_allclose(
        grasp[:2, 3], WORKSPACE.low + np.array([20.5, 10.5]) * 0.002, atol=1e-12
    )
    for primitive in Primitive:
        angle = rotation_angle(primitive, rotation)
        assert rotation_angle(primitive, angle_rotation(primitive, angle)) == pytest.approx(angle)


@pytest.mark.parametrize("rotation", range(ROTATIONS))
def test_a_pixel_comes_back_from_the_turned_canvas(rotation) -> None:
    torch = pytest.importorskip("torch")
    from selfgrasp_nodes.policies.pixelq.rotation import (
        into_canvas,
        out_of_canvas,
        to_canvas,
        turned,
    )

    row, col = (a.ravel() for a in np.mgrid[:224:9, :224:9])
    r, c = into_canvas(row, col, rotation, 224)
    assert ((r > 0) & (r < 640) & (c > 0) & (c < 640)).all()
    back = out_of_canvas(r, c, rotation, 224)
    np.testing.assert_array_equal(back, (row, col))
    # The picture really is turned like that: a bright cell is found where it should be,
    # and turning back brings it home.
    for y, x in ((100, 30), (112, 200), (17, 111)):
        image = torch.zeros(1, 1, 224, 224)
        image[0, 0, y, x] = 1
        angle = torch.tensor([STEP * rotation])
        seen = turned(to_canvas(image), angle)
        found = seen[0, 0].nonzero().float().mean(0).numpy()
        np.testing.assert_allclose(found, np.stack(into_canvas(y, x, rotation, 224)), atol=1.0)
        home = turned(seen, angle, back=True)[0, 0].nonzero().float().mean(0).numpy()
        np.testing.assert_allclose(home, np.stack(into_canvas(y, x, 0, 224)), atol=1.5)


def test_a_stroke_points_along_the_columns_of_its_canvas() -> None:
    pytest.importorskip("torch")
    from selfgrasp_nodes.policies.pixelq.rotation import into_canvas

    for rotation in range(ROTATIONS):
        angle = rotation_angle(Primitive.PUSH, rotation)
        row, col = (
            np.array([112, 112 + 40 * np.sin(angle)]),
            np.array([112, 112 + 40 * np.cos(angle)]),
        )
        r, c = into_canvas(row, col, rotation, 224)
        np.testing.assert_allclose((r[1] - r[0], c[1] - c[0]), (0, 80), atol=1e-9)


def test_candidates_go_through_the_motion_primitives(robot) -> None:
    gripper = robot.arms[0].gripper
    motions = Motions(Fingers(gripper), Strokes())
    heightmap = observe(robot, [box(0.0, 0.05, (0.05, 0.05, 0.06))]).heightmap
    state, workspace = make_state(heightmap), heightmap.workspace
    tall = Pixel(Primitive.GRASP, 3, 112 + 25, 112)
    grasp = motions.candidate(workspace, state, tall, 0.11, 0.5)
    check_candidate(grasp, robot, robot.arms[0])
    surface = float(state.height[tall.row, tall.col])
    assert surface == pytest.approx(0.06, abs=0.004)
    # 3 cm below the surface, unless the pads would meet the table when they close.
    safe = float(motions.fingers.table_safe(surface - 0.03, 0.11, 0.003))
    assert grasp.pose[2, 3] == pytest.approx(safe)
    assert grasp.pose[2, 3] >= surface - 0.03 - 1e-9
    flat = motions.candidate(workspace, state, Pixel(Primitive.GRASP, 3, 20, 20), 0.11, 0.5)
    assert flat.pose[2, 3] > gripper.pad_length / 2
    edge = Pixel(Primitive.PUSH, 0, 30, 200)
    push = motions.candidate(workspace, state, edge, 0.11, 0.5)
    check_candidate(push, robot, robot.arms[0])
    assert push.width == gripper.width_min and push.pixel == (200, 30)
    # The map ends 23.5 cells ahead.
    assert push.push_length == pytest.approx(23.5 * 0.002)
    clipped = clip_stroke(robot, push.pose[:2, 3], push.angle, 0.10)
    assert push.push_length == pytest.approx(clipped)
