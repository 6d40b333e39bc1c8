"""Which jobs belong to which goal, so that a cancel reaches them at any time."""

from __future__ import annotations

import threading
from typing import Any

from selfgrasp_nodes.nodes.motion_jobs import Job, Lane


def goal_id(goal: Any) -> bytes:
    """The identity of an action's goal."""
    return bytes(goal.goal_id.uuid)


class GoalJobs:
    """The jobs of the goals of one action.

    A cancel may come before a goal has its first job, or between two: it is
    remembered until the goal ends, and reaches the job as soon as there is one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[bytes, list[tuple[Lane, Job]]] = {}
        self._cancelled: set[bytes] = set()

    def add(self, goal: bytes, lane: Lane, job: Job) -> None:
        """A goal has entered a lane; the job is cancelled where the goal was."""
        with self._lock:
            self._jobs.setdefault(goal, []).append((lane, job))
            cancelled = goal in self._cancelled
        if cancelled:
            job.cancel()

    def remove(self, goal: bytes, lane: Lane, job: Job) -> None:
        """That job has ended, and another one of the same goal may follow."""
        with self._lock:
            self._jobs[goal].remove((lane, job))

    def cancel(self, goal: bytes) -> None:
        """Stop the goal's jobs: arms that they move stop at once, those of others do not."""
        with self._lock:
            self._cancelled.add(goal)
            jobs = list(self._jobs.get(goal, ()))
        for lane, job in jobs:
            moves = job.before is None or job.before.done.is_set()
            job.cancel()
            if moves:
                lane.port.stop()

    def cancelled(self, goal: bytes) -> bool:
        """Whether the goal was cancelled."""
        return goal in self._cancelled

    def forget(self, goal: bytes) -> None:
        """The goal has ended."""
        with self._lock:
            self._jobs.pop(goal, None)
            self._cancelled.discard(goal)
