"""MoveIt's place is taken by a double behind the same Python interface."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

STAND_IN = Path(__file__).parent / "stand_in"
REAL = importlib.util.find_spec("moveit_msgs") is not None


class Control:
    """What the double does, and what it was asked."""

    def __init__(self, folder: Path):
        self.file = folder / "double.json"
        self.set()

    def set(self, mode: str = "", robot: str = "ur5_rg2") -> None:
        self.file.write_text(json.dumps({"mode": mode, "robot": robot}))

    @property
    def asked(self) -> list[dict]:
        file = self.file.parent / "asked.jsonl"
        return [json.loads(x) for x in file.read_text().splitlines()] if file.exists() else []

    @property
    def plans(self) -> list[dict]:
        return [a for a in self.asked if "group" in a]


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The double, importable here and in processes that are started from here."""
    if REAL:
        pytest.skip("the stand-in for moveit_msgs is for machines without MoveIt")
    control = Control(tmp_path)
    monkeypatch.setenv("MOVEIT_DOUBLE", str(control.file))
    paths = [str(STAND_IN), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in paths if p))
    monkeypatch.syspath_prepend(str(STAND_IN))
    yield control
    for name in [m for m in sys.modules if m.split(".")[0] in ("moveit", "moveit_msgs")]:
        del sys.modules[name]
