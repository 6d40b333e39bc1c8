"""Evaluation: the same runs whatever the number of workers, faults, going on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import worker_jobs

from selfgrasp_nodes.errors import ExecutionFailed, InvalidConfig, SelfGraspError, UnknownName
from selfgrasp_nodes.learning import evaluation
from selfgrasp_nodes.learning.evaluation import Evaluation, EvaluationConfig
from selfgrasp_nodes.policies import registry
from selfgrasp_nodes.policies.patch import policy as patch
from selfgrasp_nodes.simulation.scene import Scene
from selfgrasp_nodes.simulation.world import World

SMALL = EvaluationConfig(runs=3, objects=2, seed=30, workers=1, max_actions=3)


def counts(report: dict) -> list[dict]:
    """Each run without its wall time."""
    return [{k: v for k, v in run.items() if k != "seconds"} for run in report["each_run"]]


def run(config: EvaluationConfig) -> dict:
    whole = Evaluation(config)
    seen: list[int] = []
    whole.run(lambda result: seen.append(result.seed))
    assert whole.complete and sorted(seen) == [30, 31, 32]
    return whole.report()


def test_results_do_not_depend_on_the_number_of_workers() -> None:
    one = run(SMALL)
    two = run(EvaluationConfig(**{**vars(SMALL), "workers": 2}))
    assert counts(one) == counts(two)
    for key in ("completion", "grasp_success", "action_efficiency", "completed_runs", "tries"):
        assert one[key] == two[key]
    assert one["configuration"] == two["configuration"]
    json.dumps(one)


def test_a_fault_of_the_simulation_fails_its_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Late in the second run the physics is broken: it stays so until the world is reset."""
    step, reset = World.step, World.reset
    now = {"seed": 0, "steps": 0}

    def counting(self: World, scene: Scene, seed: int) -> None:
        now.update(seed=seed, steps=0)
        reset(self, scene, seed)

    def breaking(self: World, n: int = 1) -> None:
        now["steps"] += n
        if now["seed"] == 31 and now["steps"] > 1000:
            raise ExecutionFailed("the simulation became unstable; reset it")
        step(self, n)

    monkeypatch.setattr(World, "reset", counting)
    monkeypatch.setattr(World, "step", breaking)
    report = run(SMALL)
    first, broken, last = report["each_run"]
    assert broken["stop_reason"] == "failed" and "unstable" in broken["message"]
    assert not broken["completed"] and broken["objects"] == 2
    assert first["stop_reason"] == last["stop_reason"] == "cleared"
    assert report["failed"] == report["stop_reasons"]["failed"] == 1
    assert report["runs"] == 3 and report["completion"]["value"] == pytest.approx(2 / 3)


def test_a_worker_that_dies_fails_its_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "run_job", worker_jobs.die_at_31)
    whole = Evaluation(EvaluationConfig(**{**vars(SMALL), "workers": 2}))
    whole.run()
    runs = {entry["seed"]: entry for entry in whole.report()["each_run"]}
    assert runs[31]["stop_reason"] == "failed" and "died 2 times" in runs[31]["message"]
    assert runs[30]["stop_reason"] == runs[32]["stop_reason"] == "cleared"


def test_a_report_is_gone_on_with() -> None:
    class Enough(Exception):
        pass

    def stop(result: object) -> None:
        if len(part.results) == 2:
            raise Enough

    part = Evaluation(SMALL)
    with pytest.raises(Enough):
        part.run(stop)
    assert not part.complete
    report = json.loads(json.dumps(part.report()))
    assert (report["runs"], report["runs_wanted"]) == (2, 3)
    rest = Evaluation(SMALL, report)
    assert rest.results == part.results
    seen = []
    rest.run(lambda result: seen.append(result.seed))
    assert seen == [32]
    assert counts(rest.report()) == counts(run(SMALL))
    with pytest.raises(InvalidConfig, match="another configuration"):
        Evaluation(EvaluationConfig(**{**vars(SMALL), "objects": 3}), report)


def test_what_a_policys_file_says_is_part_of_the_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = Evaluation(SMALL).report()
    file = tmp_path / "policies.yaml"
    file.write_text("antipodal: {angles: 12}\n")
    monkeypatch.setattr(registry, "_shipped", lambda: file)
    with pytest.raises(InvalidConfig, match="another configuration"):
        Evaluation(SMALL, before)
    # The same said on the command line is the same policy.
    said = EvaluationConfig(**{**vars(SMALL), "parameters": {"angles": 12}})
    Evaluation(said, Evaluation(SMALL).report())


def test_what_cannot_be_run_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(patch, "share_dir", lambda: tmp_path)
    for wrong, error, text in (
        ({"policy": "patch"}, SelfGraspError, "checkpoint|torch"),
        ({"policy": "oracle", "parameters": {"lookahead": "far"}}, InvalidConfig, "lookahead"),
        ({"parameters": {"angels": 3}}, InvalidConfig, "angels"),
        ({"primitives": ("throw",)}, UnknownName, "throw"),
    ):
        with pytest.raises(error, match=text):
            Evaluation(EvaluationConfig(**{**vars(SMALL), **wrong}))


def test_the_stricter_limit_of_tries_counts() -> None:
    limits = EvaluationConfig(**{**vars(SMALL), "max_actions": 12, "actions_per_object": 3})
    assert [limits.most_actions(objects) for objects in (2, 4, 9)] == [6, 12, 12]
    assert EvaluationConfig().most_actions(5) == 0
