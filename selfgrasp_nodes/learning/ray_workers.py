"""Jobs on a Ray cluster, with the face of :func:`selfgrasp_nodes.learning.workers.run_jobs`.

Each worker is an actor of one CPU. When one is lost, with its process or with its
node, its job is given to a new one, which Ray starts where there is room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from selfgrasp_nodes.errors import InvalidConfig, MissingDependency, SelfGraspError
from selfgrasp_nodes.learning.workers import THREAD_VARIABLES, WorkerDied

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
    """The actors, and the job that each has."""

    def __init__(
        self,
        ray: Any,
        run: Callable[[Any], Any],
        initializer: Callable[..., None],
        arguments: tuple[Any, ...],
    ):
        self._ray = ray
        environment = {"env_vars": dict.fromkeys(THREAD_VARIABLES, "1")}
        self._actor = ray.remote(_Actor).options(
            num_cpus=1, max_restarts=0, runtime_env=environment
        )
        self._made = (run, initializer, arguments)
        # A call that has not ended -> (actor, job, how often the job was begun).
        self._calls: dict[Any, tuple[Any, Any, int]] = {}

    def work(self, left: Iterator[Job], workers: int, attempts: int) -> Iterator[tuple[Job, Any]]:
        """See :func:`run_jobs_on_ray`."""
        for _ in range(workers):
            self._take(self._actor.remote(*self._made), left)
        answered = False
        while self._calls:
            limit = None if answered else START_LIMIT
            ready, _ = self._ray.wait(list(self._calls), num_returns=1, timeout=limit)
            if not ready:
                raise SelfGraspError(
                    f"the Ray cluster started no worker within {START_LIMIT:.0f} s; see 'ray "
                    "status' for free CPUs, and whether selfgrasp is installed on its machines"
                )
            actor, job, begun = self._calls.pop(ready[0])
            try:
                answer = self._ray.get(ready[0])
            except self._ray.exceptions.RayActorError as error:
                if _initialiser_failed(error):
                    raise
                actor = self._actor.remote(*self._made)
                if begun < attempts:
                    self._give(actor, job, begun + 1)
                    continue
                answer = WorkerDied(f"its worker was lost {begun} times: {error}")
            except self._ray.exceptions.RayTaskError as error:
                raise _cause(error) from error
            answered = True
            self._take(actor, left)
            yield job, answer

    def end(self) -> None:
        """Stop the actors."""
        for actor, _, _ in self._calls.values():
            self._ray.kill(actor)
        self._calls.clear()

    def _take(self, actor: Any, left: Iterator[Any]) -> None:
        for job in left:
            self._give(actor, job, 1)
            return
        self._ray.kill(actor)

    def _give(self, actor: Any, job: Any, begun: int) -> None:
        self._calls[actor.run.remote(job)] = (actor, job, begun)


class _Actor:
    """A worker: initialised once, then one job after the other."""

    def __init__(
        self,
        run: Callable[[Any], Any],
        initializer: Callable[..., None],
        arguments: tuple[Any, ...],
    ):
        initializer(*arguments)
        self._run = run

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
            "machines with: pip install 'ray>=2.9'"
        ) from error
    return ray
