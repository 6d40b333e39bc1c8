"""An application that only calls needs the interfaces and the client, nothing of the nodes."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("selfgrasp.msg", reason="the interfaces are not built")

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "selfgrasp_nodes"
HEAVY = ("torch", "mujoco", "cv2", "scipy", "pydantic", "pinocchio", "ompl", "coal", "rosbags")

PROGRAM = """
import importlib.abc, sys, threading

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {heavy!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import rclpy
from selfgrasp.msg import Candidate, Status
from selfgrasp.srv import Plan
import selfgrasp_nodes.client as client
assert client.__file__.startswith({folder!r}), client.__file__

rclpy.init()
node = rclpy.create_node("robot")

def plan(request, response):
    if request.policy == "none":
        response.code, response.message = Status.EMPTY_OBSERVATION, "the table is empty"
    else:
        response.success, response.candidates = True, [Candidate(id="a"), Candidate(id="b")]
    return response

node.create_service(Plan, "plan", plan)
threading.Thread(target=rclpy.spin, args=(node,), daemon=True).start()
with client.SelfGrasp() as robot:
    print([c.id for c in robot.plan()])
    print(robot.plan_async(policy="none").exception(20.0).__class__.__name__)
    print(sorted(n for n in sys.modules if n.startswith("selfgrasp_nodes")))
sys.stdout.flush()
import os
os._exit(0)
"""


def installed() -> list[str]:
    """What CMakeLists.txt installs beside the interfaces."""
    text = (ROOT / "CMakeLists.txt").read_text()
    found = re.search(r"foreach\(file\s+(.*?)\)", text, re.S)
    assert found
    return found.group(1).split()


def imported(start: str) -> set[str]:
    """The package's files that a file imports, directly or not, wherever in them."""
    found: set[str] = {"__init__.py"}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for parent in Path(name).parents:
            if parent != Path():
                found.add(str(parent / "__init__.py"))
        for node in ast.walk(ast.parse((PACKAGE / name).read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("selfgrasp_n"):
                module = str(node.module).split(".")[1:]
                for parts in (module, *([*module, alias.name] for alias in node.names)):
                    file = "/".join(parts) + ".py"
                    if (PACKAGE / file).is_file():
                        waiting.append(file)
    return found


def test_what_is_installed_is_what_the_client_imports() -> None:
    assert set(installed()) == imported("client.py")


def test_it_works_without_the_libraries_of_the_nodes(tmp_path: Path) -> None:
    for name in installed():
        target = tmp_path / "selfgrasp_nodes" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE / name, target)
    others = [p for p in os.environ["PYTHONPATH"].split(os.pathsep) if Path(p) != ROOT]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *others])}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(heavy=HEAVY, folder=str(tmp_path))],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == "['a', 'b']" and lines[1] == "EmptyObservation"
    assert len(ast.literal_eval(lines[2])) == len(installed())
