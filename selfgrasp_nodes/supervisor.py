"""Starts the processes of a bring-up, watches them, and ends all of them.

Each process has a session of its own, so that Ctrl-C reaches only the
supervisor, which then ends the others in order; each is told by Linux to end
when the supervisor dies in whatever way.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from selfgrasp_nodes.bringup import Description, OnDeath, Process
from selfgrasp_nodes.errors import Unavailable

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_KEPT_LINES = 60
_LAST_WORDS = 2.0  # a dead process's output is read for so long, should a grandchild hold it [s]


@dataclass
class Child:
    """A running process of the description."""

    process: Process
    popen: subprocess.Popen
    ready: set[str] = field(default_factory=set)
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))
    reader: threading.Thread | None = None
    reported: bool = False


@dataclass(frozen=True)
class Death:
    """A process that ended by itself."""

    process: str
    nodes: tuple[str, ...]
    exit_code: int
    last_error: str
    stops: bool

    def __str__(self) -> str:
        if self.exit_code == 0:
            rest = "ending the rest" if self.stops else "the rest goes on"
            return f"process {self.process!r} has finished; {rest}"
        hosted = f" ({', '.join(self.nodes)})" if self.nodes else ""
        what = f"process {self.process!r}{hosted}"
        how = (
            f"was ended by signal {signal.Signals(-self.exit_code).name}"
            if self.exit_code < 0
            else f"ended with exit code {self.exit_code}"
        )
        then = "stopping the rest" if self.stops else "the rest goes on"
        return f"{what} {how}; {then}. Last error: {self.last_error or '(none printed)'}"


class Supervisor:
    """Runs a description.

    Args:
        description: What to run.
        show: Called with each line that a process prints, prefixed by its
            name; None prints nothing.
    """

    def __init__(
        self,
        description: Description,
        show: Callable[[str], None] | None = lambda line: print(line, flush=True),
    ):
        self.description = description
        self.children: list[Child] = []
        self.deaths: list[Death] = []
        self._show = show
        self._changed = threading.Condition()
        self._folder: Path | None = None

    def start(self) -> None:
        """Start all processes; returns at once."""
        self.description.check_programs()
        environment = {**os.environ, **self.description.environment, "PYTHONUNBUFFERED": "1"}
        self._folder = Path(tempfile.mkdtemp(prefix="selfgrasp-"))
        commands = self.description.commands(self._folder)
        for process, command in zip(self.description.processes, commands, strict=True):
            try:
                popen = subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    start_new_session=True,
                    preexec_fn=_end_with_parent(os.getpid()),
                )
            except OSError as error:
                self.stop()
                raise Unavailable(f"cannot start {command[0]!r}: {error.strerror}") from error
            child = Child(process, popen)
            self.children.append(child)
            assert popen.stdout is not None
            child.reader = threading.Thread(
                target=self._read, args=(child, popen.stdout), daemon=True
            )
            child.reader.start()

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Block until every node is up.

        Raises:
            Unavailable: If one died, or is not up in time.
        """
        limit = time.monotonic() + timeout
        while True:
            self._collect_deaths()
            if self.deaths:
                raise Unavailable(str(self.deaths[0]))
            with self._changed:
                missing = [
                    node.name
                    for child in self.children
                    for node in child.process.nodes
                    if node.name not in child.ready
                ]
                if not missing:
                    return
                if time.monotonic() > limit:
                    raise Unavailable(
                        f"not up after {timeout:g} s: {', '.join(missing)}; the lines above "
                        "say what they wait for"
                    )
                self._changed.wait(0.1)

    def poll(self) -> list[Death]:
        """The processes that died since the last call."""
        before = len(self.deaths)
        self._collect_deaths()
        return self.deaths[before:]

    def run(self, stop: threading.Event) -> int:
        """Watch until ``stop`` is set or a process whose death stops all has died.

        Returns:
            0 when asked to stop, or when a process has done what it was for; else 1.
        """
        while not stop.wait(0.1):
            for death in self.poll():
                self._print(f"[selfgrasp] {death}")
                if death.stops:
                    return 0 if death.exit_code == 0 else 1
        return 0

    def stop(self, patience: float = 3.0) -> None:
        """End all processes: ask, and after ``patience`` [s] force. Leaves none behind."""
        self._collect_deaths()
        for child in reversed(self.children):
            child.reported = True
            _signal(child, signal.SIGINT)
        limit = time.monotonic() + patience
        for child in reversed(self.children):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.popen.wait(max(0.0, limit - time.monotonic()))
        for child in self.children:
            _signal(child, signal.SIGKILL)  # the whole session, grandchildren included
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.popen.wait(1.0)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)  # the parameter files were read

    def _collect_deaths(self) -> None:
        for child in self.children:
            code = child.popen.poll()
            if code is None or child.reported:
                continue
            child.reported = True
            if child.reader is not None:
                child.reader.join(_LAST_WORDS)  # what it died of is in its last lines
            self.deaths.append(
                Death(
                    process=child.process.name,
                    nodes=tuple(node.name for node in child.process.nodes),
                    exit_code=code,
                    last_error=last_error(list(child.lines)),
                    stops=child.process.on_death is OnDeath.STOP,
                )
            )

    def _read(self, child: Child, stream: IO[str]) -> None:
        for line in stream:
            line = line.rstrip("\n")
            child.lines.append(line)
            if line.startswith("READY "):
                with self._changed:
                    child.ready.add(line.split(" ", 1)[1])
                    self._changed.notify_all()
            self._print(f"[{child.process.name}] {line}")

    def _print(self, line: str) -> None:
        if self._show is not None:
            self._show(line)


def last_error(lines: list[str]) -> str:
    """The line that says most about why a process ended."""
    for line in reversed(lines):
        if line.startswith("error: ") or "[ERROR]" in line or "[FATAL]" in line:
            return line
        if line and not line[0].isspace() and ("Error" in line or "Exception" in line):
            return line
    for line in reversed(lines):
        if line.strip() and not line.startswith("READY "):
            return line
    return ""


def _end_with_parent(parent: int) -> Callable[[], None]:
    """What runs in the child before the program: tie its life to the parent's."""

    def tie() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # died between fork and prctl
            os._exit(1)

    return tie


def _signal(child: Child, number: signal.Signals) -> None:
    """Send a signal to a child's session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.popen.pid, number)


def stop_event() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set, from now on."""
    event = threading.Event()

    def handle(number: int, frame: object) -> None:
        if event.is_set():
            sys.stderr.write("already ending\n")
        event.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)
    return event
