"""Bring-up without a launch system: what dies is named, nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from selfgrasp_nodes import bringup
from selfgrasp_nodes.bringup import Description, OnDeath, Process
from selfgrasp_nodes.bringup_arguments import KINDS
from selfgrasp_nodes.errors import (
    InvalidConfig,
    MissingDependency,
    Unavailable,
    UnknownName,
)
from selfgrasp_nodes.supervisor import Supervisor, last_error
from selfgrasp_nodes.trials.reader import RunReader

FAILS = (
    "import sys; print('READY x'); sys.stderr.write('error: the lens is dirty\\n'); sys.exit(3)"
)
SLEEPS = "import time; print('READY y', flush=True); time.sleep(60)"
STUBBORN = (
    "import signal, time; [signal.signal(s, signal.SIG_IGN) for s in (2, 15)]; time.sleep(60)"
)
PARENT = (
    "import subprocess, sys, time; sleep = 'import time; time.sleep(60)'; "
    "subprocess.Popen([sys.executable, '-c', sleep]); time.sleep(60)"
)


def describe(*programs: tuple[str, str, OnDeath]) -> Description:
    processes = tuple(
        Process(name, on_death=death, command=(sys.executable, "-c", code))
        for name, code, death in programs
    )
    return Description("sim", processes, {}, {})


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def session_members(pid: int) -> list[int]:
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == pid and fields[0] != "Z":
            members.append(int(stat.parent.name))
    return members


def wait_for(condition, timeout: float = 5.0) -> bool:
    limit = time.monotonic() + timeout
    while not condition() and time.monotonic() < limit:
        time.sleep(0.02)
    return bool(condition())


def test_a_death_is_named_with_its_last_error_and_stops_the_rest() -> None:
    lines: list[str] = []
    supervisor = Supervisor(
        describe(("camera", FAILS, OnDeath.STOP), ("other", SLEEPS, OnDeath.STOP)), lines.append
    )
    supervisor.start()
    pids = [child.popen.pid for child in supervisor.children]
    assert supervisor.run(threading.Event()) == 1
    supervisor.stop()
    death = supervisor.deaths[0]
    assert (death.process, death.exit_code) == ("camera", 3)
    assert "the lens is dirty" in str(death) and "stopping the rest" in str(death)
    assert any("the lens is dirty" in line for line in lines)
    assert not any(alive(pid) for pid in pids)


def test_the_rest_goes_on_where_the_description_says_so() -> None:
    supervisor = Supervisor(
        describe(("extra", FAILS, OnDeath.GO_ON), ("other", SLEEPS, OnDeath.STOP)), None
    )
    supervisor.start()
    deaths: list = []
    assert wait_for(lambda: deaths.extend(supervisor.poll()) or deaths)
    assert "the rest goes on" in str(deaths[0])
    assert supervisor.children[1].popen.poll() is None
    supervisor.stop()


def test_wait_ready_says_what_died() -> None:
    supervisor = Supervisor(describe(("camera", FAILS, OnDeath.STOP)), None)
    supervisor.start()
    assert wait_for(lambda: supervisor.children[0].popen.poll() is not None)
    with pytest.raises(Unavailable, match="the lens is dirty"):
        supervisor.wait_ready(5.0)
    supervisor.stop()


def test_stop_takes_less_than_five_seconds_whatever_they_do() -> None:
    supervisor = Supervisor(
        describe(("stubborn", STUBBORN, OnDeath.STOP), ("parent", PARENT, OnDeath.STOP)), None
    )
    supervisor.start()
    pids = [child.popen.pid for child in supervisor.children]
    assert wait_for(lambda: len(session_members(pids[1])) == 2), "the grandchild has started"
    begun = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - begun < 5.0
    assert not [member for pid in pids for member in session_members(pid)]


def test_programs_that_are_not_installed_are_all_named_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Process("other", command=(sys.executable, "-c", SLEEPS))
    gone = Process("rviz", command=("no-such-program",), remedy="install it")
    package = Process("bridge", command=("ros2", "run", "no_such_package", "bridge"))
    supervisor = Supervisor(Description("sim", (other, gone, package), {}, {}), None)
    with pytest.raises(MissingDependency, match=r"no-such-program, .*no_such_package; install it"):
        supervisor.start()
    assert not supervisor.children
    # What is there is not complained of.
    marker = tmp_path / "share" / "ament_index" / "resource_index" / "packages" / "a_package"
    marker.parent.mkdir(parents=True)
    marker.touch()
    (tmp_path / "ros2").write_text("#!/bin/sh\n")
    (tmp_path / "ros2").chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    there = Process("bridge", command=("ros2", "run", "a_package", "bridge"))
    Description("sim", (there, Process("node")), {}, {}).check_programs()


def test_rviz_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingDependency, match=r"rviz2; .*leave rviz:=true out"):
        bringup.describe("sim", {"rviz": "true"}).check_programs()


SELFGRASP = [
    sys.executable,
    "-c",
    "from selfgrasp_nodes.cli import up; import argparse, sys; "
    "p = argparse.ArgumentParser(); up.add_parser(p.add_subparsers()); "
    "a = p.parse_args(); sys.exit(a.run(a))",
    "up",
    "sim",
    "objects:=0",
]


def start_up() -> tuple[subprocess.Popen, list[int]]:
    """``selfgrasp up sim`` and the pids of its processes, when all nodes are up."""
    popen = subprocess.Popen(
        SELFGRASP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert popen.stdout is not None
    lines = []
    for line in popen.stdout:
        lines.append(line)
        if "all nodes are up" in line:
            break
    else:
        raise AssertionError("".join(lines))
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == popen.pid:
            children.append(int(stat.parent.name))
    assert len(children) == len(bringup.describe("sim").processes)
    threading.Thread(target=popen.stdout.read, daemon=True).start()
    return popen, children


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_whole_graph_ends_in_five_seconds_and_leaves_nothing(how: signal.Signals) -> None:
    popen, children = start_up()
    begun = time.monotonic()
    os.kill(popen.pid, how)
    assert wait_for(lambda: not any(alive(pid) for pid in children), 5.0), how
    assert time.monotonic() - begun < 5.0
    code = popen.wait(5.0)
    assert code == (0 if how != signal.SIGKILL else -signal.SIGKILL)


def test_a_node_that_is_killed_is_named() -> None:
    lines: list[str] = []
    description = bringup.describe("sim", {"objects": "0", "processes": "separate"})
    supervisor = Supervisor(description, lines.append)
    supervisor.start()
    try:
        supervisor.wait_ready(90)
        named = {child.process.name: child for child in supervisor.children}
        os.kill(named["roi"].popen.pid, signal.SIGKILL)
        deaths: list = []
        assert wait_for(lambda: deaths.extend(supervisor.poll()) or deaths)
        assert deaths[0].process == "roi" and "SIGKILL" in str(deaths[0])
        assert not deaths[0].stops
        os.kill(named["policy"].popen.pid, signal.SIGKILL)
        assert supervisor.run(threading.Event()) == 1
        assert supervisor.deaths[-1].process == "policy"
    finally:
        supervisor.stop()


def test_a_bad_parameter_file_ends_the_bring_up_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("/**/policy:\n  ros__parameters:\n    polcy: antipodal\n")
    supervisor = Supervisor(bringup.describe("sim", {"parameters": str(file)}), None)
    supervisor.start()
    try:
        with pytest.raises(Unavailable) as caught:
            supervisor.wait_ready(90)
        assert "'polcy'" in str(caught.value) and "max_candidates" in str(caught.value)
    finally:
        supervisor.stop()


def test_a_collection_records_its_tries_and_ends_by_itself(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    given = {"tries": "2", "objects": "2", "record": str(folder), "processes": "grouped"}
    lines: list[str] = []
    supervisor = Supervisor(bringup.describe("collect", given), lines.append)
    supervisor.start()
    try:
        supervisor.wait_ready(90)
        assert supervisor.run(threading.Event()) == 0, lines[-20:]
    finally:
        supervisor.stop()
    assert "has finished" in str(supervisor.deaths[0])
    records = RunReader(folder).records
    assert [record.index for record in records] == [0, 1]
    assert all(record.outcome["code"] != "UNKNOWN" for record in records)
    assert len({record.trial_id for record in records}) == 2


# -- the description


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["grouped", "separate"])
def test_every_node_runs_exactly_once(kind: str, mode: str, tmp_path: Path) -> None:
    description = bringup.describe(kind, {"processes": mode, "record": "somewhere"})
    hosted = [node.name for process in description.processes for node in process.nodes]
    assert len(hosted) == len(set(hosted))
    wanted = {"heightmap", "roi", "policy", "motion", "label", "recorder", "picker"}
    assert set(hosted) == wanted | ({"sim"} if kind != "robot" else {"camera_frames"})
    if mode == "separate":
        assert all(len(process.nodes) == 1 for process in description.processes)
    commands = description.commands(tmp_path)
    assert all((tmp_path / f"{name}.yaml").is_file() for name in hosted)
    assert all("--params-file" in command for command in commands)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"objcts": "3"}, UnknownName, "objects"),
        ({"processes": "many"}, UnknownName, "grouped, separate"),
        ({"robot": "ur7"}, UnknownName, "ur5_rg2"),
        ({"objects": "ten"}, InvalidConfig, "integer"),
    ],
)
def test_wrong_arguments_are_refused(given, error, words) -> None:
    with pytest.raises(error, match=words):
        bringup.describe("sim", given)


def test_simulation_stays_on_this_machine_and_a_robot_says_how_far() -> None:
    name = "ROS_AUTOMATIC_DISCOVERY_RANGE"
    assert bringup.describe("sim").environment[name] == "LOCALHOST"
    assert bringup.describe("robot").environment[name] == "SUBNET"
    there = bringup.describe("robot", {"discovery_range": "LOCALHOST"})
    assert there.environment[name] == "LOCALHOST"


def test_last_error_prefers_what_says_most() -> None:
    trace = ["Traceback (most recent call last):", '  File "x.py"', "ValueError: no", ""]
    assert last_error(trace) == "ValueError: no"
    assert last_error(["READY sim", "error: no GL", "bye"]) == "error: no GL"
    assert last_error(["READY sim", "bye", ""]) == "bye"
    assert last_error([]) == ""
