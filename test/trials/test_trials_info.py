from __future__ import annotations

import json

import pytest
from trial_synthesis import Synthesizer, feed, record

from selfgrasp_nodes.cli import main
from selfgrasp_nodes.trials.bag import TrialBagWriter


@pytest.fixture
def run(tmp_path):
    make = Synthesizer()
    with TrialBagWriter(tmp_path / "run") as writer:
        for number in range(3):
            feed(writer, make, number, joints=10, size=16)
            writer.finish_trial(record(number))
    return tmp_path / "run"


def test_a_table_of_the_trials(run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    assert main.main(["trials", "info", str(run), "--verify"]) == 0
    text = capsys.readouterr().out
    for part in (
        "trial-0",
        "trial-2",
        "missed",
        "antipodal",
        "ros2 bag play",
        "3 of 3 trials are",
    ):
        assert part in text
    assert "3 trials (1 missed, 2 success)" in text
    assert main.main(["trials", "info", str(run), "--last", "1"]) == 0
    text = capsys.readouterr().out
    assert "trial-2" in text
    assert "trial-0" not in text


@pytest.mark.parametrize("columns", ["72", "80", "100"])
def test_a_narrow_terminal_gets_fewer_columns_but_whole_ones(run, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert main.main(["trials", "info", str(run)]) == 0
    text = capsys.readouterr().out
    lines = [line for line in text.splitlines() if line.startswith("│")]
    assert len(lines) == 3, "one line a trial"
    assert "…" not in text and "outcome" in text and "width [mm]" in text
    assert all(len(line) <= int(columns) for line in lines)


def test_json_lines(run, capsys):
    assert main.main(["trials", "info", str(run), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["index"] for line in lines] == [0, 1, 2]


def test_a_damaged_trial_is_found(run, capsys):
    path = run / "bag" / "trial_000001.mcap"
    path.write_bytes(path.read_bytes()[:-100])
    assert main.main(["trials", "info", str(run), "--verify"]) == 1
    out = capsys.readouterr().out
    assert "2 of 3 trials are whole" in out


def test_a_folder_that_is_no_run(tmp_path, capsys):
    assert main.main(["trials", "info", str(tmp_path)]) == 1
    assert "is not a run of trials" in capsys.readouterr().err
