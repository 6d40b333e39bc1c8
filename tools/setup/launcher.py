"""``.venv/bin/selfgrasp``, and the source tree on the environment's path."""

from __future__ import annotations

import json
import re
from pathlib import Path

from interpreter import Interpreter
from steps import Step, digest

_SCRIPT = """#!{python}
import sys

from selfgrasp_nodes.cli.main import main

if __name__ == "__main__":  # worker processes import this file again
    sys.exit(main())
"""


def step(root: Path, venv: Path, interpreter: Interpreter) -> Step:
    """Make the checkout importable and its command callable from anywhere."""
    script = venv / "bin" / "selfgrasp"
    paths = venv / "lib" / f"python{interpreter.minor}" / "site-packages" / "selfgrasp.pth"
    recorded = venv / ".setup" / "ros-environment.json"

    ros = json.dumps(dict(interpreter.ros_environment), indent=1)

    def run() -> None:
        found = (root / "install").glob("**/selfgrasp/__init__.py")
        interfaces = sorted({str(file.parent.parent) for file in found})
        paths.write_text("\n".join([str(root), *interfaces]) + "\n")
        script.write_text(_SCRIPT.format(python=venv / "bin" / "python"))
        script.chmod(0o755)
        recorded.parent.mkdir(exist_ok=True)
        recorded.write_text(ros)
        _link_shared_files(root)

    launch_files = [path.name for path in _launch_files(root)]
    return Step(
        "command",
        "The selfgrasp command",
        digest("command", str(root), interpreter.key, _SCRIPT, ros, nodes(root), launch_files),
        run,
        # With the links, which a new build of the interfaces takes away.
        root / "install" / "share" / "selfgrasp" / ".setup",
        present=lambda: script.is_file() and paths.is_file() and recorded.is_file(),
    )


def nodes(root: Path) -> list[str]:
    """Names of the executables that CMakeLists.txt installs."""
    listed = re.search(r"foreach\(node ([^)]*)\)", (root / "CMakeLists.txt").read_text())
    return listed.group(1).split() if listed else []


def _launch_files(root: Path) -> list[Path]:
    return sorted((root / "launch").glob("*.launch.*"))


def _link_shared_files(root: Path) -> None:
    """Let `ros2 launch` and `ros2 run` find in install/ what lies in the source tree.

    Launch files one by one: `ros2 launch` does not look into linked folders.
    """
    share = root / "install" / "share" / "selfgrasp"
    library = root / "install" / "lib" / "selfgrasp"
    links = {share / name: root / name for name in ("config", "urdf")}
    links.update({share / "launch" / path.name: path for path in _launch_files(root)})
    links.update({library / name: root / "tools" / "node" for name in nodes(root)})
    links[library / "selfgrasp"] = root / "tools" / "selfgrasp"
    for link, target in links.items():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)
