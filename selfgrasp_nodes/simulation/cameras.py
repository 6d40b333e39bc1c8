"""Pictures from the simulated cameras: colour and depth from one rendering pass.

Intrinsics are those of the ``CameraSpec``, principal point included: pixel
(u, v) is the CENTRE of column u and row v, as in ROS and OpenCV, so a point at
(x, y, z) in the optical frame appears at (fx x / z + cx, fy y / z + cy).

Software GL is the rule on robots' build machines, so this draws without
shadows, reflections, sky and multisampling; on one core of the machine that
``bench/render.py`` was written on that is the difference between two and
eleven milliseconds for 640 x 480.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from types import TracebackType
from typing import Any
from weakref import WeakSet

import mujoco
import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import MissingDependency, SelfGraspError, UnknownName
from selfgrasp_nodes.robots import CameraSpec
from selfgrasp_nodes.types import View

NEAR = 0.02
FAR = 8.0
"""Clipping planes [m]: nothing nearer is drawn, depth beyond is 0 (invalid)."""

# MuJoCo's camera looks along -z with y up, an optical frame along +z with y down.
OPTICAL_T_MUJOCO = np.diag([1.0, -1.0, -1.0, 1.0])

_SLOW = ("SHADOW", "REFLECTION", "SKYBOX", "HAZE", "FOG", "ADDITIVE")


def add_camera(
    spec: mujoco.MjSpec,
    camera: CameraSpec,
    body: mujoco.MjsBody | None = None,
    body_T_parent: np.ndarray | None = None,
) -> mujoco.MjsCamera:
    """Add a described camera to a model.

    Args:
        spec: The model under construction.
        camera: Its description; the model's camera takes its name.
        body: The body that stands for ``camera.parent``; the world where None.
        body_T_parent: Pose of the parent link in that body where they differ
            (fixed links that were merged).
    """
    pose = camera.pose.matrix @ OPTICAL_T_MUJOCO
    if body_T_parent is not None:
        pose = body_T_parent @ pose
    added = (body or spec.worldbody).add_camera(
        name=camera.name, pos=pose[:3, 3].copy(), quat=geometry.quaternion(pose)
    )
    # For viewers only: the renderer below sets the frustum itself.
    added.fovy = float(np.degrees(2 * np.arctan2(camera.height / 2, camera.fy)))
    return added


def add_lights(spec: mujoco.MjSpec) -> None:
    """Light that tells a block's faces apart from any side."""
    light = spec.visual.headlight
    light.ambient, light.diffuse, light.specular = [0.4] * 3, [0.35] * 3, [0.0] * 3
    for name, direction, strength in (
        ("left", (0.5, -0.6, -1), 0.3),
        ("right", (0.2, 0.8, -1), 0.2),
    ):
        spec.worldbody.add_light(
            name=f"light_{name}",
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            pos=[0, 0, 3],
            dir=direction,
            diffuse=[strength] * 3,
            specular=[0.0] * 3,
            castshadow=name == "left",  # drawn only by a renderer with shadows on
        )


