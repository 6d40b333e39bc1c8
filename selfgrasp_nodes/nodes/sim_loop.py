"""Steps a world in a thread of its own, at real time or as fast as it can. No ROS."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from selfgrasp_nodes.errors import NotReady, Unavailable
from selfgrasp_nodes.simulation.world import World

T = TypeVar("T")
_LARGEST_LAG = 0.1  # behind real time: beyond it the lag is dropped, not caught up [s]
_RATE_WINDOW = 1.0  # over which the real-time factor is measured [s]


@dataclass
class _Job:
    """Called every ``period`` of simulated time, at most every ``wall`` of real time."""

    period: int
    wall: float
    work: Callable[[int], None]
    next_time: int = 0
    next_wall: float = 0.0


@dataclass
class _Watch:
    """Fires when a condition on the world has become true."""

    condition: Callable[[World, int], bool]
    event: threading.Event


class SimLoop:
    """Owns a world; everybody else reaches it through :meth:`do`.

    Args:
        world: To step.
        chunk: Simulated time between two looks at the queue [s].
        real_time_factor: Simulated seconds a second; 0 for as fast as it can.
    """

    def __init__(self, world: World, chunk: float = 0.004, real_time_factor: float = 1.0):
        self.world = world
        self.real_time_factor = real_time_factor
        self.measured_factor = 0.0
        self.failure = ""
        self._steps = max(1, round(chunk / world.timestep))
        self._offset = 0
        self._now = 0
        self._jobs: list[_Job] = []
        self._watches: list[_Watch] = []
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._paused = False
        self._left = 0  # steps to do while paused
        self._stepped = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="step", daemon=True)

    @property
    def now(self) -> int:
        """Simulated time [ns]; never jumps back, not even at a reset."""
        return self._now

    @property
    def paused(self) -> bool:
        """Whether time stands still."""
        return self._paused

    def every(self, period: float, work: Callable[[int], None], wall: float = 0.0) -> None:
        """Call ``work(now)`` in the stepping thread; before :meth:`start` only.

        Args:
            period: Of simulated time [s].
            work: Called with the simulated time [ns]; must be short.
            wall: Smallest distance of two calls in real time [s].
        """
        self._jobs.append(_Job(round(period * 1e9), wall, work))

    def start(self) -> None:
        """Begin to step."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ending.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(2.0)

    def do(self, work: Callable[[World], T], timeout: float = 5.0) -> T:
        """Run ``work`` in the stepping thread between two steps and wait for it.

        Raises:
            Unavailable: If the loop does not come to it in time.
        """
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(work(self.world))
            except BaseException as error:
                future.set_exception(error)

        if threading.current_thread() is self._thread:
            run()
        else:
            self._queue.put(run)
        try:
            return future.result(timeout)
        except TimeoutError:
            raise Unavailable(
                f"the simulation did not answer within {timeout:g} s {self.failure}"
            ) from None

    def post(self, work: Callable[[World], Any]) -> None:
        """As :meth:`do`, without waiting."""
        self._queue.put(lambda: work(self.world))

    def watch(self, condition: Callable[[World, int], bool]) -> threading.Event:
        """An event that is set as soon as ``condition(world, now)`` is true after a chunk."""
        watch = _Watch(condition, threading.Event())
        self._queue.put(lambda: self._watches.append(watch))
        return watch.event

    def unwatch(self, event: threading.Event) -> None:
        """Forget a watch."""
        self._queue.put(
            lambda: self._watches.__setitem__(
                slice(None), [w for w in self._watches if w.event is not event]
            )
        )

    def reset(self, work: Callable[[World], T]) -> T:
        """Run a work that resets the world; time goes on from where it was."""

        def run(world: World) -> T:
            before = self._now
            result = work(world)
            self._offset = before - world.time
            return result

        return self.do(run, timeout=60.0)

    def pause(self, paused: bool) -> None:
        """Let time stand still, or go on."""
        self.do(lambda world: setattr(self, "_paused", paused))

    def advance(self, seconds: float) -> None:
        """Advance a paused world.

        Raises:
            NotReady: If it is not paused.
        """
        if not self._paused:
            raise NotReady("the world runs; pause it before it is stepped by hand")
        self._stepped.clear()
        steps = max(0, round(seconds / self.world.timestep))
        self.do(lambda world: setattr(self, "_left", steps))
        while steps and not self._stepped.wait(0.2):
            if self._ending.is_set() or not self._thread.is_alive():
                raise Unavailable("the simulation has ended")

    def _run(self) -> None:
        wall, simulated = time.monotonic(), self._now
        measured_wall, measured_sim = wall, simulated
        while not self._ending.is_set():
            self._serve()
            steps = self._steps
            if self._paused:
                steps = min(steps, self._left)
                if not steps:
                    time.sleep(0.002)
                    wall, simulated = time.monotonic(), self._now
                    continue
                self._left -= steps
            try:
                self.world.step(steps)
            except Exception as error:
                self.failure = f"({error})"
                self._paused, self._left = True, 0
            self._now = self._offset + self.world.time
            self._call_back()
            if self._paused and not self._left:
                self._stepped.set()
            now = time.monotonic()
            if now - measured_wall >= _RATE_WINDOW:
                self.measured_factor = (self._now - measured_sim) / 1e9 / (now - measured_wall)
                measured_wall, measured_sim = now, self._now
            if self.real_time_factor <= 0:
                time.sleep(0)  # let other threads in
                continue
            due = wall + (self._now - simulated) / 1e9 / self.real_time_factor
            if due > now:
                time.sleep(due - now)
            elif now - due > _LARGEST_LAG:
                wall, simulated = now, self._now

    def _serve(self) -> None:
        while True:
            try:
                work = self._queue.get_nowait()
            except queue.Empty:
                return
            try:
                work()
            except Exception as error:  # a posted work has nobody to tell
                self.failure = f"({error})"

    def _call_back(self) -> None:
        if self._watches:
            fired = [w for w in self._watches if w.condition(self.world, self._now)]
            for watch in fired:
                self._watches.remove(watch)
                watch.event.set()
        wall = time.monotonic()
        for job in self._jobs:
            if self._now >= job.next_time and wall >= job.next_wall:
                job.next_time = self._now + job.period - self._now % (job.period or 1)
                job.next_wall = wall + job.wall
                try:
                    job.work(self._now)
                except Exception as error:
                    self.failure = f"({error})"
