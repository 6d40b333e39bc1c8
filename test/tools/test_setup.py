"""The set-up's own logic: stamps, choice of the interpreter, rights, repaired wheels."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "setup"))

import interpreter  # noqa: E402
import launcher  # noqa: E402
import repair_wheels  # noqa: E402
import steps  # noqa: E402
import system_packages  # noqa: E402
import wheels  # noqa: E402
from console import Console, SetupError  # noqa: E402


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path / "setup.log")


def _step(name: str, folder: Path, key: str, ran: list[str], fails: bool = False) -> steps.Step:
    def run() -> None:
        if fails:
            raise SetupError("no")
        ran.append(name)

    return steps.Step(name, name, key, run, folder)


def test_a_step_runs_once_until_its_inputs_change(tmp_path: Path, console: Console) -> None:
    ran: list[str] = []
    for key in ("1", "1", "2"):
        steps.run_steps([[_step("a", tmp_path, key, ran)]], console)
    assert ran == ["a", "a"]


def test_an_interrupted_set_up_goes_on_where_it_stopped(tmp_path: Path, console: Console) -> None:
    ran: list[str] = []
    first, second = _step("a", tmp_path, "1", ran), _step("b", tmp_path, "1", ran, fails=True)
    with pytest.raises(SetupError):
        steps.run_steps([[first, second]], console)
    steps.run_steps([[first, _step("b", tmp_path, "1", ran)]], console)
    assert ran == ["a", "b"]


def test_digest_sees_contents_and_names(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1")
    first = steps.digest(tmp_path)
    (tmp_path / "x").write_text("2")
    second = steps.digest(tmp_path)
    (tmp_path / "x").rename(tmp_path / "y")
    assert len({first, second, steps.digest(tmp_path)}) == 3


def test_a_failing_tool_shows_its_last_words(console: Console) -> None:
    with pytest.raises(SetupError, match="out of paper"):
        console.run([sys.executable, "-c", "print('out of paper'); raise SystemExit(3)"])
    with pytest.raises(SetupError, match="'no-such-tool' was not found"):
        console.run(["no-such-tool"])
    assert "out of paper" in console.log.read_text()


def test_the_interpreter_below_an_environment_is_chosen() -> None:
    chosen = interpreter.choose_interpreter({"PYTHON": sys.executable}, ROOT)
    assert chosen.version == sys.version_info[:3]
    assert ROOT not in chosen.path.parents
    assert chosen.distribution == ""


def test_no_usable_interpreter_is_answered_with_a_remedy() -> None:
    with pytest.raises(SetupError, match=r"python9: not found.*PYTHON="):
        interpreter.choose_interpreter({"PYTHON": "python9"}, ROOT)


@pytest.mark.parametrize(
    ("version", "problem"), [((3, 9, 2), "too old"), ((3, 14, 0), "newer than the wheels")]
)
def test_interpreters_without_wheels_are_refused(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], problem: str
) -> None:
    found = {"version": list(version), "executable": "x", "rclpy": False}
    monkeypatch.setattr(interpreter, "_probe", lambda path: found)
    with pytest.raises(SetupError, match=problem):
        interpreter.choose_interpreter({"PYTHON": sys.executable}, ROOT)


def test_a_sourced_distribution_is_used_and_remembered_without_the_checkout() -> None:
    environment = {
        "PYTHON": sys.executable,
        "ROS_DISTRO": "jazzy",
        "AMENT_PREFIX_PATH": f"{ROOT}/install{os.pathsep}/opt/ros/jazzy",
    }
    chosen = interpreter.choose_interpreter(environment, ROOT)
    assert chosen.distribution == "jazzy"
    assert chosen.ros_environment["AMENT_PREFIX_PATH"] == "/opt/ros/jazzy"


def test_an_unsupported_distribution_is_named() -> None:
    environment = {"ROS_DISTRO": "humble", "AMENT_PREFIX_PATH": "/opt/ros/humble"}
    with pytest.raises(SetupError, match=r"'humble'.*jazzy, kilted, lyrical"):
        interpreter.choose_interpreter(environment, ROOT)


def test_without_the_right_to_install_the_command_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(system_packages.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(system_packages.shutil, "which", lambda name: None)
    with pytest.raises(SetupError, match="sudo apt-get install libegl1"):
        system_packages._right_to_install(["libegl1"])


def test_baked_paths_of_the_wheels_are_replaced_once(tmp_path: Path) -> None:
    file = tmp_path / "share" / "std_msgs" / "cmake" / "x_generator_pyExport.cmake"
    file.parent.mkdir(parents=True)
    file.write_text(
        'INCLUDE "/opt/python/cp312-cp312/include/python3.12;'
        '/opt/python/cp312-cp312/lib/python3.12/site-packages/numpy/_core/include;/usr/include"'
    )
    assert repair_wheels.repair(tmp_path, "/py", "/np") == 1
    assert file.read_text() == 'INCLUDE "/py;/np;/usr/include"'
    assert repair_wheels.repair(tmp_path, "/py", "/np") == 0


def test_the_environment_gets_a_pip_that_finds_what_fits(tmp_path: Path, console: Console) -> None:
    chosen = interpreter.choose_interpreter({"PYTHON": sys.executable}, ROOT)
    venv = tmp_path / ".venv"
    try:
        wheels.environment_step(tmp_path, venv, chosen, console).run()
    except SetupError as error:
        if "No matching distribution" not in str(error) and "onnection" not in str(error):
            raise
        pytest.skip("no package index can be reached")
    ask = [venv / "bin" / "python", "-c", "import pip; print(pip.__version__)"]
    version = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
    assert tuple(int(part) for part in version.split(".")[:2]) >= (25, 1)


def test_executables_are_the_nodes_that_exist() -> None:
    from selfgrasp_nodes.nodes.main import NODES

    assert launcher.nodes(ROOT) == list(NODES)


def test_finding_that_nothing_is_left_takes_less_than_two_seconds() -> None:
    command = [sys.executable, str(ROOT / "tools" / "setup"), "--dev", "--check"]
    before = os.times()
    result = subprocess.run(
        command,
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    after = os.times()
    # Its own work, whatever else the machine is doing.
    seconds = sum(after[2:4]) - sum(before[2:4])
    if result.returncode:
        pytest.skip("this checkout was not set up by make, or has changed since")
    assert result.stdout == "nothing is left to do\n"
    assert seconds < 2.0


def test_packages_of_tests_are_left_out_where_they_cannot_be_had(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    tried: list[list[str]] = []

    def install(packages: list[str], console: Console) -> None:
        tried.append(packages)
        raise SetupError("no such package")

    monkeypatch.setattr(system_packages, "_install", install)
    monkeypatch.setattr(system_packages, "_installed", lambda name: name == "b")
    monkeypatch.setattr(system_packages.shutil, "which", lambda name: name)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "apt-packages-dev.txt").write_text("# why\na\nb\n")
    step = system_packages.dev_step(tmp_path, console, skip=False)
    step.run()
    assert tried == [["a"]]
    assert "their tests skip: a" in capsys.readouterr().out
    system_packages.dev_step(tmp_path, console, skip=True).run()
    assert len(tried) == 1
