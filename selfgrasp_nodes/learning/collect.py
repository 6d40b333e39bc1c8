"""Collects tries by the episode into a store: many worlds at once, one writer.

Episodes are numbered, and each depends on (seed, stage, number) alone. A run of N
tries is the shortest sequence of episodes 0, 1, 2, ... that has N labelled ones,
whatever the number of workers. An episode is written in one piece when it has
ended; one that was interrupted, or that a fault ended which nobody foresaw, is not in
the store, and simulated again by the next call that still wants tries.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfgrasp_nodes.errors import InvalidConfig, SelfGraspError, StorageError
from selfgrasp_nodes.learning.collect_config import (
    RANDOM_POLICIES,
    CollectConfig,
    noted_meta,
    patch_geometry,
)
from selfgrasp_nodes.learning.collect_episode import EpisodeResult
from selfgrasp_nodes.learning.collect_worker import initialise, run_episode
from selfgrasp_nodes.learning.workers import WorkerDied, run_jobs
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.trials.store import TrialStore

ATTEMPTS = 3
"""How often an episode is begun whose worker dies, before it is left out."""

BARREN = 25
"""So many episodes in a row without a labelled try end a run: it would never be full."""


class NothingCollected(SelfGraspError):
    """Episode after episode gave no labelled try."""


@dataclass
class Progress:
    """Where a collection stands.

    Attributes:
        wanted: Labelled tries that were asked for.
        labelled: In the store for this run.
        positives: Of them, successes by their label.
        tries: In the store for this run, with those that could not be made.
        episodes: Likewise.
        resumed: Labelled tries that were there at the start.
        label_errors: Labels of this call's tries that the simulator's truth denies.
        left_out: Episodes of this call whose worker died each time, or that a fault ended.
        seconds: Of wall time since the first episode was handed out.
    """

    wanted: int
    labelled: int = 0
    positives: int = 0
    tries: int = 0
    episodes: int = 0
    resumed: int = 0
    label_errors: int = 0
    left_out: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Labelled tries a second of this call."""
        return (self.labelled - self.resumed) / self.seconds if self.seconds > 0 else 0.0


class Ledger:
    """Which episodes a run of so many tries still needs; an iterator over their numbers."""

    def __init__(self, wanted: int, most: int, finished: dict[int, int]):
        """Begin where the store stands.

        Args:
            wanted: Labelled tries of the whole run.
            most: That one episode can have.
            finished: Labelled tries of the episodes that are stored, by number.
        """
        self._wanted, self._most = wanted, most
        self._finished = dict(finished)
        self._waiting: dict[int, EpisodeResult] = {}
        self._next = 0

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        """The next episode to simulate.

        Raises:
            StopIteration: If those that have ended hold enough tries.
        """
        if sum(self._finished.values()) >= self._wanted:
            raise StopIteration
        while self._next in self._finished:
            self._next += 1
        self._next += 1
        return self._next - 1

    def end(self, result: EpisodeResult) -> list[EpisodeResult]:
        """Take an episode that has ended.

        Returns:
            The episodes that can be stored now: those that the run needs, whatever
            the ones before them that still run will give.
        """
        self._finished[result.episode] = result.labelled
        self._waiting[result.episode] = result
        ready, before = [], 0
        for number in range(max(self._finished) + 1):
            if before >= self._wanted:
                break
            if number in self._waiting:
                ready.append(self._waiting.pop(number))
            before += self._finished.get(number, self._most)
        return ready


