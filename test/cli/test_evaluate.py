"""``selfgrasp evaluate`` as a user calls it: the file, the table, interruption and going on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = Path(sys.prefix) / "bin" / "selfgrasp"
SCENES = Path(__file__).parent / "data" / "two_scenes.json"
pytestmark = pytest.mark.skipif(
    not COMMAND.exists(), reason="this environment has no selfgrasp command (make setup makes it)"
)


def evaluate(*arguments: object, seconds: float = 180) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), "evaluate", *map(str, arguments)],
        env={**os.environ, "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def check_estimate(estimate: dict) -> None:
    assert set(estimate) == {"value", "low", "high"}
    assert 0 <= estimate["low"] <= estimate["value"] <= estimate["high"] <= 1


def check_report(report: dict, runs: int) -> None:
    for group in (report, report["completed_runs"]):
        for measure in ("completion", "grasp_success", "action_efficiency"):
            check_estimate(group[measure])
    assert report["runs"] == report["runs_wanted"] == runs == len(report["each_run"])
    assert report["tries"] == sum(run["actions"] for run in report["each_run"]) > 0
    assert report["wall_time"] > 0
    assert report["ten_without_success"] == 0
    assert sum(report["stop_reasons"].values()) == runs
    done = [run for run in report["each_run"] if run["cleared"] == run["objects"]]
    assert report["completion"]["value"] == len(done) / runs
    assert report["completed_runs"]["count"] == len(done) > 0


def test_one_policy_gives_one_report_and_a_table(tmp_path: Path) -> None:
    file = tmp_path / "new" / "result.json"
    result = evaluate("--runs", 2, "--objects", 1, "--workers", 2, "--json", file)
    assert result.returncode == 0, result.stderr
    report = json.loads(file.read_text())
    check_report(report, 2)
    assert (report["policy"], report["seeds"], report["robot"]) == ("antipodal", [1, 2], "ur5_rg2")
    for text in ("completion", "ended by", "cleared: 2", "10 without", "antipodal"):
        assert text in result.stdout
    assert list(file.parent.iterdir()) == [file]


def test_several_policies_on_a_scene_file(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    policies = ("--policy", "oracle", "--policy", "random-roi")
    same = ("--runs", 1, "--scenes", SCENES, "--json", file)
    result = evaluate(*policies, *same)
    assert result.returncode == 0, result.stderr
    oracle, other = json.loads(file.read_text())["policies"]
    assert (oracle["policy"], other["policy"]) == ("oracle", "random-roi")
    check_report(oracle, 2)
    assert oracle["objects"] == 3 and oracle["completion"]["value"] == 1.0
    assert set(oracle["by_scene"]) == {"a cube and a tile", "a cylinder alone"}
    check_estimate(oracle["by_scene"]["a cylinder alone"]["completion"])
    # Other objects, limits or robot are another configuration: nothing of the file is lost.
    before = file.read_text()
    result = evaluate("--policy", "oracle", *same, "--max-actions", 3, "--resume")
    assert result.returncode == 1
    assert "another configuration" in result.stderr
    assert file.read_text() == before


def nobody_left(group: int) -> bool:
    """Whether a process group ends within 5 s (a helper of Python's ends after its parent)."""
    for _ in range(50):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_ctrl_c_keeps_what_is_done_and_resume_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    command = ["--objects", "1", "--seed", "40", "--workers", "2", "--json", str(file)]
    process = subprocess.Popen(
        [str(COMMAND), "evaluate", "--runs", "500", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    limit = time.monotonic() + 120
    while not (file.exists() and json.loads(file.read_text())["runs"] >= 2):
        assert process.poll() is None and time.monotonic() < limit
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of the group
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    said = re.search(r"interrupted: (\d+) runs are done, (\d+) are left", out)
    assert said and "--resume" in out
    done = int(said[1])
    assert done >= 2 and done + int(said[2]) == 500
    assert nobody_left(process.pid)
    partial = json.loads(file.read_text())
    assert len(partial["each_run"]) == partial["runs"] == done
    assert partial["runs_wanted"] == 500

    result = evaluate("--runs", done + 1, *command, "--resume")
    assert result.returncode == 0, result.stderr
    whole = json.loads(file.read_text())
    check_report(whole, done + 1)
    kept = {run["seed"]: run["seconds"] for run in partial["each_run"] if run["seed"] <= 40 + done}
    again = {run["seed"]: run["seconds"] for run in whole["each_run"]}
    assert kept.items() <= again.items()  # their wall times too: they were not run again


def test_wrong_arguments_are_refused_with_the_remedy(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("[1, 2]")
    for arguments, text in (
        (["--policy", "no-such"], "unknown policy 'no-such'; valid: antipodal"),
        (["--robot", "no-such"], "unknown robot 'no-such'"),
        (["--objects", 0], "objects must lie in 1..100"),
        (["--runs", -3], "runs must lie in"),
        (["--scenes", tmp_path / "none.json"], "cannot be read"),
        (["--resume"], "--json FILE"),
        (["--resume", "--json", other], "is no result of an evaluation"),
    ):
        result = evaluate(*arguments)
        assert result.returncode == 1, arguments
        assert text in result.stderr and result.stderr.count("\n") == 1, result.stderr
    assert other.read_text() == "[1, 2]"
