"""Measures a graph at work from outside: pictures, latencies, time, what its nodes say."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rosgraph_msgs.msg import Clock as ClockMsg
from selfgrasp.msg import Candidates as CandidatesMsg
from selfgrasp.msg import Observation as ObservationMsg
from sensor_msgs.msg import Image
from std_msgs.msg import Empty

from selfgrasp_nodes.nodes import conversions, qos
from selfgrasp_nodes.nodes.demo import DemoNode
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.types import Trial


class GraphMeter(DemoNode):
    """Drives the graph as the demonstration does, and keeps figures.

    Attributes:
        trials: With the rest before each [s].
        latencies: Seconds by name: ``picture`` from the request to its arrival
            here, ``choose`` from an observation to the candidates made of it.
        figures: By node and key, the numbers of its diagnostics with the wall
            time at which each was heard.
    """

    def __init__(self, robot: RobotSpec, folder: Path):
        """Subscribe to what is measured."""
        self.trials: list[tuple[Trial, float]] = []
        self.latencies: dict[str, list[float]] = defaultdict(list)
        self.figures: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self._ticks: list[tuple[float, float]] = []
        self._asked = float("nan")
        self._seen: dict[str, float] = {}
        super().__init__(robot, folder, self._keep, lambda feedback: None, False)
        space = robot.camera().namespace

        def listen(kind: Any, topic: str, callback: Callable[[Any], None], profile: Any) -> None:
            self.create_subscription(kind, topic, callback, profile)

        listen(ClockMsg, "/clock", self._take_clock, qos.SENSOR)
        listen(DiagnosticArray, "/diagnostics", self._take_diagnostics, qos.EVENT)
        listen(Empty, f"{space}/trigger", self._take_trigger, qos.EVENT)
        listen(Image, f"{space}/color/image_raw", self._take_image, qos.SENSOR)

    def forget(self) -> None:
        """Begin to measure anew; counters of the nodes go on."""
        self.trials.clear()
        self.latencies.clear()
        self.figures.clear()
        self._ticks.clear()

    def real_time_factor(self) -> float:
        """Simulated time over wall time, over everything measured."""
        if len(self._ticks) < 2:
            return float("nan")
        (wall, simulated), (wall_end, simulated_end) = self._ticks[0], self._ticks[-1]
        return (simulated_end - simulated) / (wall_end - wall)

    def slowest_seconds(self, window: float = 5.0) -> float:
        """Real-time factor of the slowest window [s]."""
        factors = []
        first = 0
        for wall, simulated in self._ticks:
            while wall - self._ticks[first][0] > window:
                first += 1
            span = wall - self._ticks[first][0]
            if span > 0.8 * window:
                factors.append((simulated - self._ticks[first][1]) / span)
        return min(factors, default=float("nan"))

    def counter(self, node: str, key: str) -> float:
        """A counter in a node's diagnostics, as it was last heard."""
        values = self.figures[node][key]
        return values[-1][1] if values else float("nan")

    def values(self, node: str, key: str) -> list[float]:
        """Numbers that a node's diagnostics gave, without repetitions and NaN."""
        found: list[float] = []
        for _, value in self.figures[node][key]:
            if not np.isnan(value) and (not found or found[-1] != value):
                found.append(value)
        return found

    def phases(self) -> dict[str, list[float]]:
        """Durations of each phase of the trials [s of the graph's time]."""
        found: dict[str, list[float]] = defaultdict(list)
        for trial, _ in self.trials:
            spent: dict[str, float] = defaultdict(float)
            for phase in trial.execution.phases:
                spent[phase.code.name.lower()] += (phase.end - phase.start) * 1e-9
            for name, seconds in spent.items():
                found[name].append(seconds)
        return found

    def cycles(self) -> list[float]:
        """From one try's beginning to the next one's, within a run [s of the graph's time]."""
        return [
            (b.execution.phases[0].start - a.execution.phases[0].start) * 1e-9
            for (a, _), (b, _) in zip(self.trials, self.trials[1:], strict=False)
            if a.run_id == b.run_id and a.execution.phases and b.execution.phases
        ]

    # -- callbacks

    def _keep(self, trial: Trial, rest: float) -> None:
        # Before a run's first try the table was laid out anew: no rest between picks.
        self.trials.append((trial, rest if trial.index else float("nan")))

    def _take_clock(self, message: ClockMsg) -> None:
        self._ticks.append((time.monotonic(), conversions.stamp(message.clock) * 1e-9))

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        now = time.monotonic()
        for status in message.status:
            for item in status.values:
                with contextlib.suppress(ValueError):
                    value = float(item.value)
                    self.figures[status.name.rsplit("/", 1)[-1]][item.key].append((now, value))

    def _take_trigger(self, message: Empty) -> None:
        if np.isnan(self._asked):
            self._asked = time.monotonic()

    def _take_image(self, message: Image) -> None:
        if not np.isnan(self._asked):
            self.latencies["picture"].append(time.monotonic() - self._asked)
            self._asked = float("nan")

    def _take_observation(self, message: ObservationMsg) -> None:
        self._seen = {message.observation_id: time.monotonic()}

    def _take_candidates(self, message: CandidatesMsg) -> None:
        seen = self._seen.get(message.observation_id)
        if seen is not None:
            self.latencies["choose"].append(time.monotonic() - seen)


class MeterSession:
    """A meter that spins in a thread for as long as the block runs."""

    def __init__(self, robot: RobotSpec, folder: Path):
        self._robot, self._folder = robot, folder

    def __enter__(self) -> GraphMeter:
        """Start to spin."""
        rclpy.init()
        self._node = GraphMeter(self._robot, self._folder)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        return self._node

    def __exit__(self, *exception: object) -> None:
        """Stop."""
        self._executor.shutdown(1.0)
        rclpy.try_shutdown()
        self._thread.join(2.0)

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()


def median(values: Sequence[float]) -> float:
    """The median; NaN of nothing."""
    finite = [value for value in values if not np.isnan(value)]
    return float(np.median(finite)) if finite else float("nan")


def percentile(values: Sequence[float], share: float) -> float:
    """A percentile (0..100); NaN of nothing."""
    finite = [value for value in values if not np.isnan(value)]
    return float(np.percentile(finite, share)) if finite else float("nan")
