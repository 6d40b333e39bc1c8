"""Worker processes: results, deaths, errors, and what is left behind."""

from __future__ import annotations

import itertools
import multiprocessing

import pytest
import worker_jobs

from selfgrasp_nodes.errors import SelfGraspError
from selfgrasp_nodes.learning.workers import WorkerDied, run_jobs


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [1, 3])
def test_every_job_is_run_once(workers):
    results = dict(run_jobs(range(7), worker_jobs.add, workers, worker_jobs.initialise, 10))
    assert {job: result[0] for job, result in results.items()} == {n: n + 10 for n in range(7)}
    if workers > 1:
        assert {result[1:] for result in results.values()} == {("1", True)}


def test_endless_jobs_end_when_nobody_takes_more():
    endless = run_jobs(itertools.count(), worker_jobs.add, 2, worker_jobs.initialise, 1)
    taken = [job for job, _ in itertools.islice(endless, 5)]
    endless.close()
    assert len(set(taken)) == 5 and max(taken) < 5 + 2


def test_a_job_whose_worker_dies_is_run_again_then_given_up(tmp_path):
    once, fine = str(tmp_path / "once"), str(tmp_path / "fine")
    (tmp_path / "fine").touch()
    todo = [once, "always", fine, ""]
    run = run_jobs(todo, worker_jobs.die_once, 2, worker_jobs.initialise, 5)
    results = dict(run)
    assert results[once] == "5 once" and results[fine] == "5 fine" and results[""] == "5 "
    assert isinstance(results["always"], WorkerDied)
    assert "2 times" in str(results["always"]) and "-9" in str(results["always"])


def test_an_error_comes_back_as_what_it_is(capfd):
    with pytest.raises(SelfGraspError, match="unknown number 3; valid: 1, 2"):
        list(run_jobs([3], worker_jobs.fail, 2, worker_jobs.initialise, 0))
    with pytest.raises(ValueError, match="no world"):
        list(run_jobs([1, 2], worker_jobs.add, 2, worker_jobs.fail_while_starting))
    with pytest.raises(WorkerDied, match="code 7 while it started"):
        list(run_jobs([1, 2], worker_jobs.add, 2, worker_jobs.die_while_starting))
    assert "Traceback" not in capfd.readouterr().err
