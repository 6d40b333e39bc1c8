from __future__ import annotations

import os
import subprocess
import sys
import threading
from importlib import import_module

import mujoco
import numpy as np
import pytest

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import MissingDependency, SelfGraspError, UnknownName
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation import cameras
from selfgrasp_nodes.simulation.cameras import CameraRenderer, add_camera, add_lights
from selfgrasp_nodes.simulation.rendering import RenderThread
from selfgrasp_nodes.simulation.scenes import add_table, random_scene

OVERHEAD = load_robot("ur5_rg2").camera()
VARIANTS = {
    "vpg": {},
    "off-centre": {"fx": 500.0, "fy": 700.0, "cx": 250.5, "cy": 300.25},
    "hd": {"width": 1280, "height": 720, "fx": 815.0, "fy": 830.0, "cx": 600.0, "cy": 380.0},
}
RADIUS = 0.006


def balls(camera, points):
    """A black table with white balls, seen by a camera."""
    spec = mujoco.MjSpec()
    add_lights(spec)
    add_table(spec).rgba = [0, 0, 0, 1]
    for point in points:
        spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[RADIUS, 0, 0], pos=point, rgba=[1, 1, 1, 1]
        )
    add_camera(spec, camera)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def back_project(view):
    """(H, W, 3) world points and the pixel grid (u, v)."""
    u, v = np.meshgrid(np.arange(view.depth.shape[1]), np.arange(view.depth.shape[0]))
    k = view.intrinsics
    ray = np.stack([(u - k[0, 2]) / k[0, 0], (v - k[1, 2]) / k[1, 1], np.ones(u.shape)], axis=-1)
    rotation, origin = view.world_T_camera[:3, :3], view.world_T_camera[:3, 3]
    return (ray * view.depth[..., None]) @ rotation.T + origin, u, v


@pytest.mark.parametrize("variant", VARIANTS)
def test_points_appear_where_the_intrinsics_say(variant):
    camera = OVERHEAD.model_copy(update=VARIANTS[variant])
    grid = [
        (x, y, 0.05) for x in np.arange(-0.68, -0.3, 0.06) for y in np.arange(-0.2, 0.21, 0.08)
    ]
    model, data = balls(camera, grid)
    with CameraRenderer(model, [camera]) as renderer:
        view = renderer.view(data, "overhead")
    np.testing.assert_allclose(view.world_T_camera, camera.pose.matrix, atol=1e-6)
    _, u, v = back_project(view)
    camera_T_world = geometry.inverse(view.world_T_camera)
    errors = []
    for center in grid:
        in_camera = camera_T_world @ [*center, 1.0]
        expected = geometry.project(view.intrinsics, in_camera[:3])
        if not np.all((expected > 12) & (expected < [camera.width - 12, camera.height - 12])):
            continue
        near = (view.color.sum(axis=2) > 100) & (np.hypot(u - expected[0], v - expected[1]) < 12)
        errors.append([u[near].mean() - expected[0], v[near].mean() - expected[1]])
        depth = view.depth[near].min()
        assert depth == pytest.approx(in_camera[2] - RADIUS, abs=0.001)
    assert len(errors) >= 15
    assert np.abs(errors).max() < 0.5
    assert np.abs(np.mean(errors, axis=0)).max() < 0.1


@pytest.mark.parametrize("variant", VARIANTS)
def test_depth_of_the_table_is_exact(variant):
    camera = OVERHEAD.model_copy(update=VARIANTS[variant])
    model, data = balls(camera, [])
    with CameraRenderer(model, [camera]) as renderer:
        view = renderer.view(data, "overhead")
    points, _, _ = back_project(view)
    seen = view.depth > 0
    assert seen.mean() > 0.5
    assert np.abs(points[seen][:, 2]).max() < 0.001


def test_what_is_beyond_the_far_plane_has_no_depth():
    up = OVERHEAD.model_copy(
        update={
            "pose": OVERHEAD.pose.model_copy(
                update={"xyz": (0.0, 0.0, 1.0), "quaternion": (1.0, 0.0, 0.0, 0.0)}
            )
        }
    )
    model, data = balls(up, [])
    with CameraRenderer(model, [up]) as renderer:
        assert np.all(renderer.render(data, "overhead")[1] == 0)


