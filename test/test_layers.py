"""Imports go down only, and heavy libraries stay in their rooms."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "selfgrasp_nodes"

# What stands below everything: no room, no ROS.
GROUND = {"types", "errors", "geometry", "paths"}
# Room -> rooms that its modules may import, besides the ground and itself.
BELOW = {
    "robots": set(),
    "perception": {"robots"},
    "policies": {"robots", "perception.patches"},
    "motion": {"robots"},
    "labeling": {"robots", "perception.change"},
    "trials": {"robots", "perception.images"},
}
_SENSING = {"robots", "perception", "policies", "motion", "labeling", "trials"}
BELOW["simulation"] = _SENSING
BELOW["orchestration"] = _SENSING | {"simulation"}
BELOW["learning"] = _SENSING | {"simulation", "orchestration"}
_ALL = _SENSING | {"simulation", "orchestration", "learning"}
BELOW["bringup_arguments"] = set()
BELOW["nodes"] = _ALL | {"bringup", "bringup_arguments", "supervisor", "doctor", "cli.domain"}
BELOW["bringup"] = {"robots", "nodes", "bringup_arguments"}
BELOW["supervisor"] = {"bringup"}
BELOW["doctor"] = _ALL | {"nodes.middleware", "cli.shared_memory", "cli.environment"}
BELOW["cli"] = _ALL | {"nodes", "bringup", "bringup_arguments", "supervisor", "client", "doctor"}
BELOW["client"] = {"robots", "nodes"}

# Libraries that only these rooms (or modules) may import.
ROS = {"rclpy", "rosidl_runtime_py", "tf2_ros", "cv_bridge", "selfgrasp", "launch", "launch_ros"}
CONFINED = {
    **{name: {"nodes", "client"} for name in ROS},
    "mujoco": {"simulation"},
    "torch": {"policies", "learning"},
    "ompl": {"motion"},
    "rosbags": {"trials"},
}


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _imports(path: Path) -> set[str]:
    """Dotted names of everything that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _violations(room: str, imports: set[str]) -> list[str]:
    wrong = []
    for name in sorted(imports):
        top, _, rest = name.partition(".")
        if top in CONFINED or top.endswith("_msgs") or top.endswith("_interfaces"):
            if room not in CONFINED.get(top, {"nodes", "client"}):
                wrong.append(name)
        elif top == "selfgrasp_nodes" and rest:
            target = rest.split(".")[0]
            allowed = GROUND | BELOW.get(room, set()) | {room}
            dotted = any(rest == a or rest.startswith(a + ".") for a in allowed)
            if target not in allowed and not dotted:
                wrong.append(name)
    return wrong


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    room = _room(path)
    if room in GROUND:
        assert not _violations("ground", _imports(path))
        return
    assert room in BELOW or room == "__init__", f"room {room!r} has no place in this table"
    assert not _violations(room, _imports(path))


def test_the_rule_finds_what_it_is_for() -> None:
    assert _violations("policies", {"selfgrasp_nodes.motion.planner.Planner"})
    assert _violations("labeling", {"selfgrasp_nodes.perception.heightmap.build_heightmap"})
    assert not _violations("labeling", {"selfgrasp_nodes.perception.change.changed_area"})
    assert _violations("trials", {"rclpy.node.Node"})
    assert _violations("perception", {"sensor_msgs.msg.Image"})
    assert _violations("cli", {"mujoco"})
    assert not _violations("nodes", {"selfgrasp.msg.Trial", "rclpy"})


def test_the_tree_holds_no_simulator_truth_in_policies_and_labels() -> None:
    for room in ("policies", "labeling", "perception"):
        for path in (PACKAGE / room).rglob("*.py"):
            assert "sim/truth" not in path.read_text(encoding="utf-8"), path
