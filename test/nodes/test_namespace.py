"""A graph in a namespace, before and after its workspace was confirmed."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from graph_cases import a_candidate

from selfgrasp_nodes.client import SelfGrasp
from selfgrasp_nodes.errors import NotReady, SelfGraspError

# Where ROS has them, whatever the namespace of who speaks there.
GLOBAL = {"/tf", "/tf_static", "/clock", "/diagnostics", "/rosout", "/parameter_events"}


def test_nothing_moves_before_the_border_was_traced_and_all_names_are_relative(
    new_graph, tmp_path
) -> None:
    given = tmp_path / "parameters.yaml"
    given.write_text("/**/motion:\n  ros__parameters:\n    workspace_confirmed: false\n")
    bag = tmp_path / "bag"
    graph = new_graph(bag, namespace="cell", parameters=str(given))

    def ours() -> set[str]:
        return {
            name
            for node, space in graph.node.get_node_names_and_namespaces()
            if space == "/cell"
            for names in (
                graph.node.get_publisher_names_and_types_by_node(node, space),
                graph.node.get_subscriber_names_and_types_by_node(node, space),
                graph.node.get_service_names_and_types_by_node(node, space),
                graph.node.get_client_names_and_types_by_node(node, space),
            )
            for name, _ in names
        }

    expected = {"/cell/joint_states", "/cell/plan", "/cell/overhead/color/image_raw"}
    limit = time.monotonic() + 30
    while not expected <= (names := ours()) and time.monotonic() < limit:
        time.sleep(0.2)
    assert expected <= names
    assert {n for n in names if not n.startswith("/cell/")} <= GLOBAL
    with SelfGrasp(namespace="cell", timeout=60.0) as robot:
        candidate = a_candidate(z=0.1)
        assert robot.execute(candidate, plan_only=True).success
        with pytest.raises(NotReady, match="selfgrasp trace"):
            robot.execute(candidate)
        with pytest.raises(SelfGraspError, match="selfgrasp trace"):
            robot.pick(seed=1, max_attempts=1)
        command = [sys.executable, "-m", "selfgrasp_nodes.cli.main", "trace", "--yes"]
        command += ["--namespace", "cell", "--speed", "1.0"]
        traced = subprocess.run(command, capture_output=True, text=True, timeout=180)
        assert traced.returncode == 0, traced.stderr
        result = robot.pick(seed=1, max_attempts=3)
        assert result.trials and result.trials[-1].outcome.code
