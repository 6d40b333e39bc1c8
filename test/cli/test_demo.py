"""``selfgrasp demo``: what is refused before anything starts, and what is said at the end."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from selfgrasp_nodes import geometry
from selfgrasp_nodes.cli.demo import Display
from selfgrasp_nodes.types import (
    Candidate,
    Execution,
    Outcome,
    OutcomeCode,
    PhaseCode,
    Primitive,
    Trial,
)

COMMAND = Path(sys.prefix) / "bin" / "selfgrasp"
HARD = Path(__file__).parents[2] / "config" / "scenes" / "vpg_hard_dev.json"


@pytest.mark.skipif(not COMMAND.exists(), reason="no selfgrasp command (make setup makes it)")
@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--policy", "no-such"], ("unknown policy 'no-such'", "antipodal", "eigenvector")),
        (["--robot", "panda", "--policy", "patch"], ("no checkpoint", "'franka_hand'", "train")),
        (["--robot", "no-such"], ("unknown robot 'no-such'", "baxter", "ur5_rg2")),
        (["--objects", "-1"], ("--objects must lie in 1..100", "-1")),
        (["--objects", "0"], ("--objects must lie in 1..100",)),
        (["--seed", "-5"], ("--seed must not be negative", "-5")),
        (["--scene", "nowhere.json"], ("nowhere.json", "cannot be read")),
        (["--scene-name", "pinwheel"], ("--scene-name needs --scene",)),
        (
            ["--scene", str(HARD), "--scene-name", "pinwhele"],
            ("unknown scene", "pinwhele", "pinwheel"),
        ),
        (["--real-time-factor", "fast"], ("real_time_factor must be a number", "fast")),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_made(
    tmp_path: Path, arguments: list[str], words: tuple[str, ...]
) -> None:
    result = subprocess.run(
        [str(COMMAND), "demo", *arguments],
        cwd=tmp_path,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("selfgrasp: ") and result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr
    assert not list(tmp_path.iterdir())


def trial(index: int, code: OutcomeCode) -> Trial:
    candidate = Candidate(Primitive.GRASP, geometry.grasp_pose(-0.5, 0.1, 0.02, 0.0), 0.0, 0.08)
    outcome = Outcome(code, reason="12.0 N at 50.0 mm")
    execution = Execution(candidate, (), None)
    return Trial(
        f"t{index}", "r", "0", index, 1, "ur5_rg2", "", "s", candidate, outcome, execution, "", ""
    )


def displayed(truth: dict[str, int], message: str = "") -> str:
    """What a run of three tries on two objects prints."""
    action = pytest.importorskip("selfgrasp.action", reason="the interfaces are not built")
    console = Console(file=io.StringIO(), width=120)
    display = Display(console, 2)
    feedback = action.ClearTable.Feedback(actions=1, cleared=0)
    feedback.phase.phase = int(PhaseCode.LIFT)
    with display:
        display.trial(trial(0, OutcomeCode.MISSED), float("nan"))
        display.feedback(feedback)
        display.trial(trial(1, OutcomeCode.SUCCESS), 0.1)
        display.trial(trial(2, OutcomeCode.SUCCESS), 0.3)
    result = action.ClearTable.Result(cleared=2, actions=3, grasp_success=2 / 3, message=message)
    display.summary(result, truth, 21.0)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def row(text: str, name: str) -> str:
    """The value in a row of the table."""
    (line,) = (line for line in text.splitlines() if name in line)
    return line.strip("│ ").split("│")[-1].strip()


def test_the_summary_says_labels_and_truth() -> None:
    text = displayed({"bin": 2, "workspace": 0, "elsewhere": 0})
    assert "Table clear" in text
    for name, value in (
        ("cleared (sensor label)", "2"),
        ("in the bin (simulator truth)", "2"),
        ("tries", "3"),
        ("grasp success", "67 %"),
        ("at rest between picks", "0.200 s"),
    ):
        assert row(text, name) == value, text
    tries = [line for line in text.splitlines() if line.startswith("try ")]
    assert "missed" in tries[0] and "2 left" in tries[0] and "at rest before" not in tries[0]
    assert "success" in tries[1] and "1 left" in tries[1] and "0.10 s at rest before" in tries[1]
    assert "0 left" in tries[2] and "12.0 N" in tries[2]


def test_truth_decides_whether_the_table_is_clear() -> None:
    text = displayed({"bin": 1, "workspace": 0, "elsewhere": 1}, "nothing left to act on")
    assert "Table not clear" in text and "nothing left to act on" in text
    assert row(text, "fell elsewhere") == "1"
    assert row(text, "cleared (sensor label)") == "2"


def test_a_run_without_a_try_has_a_summary_too() -> None:
    action = pytest.importorskip("selfgrasp.action", reason="the interfaces are not built")
    console = Console(file=io.StringIO(), width=120)
    display = Display(console, 2)
    with display:
        pass
    result = action.ClearTable.Result(grasp_success=float(np.nan))
    display.summary(result, {"bin": 0, "workspace": 2, "elsewhere": 0}, 3.0)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert row(text, "left in the workspace") == "2"
    assert row(text, "grasp success") == "-"
