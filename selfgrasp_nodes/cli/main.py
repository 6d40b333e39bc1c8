"""The ``selfgrasp`` command: one verb, one module.

A verb is a module of this package, ``cli/<verb>.py``, with ``HELP`` (one line),
``add_parser(subparsers)`` and ``run(args) -> int``; putting the file there is
all that is needed. Only the module of the verb that is called is imported, and
modules import heavy libraries inside ``run``.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from selfgrasp_nodes.errors import SelfGraspError

# Modules of this package that are no verbs.
_NOT_VERBS = {
    "main",
    "trials_store",
    "environment",
    "shared_memory",
    "domain",
    "protocols",
    "protocol_results",
    "pinto",
    "vpg",
}
# Verbs that need no ROS environment, so that they answer at once.
_PLAIN_VERBS = {"env", "exec"}


def verbs() -> list[str]:
    """Names of all verbs, from the files in this package."""
    names = (path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    return sorted(name.replace("_", "-") for name in names if name not in _NOT_VERBS)


def build_parser(names: Sequence[str]) -> argparse.ArgumentParser:
    """The parser that knows the given verbs."""
    parser = argparse.ArgumentParser(
        prog="selfgrasp",
        description="A robot teaches itself to grasp and to push.",
        epilog="'selfgrasp VERB --help' says more about each.",
    )
    parser.add_argument("--traceback", action="store_true", help="show where an error came from")
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in names:
        module = importlib.import_module(f"selfgrasp_nodes.cli.{name.replace('-', '_')}")
        if hasattr(module, "add_parser"):
            module.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        0 if all went well, 1 after an error (one line on standard error), 2
        after a wrong command line, 130 after Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    named = next((word for word in arguments if not word.startswith("-")), "")
    known = verbs()
    parser = build_parser([named] if named in known else known)
    parsed = parser.parse_args(arguments)
    if named not in _PLAIN_VERBS and argv is None:
        from selfgrasp_nodes.cli import environment

        environment.enter()
    try:
        return int(parsed.run(parsed) or 0)
    except SelfGraspError as error:
        if parsed.traceback:
            raise
        print(f"selfgrasp: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of a pipe has seen enough ('selfgrasp ... | head').
        sys.stderr.close()
        return 1


if __name__ == "__main__":
    sys.exit(main())
