"""The command as a user calls it: from a shell with nothing sourced."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from selfgrasp_nodes.cli import main as cli
from selfgrasp_nodes.errors import UnknownName

COMMAND = Path(sys.prefix) / "bin" / "selfgrasp"
pytestmark = pytest.mark.skipif(
    not COMMAND.exists(), reason="this environment has no selfgrasp command (make setup makes it)"
)


def call(
    *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), *arguments],
        env=environment or {},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_names_every_verb() -> None:
    result = call("--help")
    assert result.returncode == 0, result.stderr
    for verb in cli.verbs():
        assert f"\n    {verb}" in result.stdout


@pytest.mark.parametrize("verb", cli.verbs())
def test_every_verb_explains_itself_without_heavy_imports(verb: str) -> None:
    code = (
        "import sys; from selfgrasp_nodes.cli.main import build_parser\n"
        f"build_parser([{verb!r}])\n"
        "heavy = {'rclpy', 'mujoco', 'torch', 'cv2', 'scipy', 'pinocchio'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert call(verb, "--help").returncode == 0


def test_a_message_goes_from_node_to_node_in_an_empty_environment() -> None:
    code = """
import rclpy
from rclpy.node import Node
from selfgrasp.srv import GetTruth
from control_msgs.action import FollowJointTrajectory
from tf2_msgs.msg import TFMessage
rclpy.init()
node = Node("probe")
node.create_service(GetTruth, "truth", lambda request, response: response)
heard = []
node.create_subscription(TFMessage, "tf", heard.append, 1)
publisher = node.create_publisher(TFMessage, "tf", 1)
for _ in range(100):
    publisher.publish(TFMessage())
    rclpy.spin_once(node, timeout_sec=0.1)
    if heard:
        break
print(len(heard) > 0)
"""
    variables = {k: os.environ[k] for k in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE")}
    result = call("exec", "python", "-c", code, environment=variables)
    assert result.stdout.strip() == "True", result.stderr


def test_env_is_for_a_shell_and_stable() -> None:
    script = f"""
source <({COMMAND} env) || exit 1
{COMMAND} env --json > first; source <({COMMAND} env); {COMMAND} env --json
"""
    folder = subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True)
    result = subprocess.run(
        ["bash", "-c", script],
        env={},
        cwd=folder.stdout.strip(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    second = json.loads(result.stdout)
    first = json.loads((Path(folder.stdout.strip()) / "first").read_text())
    assert {k: set(v.split(":")) for k, v in first.items()} == {
        k: set(v.split(":")) for k, v in second.items()
    }
    assert len(second["LD_LIBRARY_PATH"].split(":")) == len(
        set(second["LD_LIBRARY_PATH"].split(":"))
    )


def test_what_the_user_has_set_wins() -> None:
    given = {
        "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp",
        "ROS_DOMAIN_ID": "17",
        "MUJOCO_GL": "osmesa",
    }
    result = call("env", "--json", environment=given)
    found = json.loads(result.stdout)
    assert found["RMW_IMPLEMENTATION"] == "rmw_cyclonedds_cpp"
    assert found["MUJOCO_GL"] == "osmesa"
    assert "FASTDDS_DEFAULT_PROFILES_FILE" not in found
    assert "ROS_DOMAIN_ID" not in found  # obeyed, not touched
    assert "17" in call("exec", "env", environment=given).stdout


def test_an_error_is_one_clear_line() -> None:
    result = call("exec", "no-such-program")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("selfgrasp: unknown program 'no-such-program'")
    assert "Traceback" in call("--traceback", "exec", "no-such-program").stderr


def test_a_wrong_command_line_is_refused() -> None:
    result = call("pick-everything")
    assert result.returncode == 2
    assert "invalid choice" in result.stderr
    assert "evaluate" in result.stderr


def test_errors_of_verbs_end_with_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from selfgrasp_nodes.cli import env

    def fail(args: object) -> int:
        raise UnknownName("policy", "x", ["a", "b"])

    monkeypatch.setattr(env, "run", fail)
    assert cli.main(["env"]) == 1
    assert capsys.readouterr().err == "selfgrasp: unknown policy 'x'; valid: a, b\n"
