"""Faults that nobody foresaw: they cost time, never an episode for ever, never the run."""

from __future__ import annotations

import pytest

from selfgrasp_nodes.learning import collect as collecting
from selfgrasp_nodes.learning import collect_worker
from selfgrasp_nodes.learning.collect import NothingCollected, collect
from selfgrasp_nodes.learning.collect_config import CollectConfig
from selfgrasp_nodes.learning.collect_episode import EpisodeResult
from selfgrasp_nodes.learning.collect_worker import ATTEMPTS
from selfgrasp_nodes.learning.workers import WorkerDied
from selfgrasp_nodes.trials.store import TrialStore

LABELLED = 4


class Runner:
    """Stands for a world: every episode has four labelled tries, but for those that fail."""

    failures: dict[int, int] = {}
    calls: list[int] = []

    def __init__(self, config: CollectConfig):
        self.config = config

    def run(self, episode: int) -> EpisodeResult:
        self.calls.append(episode)
        if self.failures.get(episode, 0) > 0:
            self.failures[episode] -= 1
            raise ZeroDivisionError("by nothing")
        # The store's count is of its episodes here: no rows are needed.
        return EpisodeResult(episode, (), LABELLED, 0, 0, "done")


@pytest.fixture
def config(tmp_path, monkeypatch) -> CollectConfig:
    monkeypatch.setattr(collect_worker, "EpisodeRunner", Runner)
    monkeypatch.setattr(Runner, "failures", {})
    monkeypatch.setattr(Runner, "calls", [])
    file = tmp_path / "sets.yaml"
    file.write_text("gripper: rg2\nsets: {blocks: [{block: cube}]}\n")
    return CollectConfig("ur5_rg2", objects="blocks", sets=file)


def stored(path, config) -> list[int]:
    with TrialStore.open(path) as store:
        return sorted(store.episodes(config.run))


def test_a_fault_that_passes_costs_nothing(config, tmp_path) -> None:
    Runner.failures[1] = 1
    done = collect(config, tmp_path / "a.store", 12, 1)
    assert done.left_out == 0 and stored(tmp_path / "a.store", config) == [0, 1, 2]
    assert Runner.calls == [0, 1, 1, 2]


def test_an_episode_that_a_fault_ended_is_taken_up_by_the_next_call(config, tmp_path) -> None:
    path = tmp_path / "a.store"
    Runner.failures[1] = ATTEMPTS
    done = collect(config, path, 12, 1)
    assert (done.left_out, done.episodes, done.labelled) == (1, 3, 12)
    assert stored(path, config) == [0, 2, 3] and Runner.calls.count(1) == ATTEMPTS
    assert collect(config, path, 16, 1).left_out == 0
    assert stored(path, config) == [0, 1, 2, 3]


def test_one_that_always_fails_ends_no_call(config, tmp_path) -> None:
    path = tmp_path / "a.store"
    Runner.failures[1] = 1000
    for tries in (8, 16):
        assert collect(config, path, tries, 1).left_out == 1
    assert stored(path, config) == [0, 2, 3, 4] and Runner.calls.count(1) == 2 * ATTEMPTS


def test_an_episode_whose_workers_die_is_taken_up_by_the_next_call(
    config, tmp_path, monkeypatch
) -> None:
    def results(ledger, *_):
        runner = Runner(config)
        for number in ledger:
            yield number, WorkerDied("gone") if number == 1 else runner.run(number)

    path = tmp_path / "a.store"
    with monkeypatch.context() as patch:
        patch.setattr(collecting, "_results", results)
        done = collect(config, path, 8, 1)
    assert done.left_out == 1 and stored(path, config) == [0, 2]
    collect(config, path, 12, 1)
    assert stored(path, config) == [0, 1, 2]


def test_what_is_set_up_wrong_ends_the_run_and_stores_nothing(
    config, tmp_path, monkeypatch
) -> None:
    Runner.failures.update(dict.fromkeys(range(100), 100))
    monkeypatch.setattr(collecting, "BARREN", 4)
    with pytest.raises(NothingCollected, match="by nothing"):
        collect(config, tmp_path / "g.store", 7, 1)
    assert stored(tmp_path / "g.store", config) == []