def collect(
    config: CollectConfig,
    path: str | Path,
    tries: int,
    workers: int = 2,
    ray: str = "",
    on_progress: Callable[[Progress], None] | None = None,
) -> Progress:
    """Collect until the run has so many labelled tries; the last episode is finished.

    Args:
        config: What is collected.
        path: The store; made where it is missing, gone on with where it is not.
        tries: Labelled tries that the run shall have, those there already included.
        workers: Worlds at once.
        ray: Address of a Ray cluster that runs the workers, or ``auto``; processes
            of this machine where empty.
        on_progress: Called after each stored episode.

    Raises:
        InvalidConfig: If a number, a file or a parameter of the policy is wrong, or
            a run of stage 0 is begun whose policy does not draw at random.
        StorageError: If the store is damaged, of another geometry, or holds a run
            of this name that was collected with other values.
        NotReady: If the policy needs a checkpoint and there is none.
        MissingDependency: If Ray is asked for and not installed.
        NothingCollected: If :data:`BARREN` episodes in a row gave no labelled try.
    """
    for name, value, high in (("tries", tries, 10_000_000), ("workers", workers, 1024)):
        if not 1 <= value <= high:
            raise InvalidConfig(f"{name} must lie in 1..{high}, not {value}")
    path = Path(path)
    begun = _begun(path, config.run)
    meta = noted_meta(config, begun)  # refuses what is wrong before a file is made
    if not config.stage and config.policy not in RANDOM_POLICIES and begun is None:
        raise InvalidConfig(
            f"stage 0 is of random tries ({', '.join(RANDOM_POLICIES)}), which trainings measure "
            f"themselves on: give --stage 1 or higher for policy {config.policy!r}"
        )
    most = config.recipe(load_robot(config.robot)).tries
    with _store(config, path) as store:
        store.set_run(config.run, meta)
        progress = _standing(store, config.run, tries)
        if on_progress is not None:
            on_progress(progress)
        ledger = Ledger(tries, most, store.episodes(config.run))
        start, barren = time.monotonic(), 0
        for number, result in _results(ledger, workers, ray, config):
            if isinstance(result, WorkerDied):
                result = EpisodeResult.failed(number, str(result))
            progress.left_out += result.fault
            barren = 0 if result.labelled else barren + 1
            if barren >= BARREN:
                raise NothingCollected(
                    f"{barren} episodes in a row gave no labelled try, the last because: "
                    f"{result.ended}. Try one with 'selfgrasp collect --tries 1 --workers 1', and "
                    "check robot, recipe and object set"
                )
            for done in ledger.end(result):
                if done.fault:
                    continue
                store.add_episode(config.run, done.episode, done.rows, done.labelled, done.ended)
                progress.labelled += done.labelled
                progress.positives += done.positives
                progress.label_errors += done.label_errors
                progress.tries += len(done.rows)
                progress.episodes += 1
            progress.seconds = time.monotonic() - start
            if on_progress is not None:
                on_progress(progress)
            if progress.labelled >= tries:
                break
    return progress


def _results(
    ledger: Ledger, workers: int, ray: str, config: CollectConfig
) -> Iterator[tuple[int, EpisodeResult | WorkerDied]]:
    if ray:
        from selfgrasp_nodes.learning.ray_workers import run_jobs_on_ray

        return run_jobs_on_ray(
            ledger, run_episode, workers, ray, initialise, config, attempts=ATTEMPTS
        )
    return run_jobs(ledger, run_episode, workers, initialise, config, attempts=ATTEMPTS)


def _begun(path: Path, run: str) -> dict[str, Any] | None:
    """What a store says that a run was begun with; None where there is none."""
    if not path.exists():
        return None
    with TrialStore.open(path) as store:
        return store.runs().get(run)


def _store(config: CollectConfig, path: Path) -> TrialStore:
    """The run's store, made where it is missing.

    Raises:
        StorageError: If it holds patches of another geometry.
    """
    sizes = patch_geometry(load_robot(config.robot))
    if not path.exists():
        return TrialStore.create(path, sizes)
    store = TrialStore.open(path, write=True)
    if store.geometry != sizes:
        store.close()
        raise StorageError(
            f"{path} holds patches of another geometry ({store.geometry}) than {config.robot} "
            f"has ({sizes}): collect into another file"
        )
    return store


def _standing(store: TrialStore, run: str, wanted: int) -> Progress:
    """What the store has of a run."""
    success = store.columns(("success",), "run = ?", (run,))["success"]
    labelled = int((success == success).sum())
    return Progress(
        wanted,
        labelled=labelled,
        positives=int((success == 1).sum()),
        tries=len(success),
        episodes=len(store.episodes(run)),
        resumed=labelled,
    )
