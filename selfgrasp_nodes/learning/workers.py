"""Worker processes for long runs: started afresh, one thread each, replaced when they die.

Each worker has a pipe of its own, so that a worker's death (out of memory, a
crash in a library) is blamed on the one job that it had; a pool of the standard
library breaks as a whole.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from selfgrasp_nodes.errors import SelfGraspError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS")

Job = TypeVar("Job")
Result = TypeVar("Result")


REMEDY = (
    "-9 is most often a machine out of memory: use fewer --workers; for other codes see what the "
    "process wrote above. Trainings and collections go on with what is there"
)


class WorkerDied(SelfGraspError):
    """The process that ran a job ended without an answer."""


def run_jobs(
    todo: Iterable[Job],
    run: Callable[[Job], Result],
    workers: int,
    initializer: Callable[..., None],
    *arguments: Any,
    attempts: int = 2,
) -> Iterator[tuple[Job, Result | WorkerDied]]:
    """Run jobs and yield each with its result, in the order in which they end.

    When the caller stops taking results, the workers are ended. Ctrl-C reaches
    the caller alone.

    Args:
        todo: The jobs; may be endless: one is taken when a worker is free.
        run: Of one job; like ``initializer`` a module's function.
        workers: Processes; with one, everything runs in this process.
        initializer: Called once in each process, before its first job.
        *arguments: Of the initializer.
        attempts: How often a job is begun whose worker dies; then
            :class:`WorkerDied` is its result.

    Raises:
        Exception: What ``run`` or ``initializer`` raised.
        WorkerDied: If a worker dies while it initialises.
    """
    if workers <= 1:
        initializer(*arguments)
        for job in todo:
            yield job, run(job)
        return
    left = iter(todo)
    crew: list[_Worker[Job]] = []
    try:
        for _ in range(workers):
            crew.append(_Worker(run, initializer, arguments))
            crew[-1].take_from(left)
        while busy := [worker for worker in crew if worker.has_job]:
            for pipe in wait([worker.pipe for worker in busy]):
                worker = next(worker for worker in busy if worker.pipe is pipe)
                job, begun = worker.job, worker.begun
                try:
                    answer = worker.receive()
                except (EOFError, OSError):
                    code, place = worker.end(), crew.index(worker)
                    if not worker.initialised:
                        raise WorkerDied(
                            f"a worker process ended with code {code} while it started: {REMEDY}"
                        ) from None
                    worker = crew[place] = _Worker(run, initializer, arguments)
                    if begun < attempts:
                        worker.give(job, begun + 1)
                        continue
                    answer = [
                        WorkerDied(
                            f"its worker process died {begun} times, with code {code}: {REMEDY}"
                        )
                    ]
                if answer:  # empty: it has initialised
                    worker.take_from(left)
                    yield job, answer[0]
    finally:
        for worker in crew:
            worker.end()


class _Worker(Generic[Job]):
    """One process, and the job that it has."""

    def __init__(
        self,
        run: Callable[[Job], Any],
        initializer: Callable[..., None],
        arguments: tuple[Any, ...],
    ):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_work, args=(theirs, run, initializer, arguments), daemon=True
        )
        with _one_thread():
            self._process.start()
        theirs.close()
        self.initialised = False
        self.has_job = False
        self.begun = 0
        self.job: Job

    def give(self, job: Job, begun: int = 1) -> None:
        """Let it run a job, for the ``begun``-th time."""
        self.job, self.begun, self.has_job = job, begun, True
        with suppress(OSError):  # it has died: reading says so
            self.pipe.send(job)

    def take_from(self, left: Iterator[Job]) -> None:
        """Let it run the next job, if there is one."""
        self.has_job = False
        for job in left:
            self.give(job)
            return

    def receive(self) -> list[Any]:
        """What it says: [] when it has initialised, [result] of its job.

        Raises:
            EOFError: If it has died, as ``OSError``.
            Exception: What it raised.
        """
        answer, error, text = self.pipe.recv()
        if error is not None:
            raise error from RuntimeError(f"in a worker process:\n{text}")
        if not self.initialised:
            self.initialised = True
            return []
        return [answer]

    def end(self) -> int | None:
        """End it; returns its exit code."""
        self.pipe.close()
        self._process.join(0.1)
        for stop in (self._process.terminate, self._process.kill):
            if self._process.exitcode is None:
                stop()
                self._process.join(2.0)
        return self._process.exitcode


def _work(
    pipe: Connection,
    run: Callable[[Any], Any],
    initializer: Callable[..., None],
    arguments: tuple[Any, ...],
) -> None:
    """What a worker process does until its pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        initializer(*arguments)
        pipe.send((None, None, ""))
        while True:
            pipe.send((run(pipe.recv()), None, ""))
    except (EOFError, BrokenPipeError):  # nobody listens any more
        return
    except Exception as error:
        with suppress(OSError):
            pipe.send((None, _picklable(error), traceback.format_exc()))


def _picklable(error: Exception) -> Exception:
    """The error, or one with its text where it does not survive the way to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        known = isinstance(error, SelfGraspError)
        return SelfGraspError(str(error)) if known else RuntimeError(repr(error))
    return error


@contextmanager
def _one_thread() -> Iterator[None]:
    """Variables for a process with one thread: two cores are soon oversubscribed."""
    saved = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
