"""What a check finds, and how it is found without ending the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from importlib import import_module

from selfgrasp_nodes.errors import SelfGraspError

SETUP = "run 'make setup' in the checkout, or 'rosdep install --from-paths .' in a ROS workspace"


class Level(str, Enum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        area: Heading it stands under.
        name: What was looked at.
        level: How it is.
        found: What was found, or what is wrong.
        remedy: What to do; empty where all is well.
    """

    area: str
    name: str
    level: Level
    found: str
    remedy: str = ""


def reading(area: str, name: str, read: Callable[[], object]) -> Finding:
    """What reading something gives: its text and the time it took, or what is wrong."""
    start = time.perf_counter()
    try:
        text = read()
    except SelfGraspError as error:
        return Finding(area, name, Level.FAIL, str(error), "correct the file that is named")
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        return Finding(area, name, Level.FAIL, text, SETUP)
    return Finding(area, name, Level.OK, f"{text} ({time.perf_counter() - start:.1f} s)")


def import_problem(module: str) -> str:
    """Why a module cannot be imported; empty where it can."""
    try:
        import_module(module)
    except Exception as error:  # a broken wheel may raise anything
        return f"{type(error).__name__}: {error}"
    return ""
