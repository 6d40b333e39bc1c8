"""How a node ends the process that hosts it, e.g. because its work is done."""

from __future__ import annotations

import os
import signal

_code = 0


def end_process(code: int) -> None:
    """Let this process end as if it had been asked to, with an exit code; any thread."""
    global _code
    _code = code
    os.kill(os.getpid(), signal.SIGINT)


def exit_code() -> int:
    """What :func:`end_process` was called with; 0 where it was not."""
    return _code
