"""selfgrasp check: what is in order is left alone, what is broken is named with a remedy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from selfgrasp_nodes import doctor
from selfgrasp_nodes.cli import check, shared_memory
from selfgrasp_nodes.cli.domain import free_domain
from selfgrasp_nodes.cli.main import build_parser
from selfgrasp_nodes.doctor import Finding, Level, descriptions, libraries, machine, middleware
from selfgrasp_nodes.paths import share_dir


def by_name(findings) -> dict[str, Finding]:
    return {f.name: f for f in findings}


def test_this_machine_is_fit(tmp_path):
    """The tests run in the environment that the set-up made: nothing may fail in it."""
    findings = list(doctor.environment_findings("ur5_rg2"))
    assert [f for f in findings if f.level == Level.FAIL] == []
    names = by_name(findings)
    assert {"mujoco", "GL", "/dev/shm", "selfgrasp.msg", "motion.yaml", "simulation"} <= set(names)
    assert "640x480 in" in names["GL"].found


def test_a_broken_renderer_is_named(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "no_such_backend")
    finding = machine.graphics()
    assert finding.level == Level.FAIL
    assert "no_such_backend" in finding.found and "libegl1" in finding.remedy


def test_too_little_shared_memory_is_named(monkeypatch):
    monkeypatch.setattr(shared_memory, "PARTICIPANTS", 2**40)
    finding = machine.shared_memory()
    assert finding.level == Level.WARN
    assert "over UDP" in finding.found
    assert "are needed" in finding.found and "--shm-size" in finding.remedy


def test_no_shared_memory_at_all(tmp_path):
    finding = machine.shared_memory(tmp_path / "none")
    assert finding.level == Level.WARN and "0 MiB" in finding.found


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setattr(libraries, "PACKAGES", (("no_such_module", "its-distribution"),))
    (finding,) = libraries.packages() if not libraries.OPTIONAL else list(libraries.packages())[:1]
    assert finding.level == Level.FAIL
    assert "no_such_module" in finding.found and "its-distribution" in finding.remedy


@pytest.mark.parametrize(
    ("variable", "value", "level"),
    [
        ("ROS_DOMAIN_ID", "here", Level.FAIL),
        ("ROS_DOMAIN_ID", "200", Level.FAIL),
        ("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF", Level.FAIL),
        ("FASTDDS_DEFAULT_PROFILES_FILE", "/no/such/file.xml", Level.FAIL),
        ("FASTDDS_DEFAULT_PROFILES_FILE", "", Level.WARN),
    ],
)
def test_wrong_variables_are_named(monkeypatch, variable, value, level):
    pytest.importorskip("rclpy")
    monkeypatch.setenv(variable, value)
    if variable.startswith("FASTDDS") and os.environ.get("RMW_IMPLEMENTATION", "") not in (
        "",
        "rmw_fastrtps_cpp",
    ):
        pytest.skip("another middleware than Fast DDS is in use")
    bad = [f for f in middleware.ros() if f.level != Level.OK]
    assert [f.level for f in bad] == [level]
    assert bad[0].remedy


def test_a_robot_with_a_wrong_file_is_named(tmp_path):
    text = (share_dir() / "config" / "robots" / "ur5_rg2.yaml").read_text()
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace("urdf: urdf/ur5_rg2.urdf.xacro", "urdf: urdf/none.xacro"))
    findings = by_name(descriptions.description(str(file)))
    assert findings["description"].level == Level.OK
    assert findings["xacro and meshes"].level == Level.FAIL
    assert "none.xacro" in findings["xacro and meshes"].found
    file.write_text(text + "\nunknown_key: 3\n")
    (only,) = descriptions.description(str(file))
    assert only.level == Level.FAIL and "unknown_key" in only.found


def test_exit_code_and_json(tmp_path, capsys, monkeypatch):
    """A failure is exit code 1, is printed with its remedy, and stands in the JSON file."""
    finding = Finding("machine", "GL", Level.FAIL, "cannot draw", "install a driver")
    monkeypatch.setattr(doctor, "environment_findings", lambda robot: iter([finding]))
    file = tmp_path / "check.json"
    arguments = ["check", "--no-graph", "--json", str(file)]
    args = build_parser(["check"]).parse_args(arguments)
    assert check.run(args) == 1
    printed = capsys.readouterr().out
    assert "cannot draw" in printed and "install a driver" in printed
    assert json.loads(file.read_text())[0]["level"] == "fail"


def test_a_running_graph(tmp_path):
    """The simulation alone: its parts are found, the nodes that are missing are named."""
    pytest.importorskip("rclpy")
    from selfgrasp_nodes.nodes.graph_check import graph_findings

    with free_domain(os.environ) as domain:
        nothing = graph_findings(required=True)
        assert [f.level for f in nothing] == [Level.FAIL]
        assert f"domain {domain}" in nothing[0].found and "selfgrasp up" in nothing[0].remedy
        assert all(f.level == Level.OK for f in graph_findings(required=False))

        command = [sys.executable, "-m", "selfgrasp_nodes.nodes.main", "sim", "label"]
        log = (tmp_path / "log").open("w")
        nodes = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            limit = time.monotonic() + 60
            while "READY label" not in (tmp_path / "log").read_text():
                assert time.monotonic() < limit and nodes.poll() is None, "nodes do not start"
                time.sleep(0.1)
            findings = graph_findings(seconds=3.0)
        finally:
            nodes.terminate()
            nodes.wait(10)
    names = by_name(findings)
    failing = {f.name for f in findings if f.level == Level.FAIL}
    assert failing == {"heightmap", "policy", "motion", "picker"}
    assert "5 of 5 pictures" in names["overhead"].found
    assert "7 joints" in names["joint_states"].found
    assert "real-time factor" in names["/clock"].found
    assert names["tool0"].level == Level.OK
    assert "does not hear" in names["label"].found