class CameraRenderer:
    """Renders the cameras of one model.

    The GL context is made at the first picture and belongs to the thread that
    asks for it; every later picture must come from that thread (see
    :class:`selfgrasp_nodes.simulation.rendering.RenderThread` for pictures
    beside a stepping thread).
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        cameras: Sequence[CameraSpec],
        samples: int = 0,
        shadows: bool = False,
    ):
        """Prepare, without touching GL.

        Args:
            model: Its cameras have the names of ``cameras``.
            cameras: What can be rendered.
            samples: Multisampling of edges; 0 is five times as fast as 4.
            shadows: Whether the lights cast shadows; slow.

        Raises:
            UnknownName: If the model lacks one of the cameras.
        """
        present = [model.camera(i).name for i in range(model.ncam)]
        for camera in cameras:
            if camera.name not in present:
                raise UnknownName("camera", camera.name, present)
        self.model = model
        self.cameras = {camera.name: camera for camera in cameras}
        self._samples, self._shadows = samples, shadows
        self._context: Any = None
        self._gl: Any = None
        self._thread: int | None = None

    def render(self, data: mujoco.MjData, camera: str) -> tuple[np.ndarray, np.ndarray]:
        """One picture, without noise.

        Args:
            data: State, with kinematics computed (after any step or mj_forward).
            camera: Name.

        Returns:
            (H, W, 3) uint8 RGB and (H, W) float32 depth along the optical axis
            [m], 0 where nothing is hit before :data:`FAR`.

        Raises:
            UnknownName: If there is no such camera.
            MissingDependency: If no GL works on this machine.
            SelfGraspError: If called from a second thread.
        """
        spec = self._camera(camera)
        self._open()
        self._update(data, spec)
        rect = mujoco.MjrRect(0, 0, spec.width, spec.height)
        color = np.empty((spec.height, spec.width, 3), np.uint8)
        depth = np.empty((spec.height, spec.width), np.float32)
        mujoco.mjr_render(rect, self._scene, self._context)
        mujoco.mjr_readPixels(color, depth, rect, self._context)
        return np.ascontiguousarray(color[::-1]), _metres(depth[::-1])

    def view(self, data: mujoco.MjData, camera: str, stamp: int | None = None) -> View:
        """One picture with intrinsics, pose and stamp.

        Args:
            data: As for :meth:`render`.
            camera: Name.
            stamp: Time of exposure [ns]; the simulation's time where None.
        """
        color, depth = self.render(data, camera)
        return View(
            camera=camera,
            color=color,
            depth=depth,
            intrinsics=self._camera(camera).intrinsics,
            world_T_camera=self.world_T_camera(data, camera),
            stamp=round(data.time * 1e9) if stamp is None else stamp,
        )

    def world_T_camera(self, data: mujoco.MjData, camera: str) -> np.ndarray:
        """Pose of a camera's optical frame, 4 x 4."""
        state = data.camera(self._camera(camera).name)
        pose = np.eye(4)
        pose[:3, :3] = state.xmat.reshape(3, 3)
        pose[:3, 3] = state.xpos
        return pose @ OPTICAL_T_MUJOCO

    def close(self) -> None:
        """Free the GL context; call it in the thread that rendered."""
        context, gl = self._context, self._gl
        self._context = self._gl = self._thread = None
        _OPEN.discard(self)
        if gl is not None:
            gl.make_current()
            if context is not None:
                context.free()
            gl.free()

    def __del__(self) -> None:
        # MuJoCo frees textures in whatever GL context is current when its own
        # object dies: make sure that it is the right one.
        if getattr(self, "_gl", None) is not None and threading.get_ident() == self._thread:
            with suppress(Exception):
                self.close()

    def __enter__(self) -> CameraRenderer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _camera(self, name: str) -> CameraSpec:
        if name not in self.cameras:
            raise UnknownName("camera", name, self.cameras)
        return self.cameras[name]

    def _open(self) -> None:
        if self._context is not None:
            if threading.get_ident() != self._thread:
                raise SelfGraspError(
                    "a CameraRenderer renders in one thread only (its GL context lives there); "
                    "make one for each thread, or use RenderThread"
                )
            self._gl.make_current()
            return
        visual = self.model.vis
        visual.global_.offwidth = max(c.width for c in self.cameras.values())
        visual.global_.offheight = max(c.height for c in self.cameras.values())
        visual.quality.offsamples = self._samples
        visual.quality.shadowsize = 2048 if self._shadows else 0
        self._thread = threading.get_ident()
        self._gl = make_gl(visual.global_.offwidth, visual.global_.offheight)
        _close_at_exit(self)
        self._context = mujoco.MjrContext(self.model, mujoco.mjtFontScale.mjFONTSCALE_50.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR.value
        self._scene = mujoco.MjvScene(self.model, maxgeom=self.model.ngeom + 100)
        for flag in _SLOW:
            self._scene.flags[getattr(mujoco.mjtRndFlag, f"mjRND_{flag}")] = False
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = self._shadows
        self._option = mujoco.MjvOption()
        self._view = mujoco.MjvCamera()
        self._view.type = mujoco.mjtCamera.mjCAMERA_FIXED.value

    def _update(self, data: mujoco.MjData, spec: CameraSpec) -> None:
        """Bring the scene up to date and give it the camera's own frustum."""
        self._view.fixedcamid = self.model.camera(spec.name).id
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(
            self.model, data, self._option, None, self._view, everything, self._scene
        )
        # Edges of the image lie half a pixel outside the outer pixels' centres.
        left, right = (np.array([-0.5, spec.width - 0.5]) - spec.cx) / spec.fx
        top, bottom = (spec.cy - np.array([-0.5, spec.height - 0.5])) / spec.fy
        for gl_camera in self._scene.camera:
            gl_camera.frustum_near, gl_camera.frustum_far = NEAR, FAR
            gl_camera.frustum_center = NEAR * (left + right) / 2
            gl_camera.frustum_width = NEAR * (right - left) / 2
            gl_camera.frustum_bottom, gl_camera.frustum_top = NEAR * bottom, NEAR * top


_OPEN: WeakSet[CameraRenderer] = WeakSet()


def _close_at_exit(renderer: CameraRenderer) -> None:
    """See to it that GL is freed before EGL's own exit handler takes it away.

    Handlers run in reverse order; EGL registers its own with the first context.
    """
    if not _OPEN:
        atexit.unregister(_close_all)
        atexit.register(_close_all)
    _OPEN.add(renderer)


def _close_all() -> None:
    for renderer in list(_OPEN):
        renderer.__del__()


def make_gl(width: int, height: int) -> Any:
    """A current off-screen GL context.

    Raises:
        MissingDependency: If no GL works on this machine.
    """
    try:
        # Chosen here, not by mujoco, which reads MUJOCO_GL when it is imported:
        # that may have happened before this package could set it.
        if os.environ.get("MUJOCO_GL", "egl").lower() == "egl":
            context = import_module("mujoco.egl").GLContext(width, height)
        else:
            context = import_module("mujoco.gl_context").GLContext(width, height)
        context.make_current()
        return context
    except Exception as error:  # missing libraries surface as almost any error
        raise MissingDependency(
            f"no off-screen OpenGL on this machine ({type(error).__name__}: {error}). Install it "
            "with: apt-get install libegl1 libgl1-mesa-dri; and leave MUJOCO_GL unset or set "
            "it to egl"
        ) from error


def _metres(depth: np.ndarray) -> np.ndarray:
    """Depth [m] from a reversed depth buffer (1 near, 0 far); 0 where nothing was hit.

    Perspective projection stores d = n (f - z) / (z (f - n)).
    """
    nothing = depth <= 0
    metres = depth * np.float32(FAR - NEAR)
    metres += np.float32(NEAR)
    np.divide(np.float32(NEAR * FAR), metres, out=metres)
    metres[nothing] = 0
    return metres
