"""What the set-up prints, and the tools that it runs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path


class SetupError(Exception):
    """The set-up cannot go on; the message says what to do."""


class Console:
    """Progress lines on the terminal, everything in a log file."""

    def __init__(self, log: Path, verbose: bool = False):
        """Open the log.

        Args:
            log: File that keeps the output of every tool.
            verbose: Show that output on the terminal too.
        """
        self.log = log
        self.verbose = verbose
        self._live = sys.stdout.isatty() and not verbose
        self._lock = threading.Lock()
        log.parent.mkdir(parents=True, exist_ok=True)

    def say(self, text: str) -> None:
        """One line."""
        with self._lock:
            self._clear()
            print(f"set-up: {text}", flush=True)

    def begin(self, title: str) -> None:
        """A step begins."""
        self.say(f"{title} ...")

    def end(self, text: str) -> None:
        """A step has ended."""
        self.say(f"      {text}")

    def fail(self, text: str) -> None:
        """The last line of a set-up that failed."""
        self._clear()
        print(f"set-up failed: {text}", file=sys.stderr, flush=True)

    def run(
        self,
        command: Sequence[str | Path],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> str:
        """Run a tool, show that it lives, and return its output.

        Raises:
            SetupError: If it ends with an error; shows its last lines.
        """
        words = [str(word) for word in command]
        start = time.monotonic()
        shown = start
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"\n$ {' '.join(words)}\n")
            log.flush()
            try:
                process = subprocess.Popen(
                    words,
                    env=dict(env) if env is not None else None,
                    cwd=cwd,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                )
            except FileNotFoundError as error:
                raise SetupError(f"'{words[0]}' was not found") from error
            assert process.stdout is not None
            lines: list[str] = []
            try:
                for line in process.stdout:
                    lines.append(line)
                    log.write(line)
                    shown = self._show(line, start, shown)
                code = process.wait()
            except BaseException:
                process.terminate()
                process.wait()
                raise
        with self._lock:
            self._clear()
        if code:
            last = "".join(deque(lines, 25))
            raise SetupError(
                f"'{' '.join(words[:4])} ...' ended with code {code}:\n{last}\n"
                f"All of it: {self.log}"
            )
        return "".join(lines)

    def _show(self, line: str, start: float, shown: float) -> float:
        """Show a tool's line if it is time to; returns when a line was last shown."""
        now = time.monotonic()
        with self._lock:
            if self.verbose:
                print(line, end="", flush=True)
            elif self._live:
                width = max(os.get_terminal_size().columns - 1, 20)
                text = f"  {now - start:4.0f} s  {line.strip()}"[:width]
                print(f"\r\033[K{text}", end="", flush=True)
            elif now - shown >= 15.0:
                print(f"set-up:       {now - start:.0f} s: {line.strip()[:100]}", flush=True)
                return now
        return shown

    def _clear(self) -> None:
        if self._live:
            print("\r\033[K", end="", flush=True)
