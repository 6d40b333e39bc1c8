"""A small tree of coordinate frames: fixed transforms and short histories.

Used where ``tf2_ros`` is not installed. No ROS in here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

import numpy as np
from scipy.spatial.transform import Rotation

from selfgrasp_nodes.errors import Unavailable
from selfgrasp_nodes.geometry import inverse

_CLOCKS = "do the clocks of camera, robot and this machine agree (chrony, use_sim_time)?"


def interpolate(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """Between two rigid transforms: linear position, shortest turn; ``share`` in 0..1."""
    result = np.eye(4)
    result[:3, 3] = (1 - share) * first[:3, 3] + share * second[:3, 3]
    turn = Rotation.from_matrix(first[:3, :3].T @ second[:3, :3]).as_rotvec()
    result[:3, :3] = first[:3, :3] @ Rotation.from_rotvec(share * turn).as_matrix()
    return result


class TransformTree:
    """Frames with one parent each; thread-safe.

    Args:
        history: Samples kept of a moving frame.
        slack: How far past the newest sample a lookup may reach [ns].
    """

    def __init__(self, history: int = 200, slack: int = 200_000_000):
        self._lock = threading.Lock()
        self._fixed: dict[str, tuple[str, np.ndarray]] = {}
        self._moving: dict[str, tuple[str, deque[tuple[int, np.ndarray]]]] = {}
        self._history = history
        self._slack = slack

    def set_fixed(self, parent: str, child: str, parent_T_child: np.ndarray) -> None:
        """A transform that never changes."""
        with self._lock:
            self._fixed[child] = (parent, parent_T_child)

    def add(self, parent: str, child: str, stamp: int, parent_T_child: np.ndarray) -> None:
        """A sample of a transform that changes; ``stamp`` in [ns]."""
        with self._lock:
            known = self._moving.get(child)
            if known is None or known[0] != parent:
                known = (parent, deque(maxlen=self._history))
                self._moving[child] = known
            samples = known[1]
            if samples and stamp < samples[-1][0] - 1_000_000_000:
                samples.clear()  # time jumped back: the simulation was reset
            if not samples or stamp > samples[-1][0]:
                samples.append((stamp, parent_T_child))

    def frames(self) -> list[str]:
        """All frames that are known."""
        with self._lock:
            parents = [p for p, _ in self._fixed.values()]
            parents += [p for p, _ in self._moving.values()]
            return sorted({*self._fixed, *self._moving, *parents})

    def lookup(self, target: str, source: str, stamp: int | None = None) -> np.ndarray:
        """target_T_source at a time; the newest where ``stamp`` [ns] is None.

        Raises:
            Unavailable: If the frames are not connected, or not at that time.
        """
        with self._lock:
            up_source = dict(self._chain(source, stamp))
            up_target = dict(self._chain(target, stamp))
        common = next((frame for frame in up_source if frame in up_target), None)
        if common is None:
            raise Unavailable(
                f"no transform from {source!r} to {target!r}; known frames: "
                f"{', '.join(self.frames()) or '(none)'}. Start what publishes it (the "
                "simulation, robot_state_publisher, a camera calibration), or give the "
                "camera's pose as a parameter"
            )
        return inverse(up_target[common]) @ up_source[common]

    def _chain(self, frame: str, stamp: int | None) -> Iterator[tuple[str, np.ndarray]]:
        """(ancestor, ancestor_T_frame), from the frame itself up to its root."""
        ancestor_T_frame = np.eye(4)
        seen: set[str] = set()
        while frame not in seen:
            seen.add(frame)
            yield frame, ancestor_T_frame
            if frame in self._fixed:
                parent, step = self._fixed[frame]
            elif frame in self._moving:
                parent, samples = self._moving[frame]
                step = self._at(frame, samples, stamp)
            else:
                return
            frame, ancestor_T_frame = parent, step @ ancestor_T_frame

    def _at(
        self, frame: str, samples: deque[tuple[int, np.ndarray]], stamp: int | None
    ) -> np.ndarray:
        if stamp is None or stamp >= samples[-1][0]:
            if stamp is not None and stamp > samples[-1][0] + self._slack:
                late = (stamp - samples[-1][0]) / 1e9
                raise Unavailable(
                    f"the transform of {frame!r} is {late:.2f} s old; does its publisher still "
                    f"run, and {_CLOCKS}"
                )
            return samples[-1][1]
        if stamp <= samples[0][0]:
            if stamp < samples[0][0] - self._slack:
                early = (samples[0][0] - stamp) / 1e9
                raise Unavailable(
                    f"the transform of {frame!r} is not known that far back: the oldest is from "
                    f"{early:.2f} s later; {_CLOCKS}"
                )
            return samples[0][1]
        for index in range(len(samples) - 1, 0, -1):
            before, after = samples[index - 1], samples[index]
            if before[0] <= stamp:
                share = (stamp - before[0]) / (after[0] - before[0])
                return interpolate(before[1], after[1], share)
        return samples[0][1]
