"""MoveIt's place is taken by a double: behind its Python interface, or a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

STAND_IN = Path(__file__).parent / "stand_in"
REAL = importlib.util.find_spec("moveit_msgs") is not None


class Control:
    """What the double does, and what it was asked."""

    def __init__(self, folder: Path):
        self.file = folder / "double.json"
        self.set()

    def set(self, mode: str = "", robot: str = "ur5_rg2", **more: object) -> None:
        written = self.file.with_suffix(".new")
        written.write_text(json.dumps({"mode": mode, "robot": robot, **more}))
        written.replace(self.file)  # it may be read just now

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


HERE = Path(__file__).parent
PLANNERS = {
    "ompl": ["arm", "arm[RRTConnect]"],
    "pilz_industrial_motion_planner": ["LIN", "PTP"],
}


class MoveGroupProcess:
    """``move_group_server.py``, which is told how to behave, stopped, ended and started again."""

    namespace = "cell"

    def __init__(self, folder: Path, environment: dict[str, str]):
        self.control = Control(folder)
        self._environment = environment
        self._process: subprocess.Popen | None = None
        self.set()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def set(self, mode: str = "", planners: dict[str, list[str]] | None = None) -> None:
        self.control.set(mode, planners=planners or PLANNERS)

    def start(self) -> None:
        command = [sys.executable, str(HERE / "move_group_server.py"), str(self.control.file)]
        command += ["--ros-args", "-r", f"__ns:=/{self.namespace}"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=self._environment
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == "READY"

    def kill(self) -> None:
        """End it as a crash does: without a word to anybody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


@pytest.fixture(scope="session")
def moveit_environment() -> dict[str, str]:
    """The variables with which a process finds moveit_msgs: the real ones, or the test's own."""
    environment = dict(os.environ)
    if REAL:
        return environment
    if not (HERE.parents[1] / ".venv").is_dir():
        pytest.skip("moveit_msgs is not installed, and building it needs `make setup`")
    ran = subprocess.run(
        [sys.executable, str(HERE / "build_interfaces.py")], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    install = Path(ran.stdout.splitlines()[-1])
    (package,) = install.glob("**/moveit_msgs/__init__.py")
    for name, path in (
        ("PYTHONPATH", package.parent.parent),
        ("LD_LIBRARY_PATH", install / "lib"),
        ("AMENT_PREFIX_PATH", install),
    ):
        parts = [str(path), environment.get(name, "")]
        environment[name] = os.pathsep.join(part for part in parts if part)
    return environment


@pytest.fixture(scope="module")
def move_group(
    moveit_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MoveGroupProcess]:
    process = MoveGroupProcess(tmp_path_factory.mktemp("move_group"), moveit_environment)
    process.start()
    yield process
    process.kill()
