"""Set up everything that `make demo` and `make test` need: `python3 tools/setup`.

Works on a fresh machine with nothing but Python and a compiler, so it uses the
standard library alone. Each step leaves a stamp with the digest of its inputs:
a second call does nothing, and an interrupted one goes on where it stopped.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
from pathlib import Path

if sys.version_info < (3, 10):  # noqa: UP036 - the point is to say so where it is older
    sys.exit(
        "set-up: this Python is {}.{}; selfgrasp needs 3.10 or later. "
        "Name another one: PYTHON=python3.11 make setup".format(*sys.version_info)
    )

import interfaces
import launcher
import system_packages
import wheels
from console import Console, SetupError
from interpreter import choose_interpreter
from steps import open_titles, run_steps

ROOT = Path(__file__).resolve().parents[2]


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="make setup",
        description="Virtual environment, ROS 2, libraries, system packages and interfaces.",
    )
    parser.add_argument("--dev", action="store_true", help="all of it, and test tools")
    parser.add_argument(
        "--learning", action="store_true", help="also what training and learnt policies need"
    )
    parser.add_argument("--check", action="store_true", help="only say what is left to do")
    parser.add_argument("--verbose", action="store_true", help="show what the tools print")
    parser.add_argument(
        "--skip-system-packages",
        action="store_true",
        default=bool(os.environ.get("SELFGRASP_SKIP_SYSTEM_PACKAGES")),
        help="do not install Debian packages (or set SELFGRASP_SKIP_SYSTEM_PACKAGES=1)",
    )
    return parser.parse_args()


def main() -> int:
    """Run what is not done yet; 0 when all is."""
    arguments = parse_arguments()
    console = Console(ROOT / "build" / "setup.log", verbose=arguments.verbose)
    try:
        with _lock(console):
            interpreter = choose_interpreter(os.environ, ROOT)
            venv = ROOT / ".venv"
            # pip waits for the network and the interface build for the compiler.
            steps = [
                [
                    system_packages.step(
                        ROOT, interpreter, console, skip=arguments.skip_system_packages
                    )
                ],
                [wheels.environment_step(ROOT, venv, interpreter, console)],
                [wheels.ros_step(ROOT, venv, interpreter, console)],
                [
                    wheels.libraries_step(ROOT, venv, interpreter, console),
                    interfaces.step(ROOT, venv, interpreter, console),
                ],
                [launcher.step(ROOT, venv, interpreter)],
            ]
            if arguments.dev or arguments.learning:
                steps.append([wheels.learning_step(ROOT, venv, interpreter, console)])
            if arguments.dev:
                skip = arguments.skip_system_packages
                steps.append([system_packages.dev_step(ROOT, console, skip)])
                steps.append([wheels.tools_step(ROOT, venv, interpreter, console)])
            if arguments.check:
                left = open_titles(steps)
                print("\n".join(left) or "nothing is left to do")
                return 1 if left else 0
            run_steps(steps, console)
    except SetupError as error:
        console.fail(str(error))
        return 1
    except KeyboardInterrupt:
        console.fail("interrupted; call it again and it goes on from here")
        return 130
    return 0


class _lock:
    """One set-up at a time in one checkout."""

    def __init__(self, console: Console):
        self.console = console
        self.path = ROOT / "build" / "setup.lock"

    def __enter__(self) -> None:
        self.path.parent.mkdir(exist_ok=True)
        self.file = self.path.open("w")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.console.say("another set-up of this checkout is running; waiting for it")
            fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.file.close()


if __name__ == "__main__":
    sys.exit(main())
