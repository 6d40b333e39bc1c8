"""MoveIt through moveit_py, in a process of its own that this starts and watches."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from selfgrasp_nodes.errors import PlanningFailed
from selfgrasp_nodes.motion.moveit_parameters import parameter_file
from selfgrasp_nodes.motion.moveit_types import PlanReply, PlanRequest, SceneShape

START_TIMEOUT = 60.0
"""For MoveIt to load its plugins and to see the robot's first state [s]."""


def available() -> bool:
    """Whether moveit_py is installed (asked without importing it)."""
    try:
        return importlib.util.find_spec("moveit.planning") is not None
    except ImportError:
        return False


class MoveItPyClient:
    """A :class:`selfgrasp_nodes.motion.moveit_types.MoveItBackend`.

    The process is started with the first question, and again after it has died; the
    whole scene is then shown again.

    Args:
        parameters: Of MoveIt, see :mod:`selfgrasp_nodes.motion.moveit_parameters`.
        namespace: Of its node.
        margin: Wall-clock limit beyond the planning time [s].
        start_timeout: For the process to be ready [s].
    """

    def __init__(
        self,
        parameters: dict[str, Any],
        namespace: str = "",
        margin: float = 5.0,
        start_timeout: float = START_TIMEOUT,
    ):
        self._folder = Path(tempfile.mkdtemp(prefix="selfgrasp-moveit-"))
        self._file = parameter_file(parameters, self._folder / "moveit.yaml")
        self._namespace, self._margin, self._start_timeout = namespace, margin, start_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._replies = -1
        self._rest = b""
        self._scene: dict[str, SceneShape] = {}

    def show(self, shapes: list[SceneShape], removed: list[str]) -> None:
        """See :class:`selfgrasp_nodes.motion.moveit_types.MoveItBackend`."""
        for name in removed:
            self._scene.pop(name, None)
        self._scene.update((shape.name, shape) for shape in shapes)
        if self._process is not None:
            self._send_scene(shapes, removed)

    def plan(self, request: PlanRequest) -> PlanReply:
        """See :class:`selfgrasp_nodes.motion.moveit_types.MoveItBackend`."""
        if self._process is None:
            self._start()
        answer = self._ask({"plan": asdict(request)}, request.timeout + self._margin)
        return PlanReply(**answer["reply"])

    def close(self) -> None:
        """End the process; its exit code says nothing (MoveItPy may crash at its end)."""
        self._end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        self._replies, child_end = os.pipe()
        command = [sys.executable, "-m", "selfgrasp_nodes.nodes.moveit_py_process"]
        command += ["--reply-fd", str(child_end), "--parameters", str(self._file)]
        command += ["--namespace", self._namespace]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[child_end])
        os.close(child_end)
        self._receive(self._start_timeout)
        self._send_scene(list(self._scene.values()), [])

    def _send_scene(self, shapes: list[SceneShape], removed: list[str]) -> None:
        self._ask({"show": [asdict(s) for s in shapes], "removed": removed}, self._margin)

    def _ask(self, question: dict[str, Any], timeout: float) -> dict[str, Any]:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            self._end()
            raise PlanningFailed(
                f"MoveIt's process has ended: {error}; the next plan starts it"
            ) from error
        return self._receive(timeout)

    def _receive(self, timeout: float) -> dict[str, Any]:
        """The next line of the process; ends it when it is silent or gone."""
        limit = time.monotonic() + timeout
        while b"\n" not in self._rest:
            ready, _, _ = select.select(
                [self._replies], [], [], max(0.0, limit - time.monotonic())
            )
            chunk = os.read(self._replies, 1 << 20) if ready else None
            if not chunk:
                code = self._end()
                what = (
                    f"did not answer within {timeout:g} s and was ended"
                    if chunk is None
                    else f"has ended by itself (exit code {code}; its last lines say why)"
                )
                raise PlanningFailed(f"MoveIt's process {what}; the next plan starts it again")
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            if "fatal" in answer:
                self._end()
            raise PlanningFailed(f"MoveIt: {answer['error']}")
        return answer

    def _end(self) -> int | None:
        process, self._process = self._process, None
        self._rest = b""
        if self._replies >= 0:
            os.close(self._replies)
            self._replies = -1
        if process is None:
            return None
        with contextlib.suppress(OSError):
            assert process.stdin is not None
            process.stdin.close()  # it ends by itself when its input does
        try:
            return process.wait(1.0)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
