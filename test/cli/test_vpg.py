"""``selfgrasp evaluate --protocol vpg-...`` as a user calls it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from selfgrasp_nodes.cli.main import main

SCENES = Path(__file__).parent / "data" / "two_scenes.json"
COMMAND = Path(sys.prefix) / "bin" / "selfgrasp"


def evaluate(*arguments: object) -> int:
    return main(["evaluate", *map(str, arguments)])


def test_hard_scenes_give_tables_plots_and_json(tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    command = ("--protocol", "vpg-hard", "--scenes", SCENES, "--runs", 1, "--workers", 1)
    rows = ("--row", "no pushes: oracle pushes=false", "--row", "antipodal")
    assert evaluate(*command, *rows, "--out", out) == 0
    said = capsys.readouterr().out
    for text in ("no pushes", "paper: VPG", "82.7", "a cylinder alone", "training seeds"):
        assert text in said
    assert {file.name for file in out.iterdir()} == {
        "rows",
        "tables.md",
        "results.json",
        "in_all.png",
        "by_scene.png",
    }
    results = json.loads((out / "results.json").read_text())
    assert list(results["rows"]) == ["no pushes", "antipodal"]
    assert results["about"]["actions_per_object"] == 10
    assert results["rows"]["no pushes"]["parameters"] == {"pushes": False}
    assert "| no pushes | 100.0 [" in (out / "tables.md").read_text()
    # Again with --resume: nothing is run, the same is said.
    assert evaluate(*command, *rows, "--out", out, "--resume") == 0
    assert json.loads((out / "results.json").read_text()) == results
    capsys.readouterr()
    assert evaluate(*command, *rows, "--out", out, "--resume", "--max-actions", 3) == 1
    assert "another configuration" in capsys.readouterr().err
    assert json.loads((out / "results.json").read_text()) == results


def test_random_scenes_take_policies_and_their_parameters(tmp_path: Path) -> None:
    rows = ("--policy", "antipodal", "--param", "angles=12", "--row", "oracle")
    amount = ("--runs", 2, "--objects", 1, "--workers", 1)
    assert evaluate("--protocol", "vpg-random", *amount, *rows, "--out", tmp_path) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert list(results["rows"]) == ["antipodal", "oracle"]
    assert results["rows"]["antipodal"]["parameters"] == {"angles": 12}
    assert results["about"]["objects"] == 1 and results["paper"]["VPG"] == [1.0, 0.677, 0.609]
    assert not (tmp_path / "by_scene.png").exists()


def test_wrong_arguments_are_refused_with_the_remedy(tmp_path: Path, capsys) -> None:
    hard = ("--protocol", "vpg-hard", "--scenes", SCENES, "--out", tmp_path / "out")
    content = json.loads(SCENES.read_text())
    content["scenes"][0]["objects"][1] |= {"position": [0.06, 0.06, 0.025]}
    overlapping = tmp_path / "overlapping.json"
    overlapping.write_text(json.dumps(content))
    unknown = tmp_path / "unknown.json"
    unknown.write_text(json.dumps({"scenes": [{"objects": [], "color": 1}]}))
    for arguments, text in (
        (("--protocol", "vpg-hard"), "vpg_hard_dev.json"),
        (("--protocol", "vpg-random", "--scenes", SCENES), "--scenes goes with vpg-hard"),
        ((*hard, "--json", tmp_path / "x.json"), "results.json"),
        ((*hard, "--row", "VPG: no-such"), "unknown policy 'no-such'; valid: antipodal"),
        ((*hard, "--row", "oracle pushes=maybe"), "pushes"),
        ((*hard, "--row", "antipodal", "--policy", "antipodal"), "name them differently"),
        ((*hard, "--runs", 0), "runs must lie in"),
        (("--protocol", "vpg-hard", "--scenes", overlapping), "objects interpenetrate"),
        (("--protocol", "vpg-hard", "--scenes", unknown), "unknown key color; valid: name"),
        (("--protocol", "vpg-random", "--objects", 0), "objects must lie in 1..100"),
    ):
        assert evaluate(*arguments) == 1, arguments
        error = capsys.readouterr().err
        assert text in error and error.count("\n") == 1, error
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not COMMAND.exists(), reason="this environment has no selfgrasp command")
def test_ctrl_c_leaves_tables_of_what_is_done_and_the_same_command_goes_on(tmp_path: Path) -> None:
    command = [COMMAND, "evaluate", "--protocol", "vpg-random", "--objects", "1", "--runs", "300"]
    command += ["--row", "oracle", "--out", tmp_path, "--workers", "1"]
    process = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "160"},
        start_new_session=True,
    )
    file = tmp_path / "rows" / "oracle.json"
    limit = time.monotonic() + 180
    while not (file.exists() and json.loads(file.read_text())["runs"] >= 2):
        assert process.poll() is None and time.monotonic() < limit
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in out + err
    assert "the same command goes on" in out
    done = json.loads((tmp_path / "results.json").read_text())["rows"]["oracle"]["runs"]
    assert 2 <= done < 300 and f"interrupted: {done} runs are done" in out
    before = json.loads(file.read_text())["each_run"]
    assert evaluate(*command[2:], "--runs", done) == 0
    assert json.loads(file.read_text())["each_run"] == before