def test_a_camera_on_a_link_moves_with_it():
    spec = mujoco.MjSpec()
    add_lights(spec)
    add_table(spec)
    arm = spec.worldbody.add_body(name="arm", pos=[0, 0, 0.5])
    arm.add_joint(name="lift", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 0, 1])
    arm.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.01, 0, 0], contype=0, conaffinity=0)
    down = OVERHEAD.pose.model_copy(
        update={"xyz": (0.1, 0, 0.0), "quaternion": (0.0, 1.0, 0.0, 0.0)}
    )
    hand = OVERHEAD.model_copy(update={"name": "hand", "parent": "arm", "pose": down})
    add_camera(spec, hand, arm)
    model = spec.compile()
    data = mujoco.MjData(model)
    with CameraRenderer(model, [hand]) as renderer:
        for lift in (0.0, 0.2):
            data.qpos[0] = lift
            mujoco.mj_forward(model, data)
            view = renderer.view(data, "hand")
            assert view.depth[240, 320] == pytest.approx(0.5 + lift, abs=0.001)
            np.testing.assert_allclose(view.world_T_camera[:3, 3], [0.1, 0, 0.5 + lift], atol=1e-9)


def clutter():
    robot = load_robot("ur5_rg2")
    spec = mujoco.MjSpec()
    add_lights(spec)
    add_table(spec)
    scene = random_scene(robot, 10, 0)
    scene.add_to_spec(spec, robot.workspace.workspace)
    add_camera(spec, robot.camera())
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return robot, scene, model, data


def test_blocks_show_their_colours():
    robot, scene, model, data = clutter()
    with CameraRenderer(model, robot.cameras) as renderer:
        view = renderer.view(data, "overhead")
    points, _, _ = back_project(view)
    top = max(
        scene.objects, key=lambda o: (o.pose[:3, :3] @ o.spec.vertices.T)[2].max() + o.position[2]
    )
    distance = np.linalg.norm(
        points - (np.array(top.position) + np.array([*robot.workspace.center, 0])), axis=2
    )
    pixels = view.color[distance < 0.8 * min(top.spec.size)].astype(float)
    shown = np.median(pixels, axis=0)
    expected = np.array(top.spec.color) * 255
    cosine = shown @ expected / np.linalg.norm(shown) / np.linalg.norm(expected)
    assert cosine > 0.99
    assert shown.max() > 80


def test_unknown_cameras_are_named():
    model, data = balls(OVERHEAD, [])
    with pytest.raises(UnknownName, match="overhead"):
        CameraRenderer(model, [OVERHEAD.model_copy(update={"name": "left"})])
    with pytest.raises(UnknownName, match="overhead"):
        CameraRenderer(model, [OVERHEAD]).render(data, "left")


def test_a_second_thread_is_refused():
    model, data = balls(OVERHEAD, [])
    caught = []

    def other():
        try:
            renderer.render(data, "overhead")
        except SelfGraspError as error:
            caught.append(error)

    with CameraRenderer(model, [OVERHEAD]) as renderer:
        renderer.render(data, "overhead")
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert "thread" in str(caught[0])


def test_without_gl_the_packages_are_named(monkeypatch):
    def broken(width, height):
        raise OSError("libEGL.so.1: cannot open shared object file")

    monkeypatch.setenv("MUJOCO_GL", "egl")
    monkeypatch.setattr(import_module("mujoco.egl"), "GLContext", broken)
    with pytest.raises(MissingDependency, match="libegl1 libgl1-mesa-dri"):
        cameras.make_gl(64, 64)


def test_a_wrong_backend_is_reported_in_a_fresh_process():
    code = (
        "from selfgrasp_nodes.simulation.cameras import make_gl\n"
        "from selfgrasp_nodes.errors import MissingDependency\n"
        "try:\n    make_gl(64, 64)\nexcept MissingDependency as e:\n    print('MISSING', e)\n"
    )
    env = os.environ | {"MUJOCO_GL": "egl", "MUJOCO_EGL_DEVICE_ID": "999"}
    ran = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert "MISSING" in ran.stdout and "apt-get install" in ran.stdout, ran.stderr


def test_the_render_thread_sees_the_state_it_was_given():
    robot, _, model, data = clutter()
    data.qpos[2] = 0.2
    mujoco.mj_forward(model, data)
    with CameraRenderer(model, robot.cameras) as renderer:
        expected = renderer.view(data, "overhead")
    thread = RenderThread(model, robot.cameras)
    try:
        future = thread.request(data, "overhead")
        mujoco.mj_step(model, data, nstep=200)  # goes on while the picture is drawn
        view = future.result(timeout=20)
        np.testing.assert_array_equal(view.color, expected.color)
        np.testing.assert_array_equal(view.depth, expected.depth)
        assert view.stamp == 0
        with pytest.raises(UnknownName):
            thread.request(data, "left").result(timeout=20)
    finally:
        thread.close()
    with pytest.raises(SelfGraspError, match="closed"):
        thread.request(data, "overhead")
