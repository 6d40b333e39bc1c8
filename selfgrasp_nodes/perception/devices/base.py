"""What every camera device offers, and the thread that keeps one running."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from selfgrasp_nodes.errors import (
    InvalidConfig,
    MissingDependency,
    SelfGraspError,
    Unavailable,
    WrongCamera,
)


@dataclass(frozen=True)
class Frame:
    """One exposure: colour, and depth aligned to it.

    Attributes:
        color: (H, W, 3) uint8 RGB.
        depth: (H, W) float32 along the optical axis of the colour camera [m], 0 invalid.
        intrinsics: 3 x 3 of the colour camera.
        distortion: (5,) plumb-bob coefficients of the colour picture.
        stamp: Of the exposure, since the epoch [ns].
    """

    color: np.ndarray
    depth: np.ndarray
    intrinsics: np.ndarray
    distortion: np.ndarray
    stamp: int


class Device(Protocol):
    """A camera."""

    def open(self) -> None:
        """Start it.

        Raises:
            Unavailable: If it is not plugged in, or another program has it.
            WrongCamera: If only cameras with another serial number are there.
            MissingDependency: If its library is not installed.
            InvalidConfig: If it cannot do what is asked of it.
        """

    def read(self, timeout: float) -> Frame:
        """The next exposure.

        Args:
            timeout: Wall-clock limit [s].

        Raises:
            Unavailable: If none comes in time; open it again.
        """

    def close(self) -> None:
        """Stop it; may be called at any time, and again."""

    @property
    def serial(self) -> str:
        """Serial number; empty while closed."""

    @property
    def model(self) -> str:
        """Product name; empty while closed."""


class Runner:
    """Keeps a device running in a thread: opens, reads, and opens again after a fault.

    What will not heal by itself (a missing library, a wrong setting, another
    camera) is tried again as well, more slowly: the cable may be put into the right one.

    Attributes:
        problem: What is wrong now; empty while frames come.
        frames: How many came.
        opened: How often the device was opened.
    """

    def __init__(
        self,
        device: Device,
        on_frame: Callable[[Frame], None],
        on_problem: Callable[[str], None] = lambda text: None,
        timeout: float = 2.0,
        retry: float = 1.0,
        max_age: float = 1.0,
        rate: float = 0.0,
    ):
        """Start the thread.

        Args:
            device: What runs in it.
            on_frame: Called with each frame, in the thread.
            on_problem: Called once whenever what is wrong changes; with "" when it is over.
            timeout: Silence after which the device is opened again [s].
            retry: Pause before that [s].
            max_age: Older frames are stale and not handed on [s].
            rate: Frames a second at most; 0 is as many as come.
        """
        self.device = device
        self.problem = "not opened yet"
        self.frames = self.opened = 0
        self._on_frame, self._on_problem = on_frame, on_problem
        self._timeout, self._retry, self._max_age = timeout, retry, max_age
        self._period = 1 / rate if rate > 0 else 0.0
        self._newest = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="camera", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and stop the device."""
        self._ending.set()
        self._thread.join(self._timeout + 3.0)

    def _work(self) -> None:
        while not self._ending.is_set():
            pause = self._retry
            try:
                self.device.open()
                self.opened += 1
                self._newest = 0
                while not self._ending.is_set():
                    begun = time.monotonic()
                    self._take(self.device.read(self._timeout))
                    self._ending.wait(max(self._period - (time.monotonic() - begun), 0.0))
            except Unavailable as error:
                self._say(str(error))
            except (MissingDependency, InvalidConfig, WrongCamera) as error:
                self._say(str(error))
                pause = 5 * self._retry
            except SelfGraspError as error:
                self._say(str(error))
            except Exception as error:  # vendors' libraries raise what they like
                self._say(f"{type(error).__name__}: {error}; the camera is opened again")
            finally:
                self.device.close()
            self._ending.wait(pause)

    def _take(self, frame: Frame) -> None:
        age = (time.time_ns() - frame.stamp) / 1e9
        if age > self._max_age:
            raise Unavailable(
                f"stale image: exposed {age:.2f} s ago, {self._max_age:g} s are allowed; is the "
                "machine overloaded, or the camera's clock wrong?"
            )
        if frame.stamp <= self._newest:
            raise Unavailable("the camera repeats an old image; it is opened again")
        self._newest = frame.stamp
        self._on_frame(frame)
        self.frames += 1
        self._say("")

    def _say(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._on_problem(problem)


def check_serial(wanted: str, found: str) -> None:
    """Refuse a camera that is not the one that was asked for, or calibrated.

    Raises:
        WrongCamera: If both are known and differ.
    """
    if wanted and found and wanted != found:
        raise WrongCamera(
            f"camera {found} is connected, but {wanted} is wanted (it was calibrated, or the "
            "serial parameter names it); connect that one, or calibrate this one: selfgrasp "
            "calibrate"
        )
