"""Jobs on a Ray cluster, with the face of :func:`selfgrasp_nodes.learning.workers.run_jobs`.

Each worker is an actor of one CPU. When one is lost, with its process or with its
node, its job is given to a new one, which Ray starts where there is room.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from selfgrasp_nodes.errors import InvalidConfig, MissingDependency, SelfGraspError
from selfgrasp_nodes.learning.workers import THREAD_VARIABLES, WorkerDied

log = logging.getLogger(__name__)

Job = TypeVar("Job")
Result = TypeVar("Result")

START_LIMIT = 300.0
"""Longest wait for the first answer of a cluster [s]."""


def run_jobs_on_ray(
    todo: Iterable[Job],
    run: Callable[[Job], Result],
    workers: int,
    address: str,
    initializer: Callable[..., None],
    *arguments: Any,
    attempts: int = 2,
) -> Iterator[tuple[Job, Result | WorkerDied]]:
    """Run jobs on a cluster and yield each with its result, in the order in which they end.

    Args:
        todo: The jobs; one is taken when a worker is free.
        run: Of one job; like ``initializer`` a module's function.
        workers: Actors, one CPU each.
        address: Of the cluster, or ``auto`` for the one that this machine is in.
        initializer: Called once in each actor, before its first job.
        *arguments: Of the initializer.
        attempts: How often a job is begun whose worker is lost; then
            :class:`WorkerDied` is its result.

    Raises:
        MissingDependency: If Ray is not installed.
        InvalidConfig: If there is no such cluster.
        Exception: What ``run`` or ``initializer`` raised.
    """
    ray = _ray()
    mine = not ray.is_initialized()
    if mine:
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error")
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise InvalidConfig(
                f"no Ray cluster at {address!r} ({error}); start one with 'ray start --head' and "
                "give its address, or 'auto' on one of its machines"
            ) from error
    crew = _Crew(ray, run, initializer, arguments)
    try:
        yield from crew.work(iter(todo), workers, attempts)
    finally:
        crew.end()
        if mine:
            ray.shutdown()


class _Crew:
    """The actors, and the job that each has.

    A lost job waits for whichever actor is free first: the new one that replaces
    the lost one may find no room in what is left of the cluster.
    """

    def __init__(
        self,
        ray: Any,
        run: Callable[[Any], Any],
        initializer: Callable[..., None],
        arguments: tuple[Any, ...],
    ):
        self._ray = ray
        self._actor = ray.remote(_Actor).options(num_cpus=1, max_restarts=0)
        self._made = (run, initializer, arguments)
        # A call that has not ended -> (actor, how often its job was begun, [job]); no job
        # where the actor is only asked whether it is there.
        self._calls: dict[Any, tuple[Any, int, list[Any]]] = {}
        self._lost: list[tuple[Any, int]] = []
        self._over = False

    def work(self, left: Iterator[Job], workers: int, attempts: int) -> Iterator[tuple[Job, Any]]:
        """See :func:`run_jobs_on_ray`."""
        errors = self._ray.exceptions
        for _ in range(workers):
            self._start()
        while not self._over or self._lost or any(job for _, _, job in self._calls.values()):
            ready, _ = self._ray.wait(list(self._calls), num_returns=1, timeout=self._limit())
            if not ready:
                raise SelfGraspError(
                    f"the Ray cluster started no worker within {START_LIMIT:.0f} s; see 'ray "
                    "status' for free CPUs, and whether selfgrasp is installed on its machines"
                )
            actor, begun, job = self._calls.pop(ready[0])
            try:
                answer = self._ray.get(ready[0])
            except (errors.RayActorError, errors.ObjectLostError) as error:
                if _initialiser_failed(error):
                    raise SelfGraspError(f"a worker could not be set up:\n{error}") from error
                log.warning("a worker of the cluster was lost: %s", type(error).__name__)
                self._start()
                if not job:
                    continue
                if begun < attempts:
                    self._lost.append((job[0], begun))
                    continue
                yield job[0], WorkerDied(f"its worker was lost {begun} times: {error}")
                continue
            except errors.RayTaskError as error:
                raise _cause(error) from error
            self._take(actor, left)
            if job:
                yield job[0], answer

    def end(self) -> None:
        """Stop the actors."""
        for actor, _, _ in self._calls.values():
            self._ray.kill(actor)
        self._calls.clear()

    def _limit(self) -> float | None:
        """Time to wait [s]; no limit while somebody works."""
        return None if any(job for _, _, job in self._calls.values()) else START_LIMIT

    def _start(self) -> None:
        """A new actor, which gets a job when it answers."""
        actor = self._actor.remote(*self._made)
        self._calls[actor.ready.remote()] = (actor, 0, [])

    def _take(self, actor: Any, left: Iterator[Any]) -> None:
        """Give a free actor a lost job, or the next; end it where there is none."""
        if self._lost:
            job, begun = self._lost.pop(0)
            self._give(actor, job, begun + 1)
            return
        for job in left:
            self._give(actor, job, 1)
            return
        self._over = True
        self._ray.kill(actor)

    def _give(self, actor: Any, job: Any, begun: int) -> None:
        self._calls[actor.run.remote(job)] = (actor, begun, [job])


class _Actor:
    """A worker: initialised once, then one job after the other."""

    def __init__(
        self,
        run: Callable[[Any], Any],
        initializer: Callable[..., None],
        arguments: tuple[Any, ...],
    ):
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
        initializer(*arguments)
        self._run = run

    def ready(self) -> None:
        """Answers when it is set up."""

    def run(self, job: Any) -> Any:
        """One job."""
        return self._run(job)


def _initialiser_failed(error: Any) -> bool:
    """Whether an actor ended because its initialiser raised: it would do so again."""
    return "creation task" in str(error)


def _cause(error: Any) -> BaseException:
    """What was raised in the worker."""
    return error.cause if isinstance(error.cause, BaseException) else error


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingDependency(
            "collecting on a cluster needs Ray, which is optional; install it on all of its "
            "machines with: pip install 'selfgrasp[cluster]'"
        ) from error
    return ray
