"""Jobs that worker processes run in test_workers: importable by name, as they must be."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from selfgrasp_nodes.errors import UnknownName
from selfgrasp_nodes.learning import evaluation

_offset = 0


def initialise(offset: int) -> None:
    global _offset
    _offset = offset


def add(number: int) -> tuple[int, str | None, bool]:
    alone = os.environ.get("OMP_NUM_THREADS")
    ignores = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return number + _offset, alone, ignores


def die_once(file: str) -> str:
    """Killed on the first call with a file, well on the second; on "always" every time."""
    if file == "always" or (file and not Path(file).exists()):
        if file != "always":
            Path(file).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return f"{_offset} {os.path.basename(file)}"


def fail(number: int) -> None:
    raise UnknownName("number", number, ["1", "2"])


def die_while_starting() -> None:
    os._exit(7)


def fail_while_starting() -> None:
    raise ValueError("no world")


def die_at_31(job: evaluation.Job) -> object:
    """A run of an evaluation; that with seed 31 kills its process."""
    if job.seed == 31:
        os.kill(os.getpid(), signal.SIGKILL)
    return evaluation.run_job(job)
