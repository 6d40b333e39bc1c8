"""The programs in examples/, run as a newcomer would, against one graph."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("selfgrasp.msg", reason="the interfaces are not built")

from selfgrasp.srv import GetTruth, ResetScene
from std_srvs.srv import Trigger

from selfgrasp_nodes import bringup
from selfgrasp_nodes.nodes.remote import Remote
from selfgrasp_nodes.nodes.waiting import call
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


class Bench:
    """A running graph with a camera that streams, and a look at the truth."""

    def __init__(self) -> None:
        lines: list[str] = []
        given = {"objects": "3", "seed": "3", "stream_rate": "1.0"}
        self.supervisor = Supervisor(bringup.describe("sim", given), lines.append)
        self.supervisor.start()
        try:
            self.supervisor.wait_ready(120)
        except BaseException:
            self.supervisor.stop()
            print("\n".join(lines))
            raise
        services = {"sim/reset": ResetScene, "sim/get_truth": GetTruth}
        mine = {"how_many": Trigger, "pick_one": Trigger}
        self.remote = Remote("bench", "", {**services, **mine}, {})

    def ask(self, name: str, request: Any) -> Any:
        return call(self.remote._services[name], request, 30.0)

    def lay_out(self, objects: int = 3) -> None:
        limit = time.monotonic() + 30
        request = ResetScene.Request(objects=objects, seed=3)
        # The arm of the example before may still be on its way home.
        while not (answer := self.ask("sim/reset", request)).success:
            assert time.monotonic() < limit, answer.message
            time.sleep(0.5)

    def on_table(self) -> int:
        truth = self.ask("sim/get_truth", GetTruth.Request()).truth
        inside = load_robot("ur5_rg2").workspace.workspace.contains
        return sum(inside(o.pose.position.x, o.pose.position.y) for o in truth.objects)

    def close(self) -> None:
        self.remote.close()
        self.supervisor.stop()


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def start(name: str, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(name: str, *arguments: str, timeout: float = 150.0) -> str:
    process = start(name, *arguments)
    try:
        output, _ = process.communicate(timeout=timeout)
    finally:
        process.kill()
    assert process.returncode == 0, output
    return output


def test_every_example_is_tested_and_short() -> None:
    own = Path(__file__).read_text()
    files = sorted(EXAMPLES.glob("*.py"))
    assert files
    for file in files:
        assert f'"{file.name}"' in own, f"{file.name} is run by no test"
        assert file.name in (EXAMPLES / "README.md").read_text()
    # The newcomer's ten lines.
    lines = (EXAMPLES / "pick.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 10


def test_pick(bench: Bench) -> None:
    bench.lay_out()
    output = run("pick.py")
    assert "/0000:" in output or ": " in output
    assert bench.on_table() == 2, output


def test_plan(bench: Bench) -> None:
    bench.lay_out()
    output = run("plan.py")
    assert output.startswith("score ") and "mm open" in output
    assert bench.on_table() == 2, output


def test_clear_table(bench: Bench) -> None:
    bench.lay_out(2)
    output = run("clear_table.py")
    assert "cleared in" in output and "trials: " in output
    assert bench.on_table() == 0, output


def test_in_asyncio(bench: Bench) -> None:
    bench.lay_out()
    output = run("in_asyncio.py")
    assert "grasps" in output and output.count("picking ...") >= 2
    assert bench.on_table() == 2, output


def test_own_camera(bench: Bench) -> None:
    bench.lay_out()
    output = run("own_camera.py", "overhead")
    assert output.startswith("score "), output
    assert bench.on_table() == 3
    # A camera that is not there: said, and no traceback.
    process = start("own_camera.py", "nowhere")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "nothing on nowhere/" in output and "Traceback" not in output


def test_inside_callbacks(bench: Bench) -> None:
    bench.lay_out()
    process = start("inside_callbacks.py")
    lines: list[str] = []
    thread = threading.Thread(target=lambda: lines.extend(process.stdout or ()), daemon=True)
    thread.start()
    try:
        answer = bench.ask("how_many", Trigger.Request())
        assert answer.message.endswith("grasps") and int(answer.message.split()[0]) >= 1
        asked = time.monotonic()
        assert bench.ask("pick_one", Trigger.Request()).message == "picking"
        assert time.monotonic() - asked < 2.0, "it must answer before the pick has ended"
        limit = time.monotonic() + 90
        while "picked\n" not in lines and time.monotonic() < limit:
            time.sleep(0.1)
        assert "picked\n" in lines, lines
        assert bench.on_table() == 2
        # A callback that waits is told what is wrong, and the node goes on.
        bench.lay_out(0)
        answer = bench.ask("how_many", Trigger.Request())
        assert not answer.success and "nothing" in answer.message
        process.send_signal(signal.SIGINT)
        assert process.wait(10.0) == 0
    finally:
        process.kill()
