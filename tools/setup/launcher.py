"""``.venv/bin/selfgrasp``, and the source tree on the environment's path."""

from __future__ import annotations

import json
from pathlib import Path

from interpreter import Interpreter
from steps import Step, digest

_SCRIPT = """#!{python}
import sys

from selfgrasp_nodes.cli.main import main

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

    return Step(
        "command",
        "The selfgrasp command",
        digest("command", str(root), interpreter.key, _SCRIPT, ros),
        run,
        venv / ".setup",
        present=lambda: script.is_file() and paths.is_file() and recorded.is_file(),
    )
