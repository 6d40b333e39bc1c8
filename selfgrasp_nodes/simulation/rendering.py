"""Pictures in a thread of their own, so that stepping never waits for GL.

The stepping thread calls :meth:`RenderThread.request` between two steps: the
state is copied there (tens of microseconds) and the caller goes on; MuJoCo
releases Python's lock while it draws and while it steps, so both run at once
on two cores. Whoever steps from several threads holds its own lock around
``request`` as it does around the step: the copy is all that needs the lock.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import mujoco

from selfgrasp_nodes.errors import SelfGraspError
from selfgrasp_nodes.robots import CameraSpec
from selfgrasp_nodes.simulation.cameras import CameraRenderer
from selfgrasp_nodes.types import View

_Job = tuple[mujoco.MjData, str, int | None, "Future[View]"]


class RenderThread:
    """Renders the cameras of one model beside the thread that steps it."""

    def __init__(
        self,
        model: mujoco.MjModel,
        cameras: Sequence[CameraSpec],
        finish: Callable[[View], View] | None = None,
    ):
        """Start the thread.

        Args:
            model: The model that is stepped.
            cameras: What can be rendered.
            finish: Applied to each view in the render thread, e.g. noise.

        Raises:
            UnknownName: If the model lacks one of the cameras.
        """
        self._renderer = CameraRenderer(model, cameras)
        self._model = model
        self._finish = finish
        self._free: list[mujoco.MjData] = []
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="render", daemon=True)
        self._thread.start()

    def request(self, data: mujoco.MjData, camera: str, stamp: int | None = None) -> Future[View]:
        """Ask for a picture of this very state.

        Args:
            data: Copied before this returns.
            camera: Name.
            stamp: Time of exposure [ns]; the simulation's time where None.

        Returns:
            The picture to come; its exceptions are those of
            :meth:`CameraRenderer.view`.

        Raises:
            SelfGraspError: If the thread was closed.
        """
        if self._closed:
            raise SelfGraspError("this RenderThread is closed; make another")
        try:
            copy = self._free.pop()
        except IndexError:
            copy = mujoco.MjData(self._model)
        mujoco.mj_copyData(copy, self._model, data)
        future: Future[View] = Future()
        self._jobs.put((copy, camera, stamp, future))
        return future

    def close(self) -> None:
        """Finish what was asked for, free GL and end the thread."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            data, camera, stamp, future = job
            if not future.set_running_or_notify_cancel():
                self._free.append(data)
                continue
            try:
                view = self._renderer.view(data, camera, stamp)
                future.set_result(self._finish(view) if self._finish else view)
            except BaseException as error:
                future.set_exception(error)
            self._free.append(data)
        self._renderer.close()
