"""Steps with stamps: what is done stays done until its inputs change."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from console import Console


@dataclass(frozen=True)
class Step:
    """One part of the set-up.

    Attributes:
        name: Of its stamp file.
        title: Shown while it runs.
        key: Digest of everything that its result depends on.
        run: Does the work; raises SetupError with the remedy.
        stamps: Folder of its stamp, which is to vanish together with the result.
        present: Whether the result is still there (somebody may have deleted it).
    """

    name: str
    title: str
    key: str
    run: Callable[[], None]
    stamps: Path
    present: Callable[[], bool] = lambda: True

    def done(self) -> bool:
        """Whether the stamp fits the inputs and the result exists."""
        stamp = self.stamps / self.name
        return stamp.is_file() and stamp.read_text() == self.key and self.present()


def run_steps(groups: list[list[Step]], console: Console) -> None:
    """Run the steps that are not done, group by group; those of a group side by side.

    Each is stamped when it has ended well, whatever becomes of the others.
    """
    for number, group in enumerate(groups, 1):
        open_steps = [step for step in group if not step.done()]
        for step in open_steps:
            console.begin(f"[{number}/{len(groups)}] {step.title}")
        if len(open_steps) == 1:
            _run(open_steps[0], console)
        elif open_steps:
            with ThreadPoolExecutor(len(open_steps)) as pool:
                running = [pool.submit(_run, step, console) for step in open_steps]
            for future in running:
                future.result()


def open_titles(groups: list[list[Step]]) -> list[str]:
    """Titles of the steps that are not done."""
    return [step.title for group in groups for step in group if not step.done()]


def _run(step: Step, console: Console) -> None:
    start = time.monotonic()
    step.run()
    step.stamps.mkdir(parents=True, exist_ok=True)
    (step.stamps / step.name).write_text(step.key)
    console.end(f"{step.title}: done in {time.monotonic() - start:.0f} s")


def digest(*parts: object) -> str:
    """SHA-256 over texts; a Path stands for its name and content, a folder for all below it."""
    total = hashlib.sha256()
    for part in parts:
        for name, content in _contents(part):
            total.update(name.encode() + b"\0" + content + b"\0")
    return total.hexdigest()


def _contents(part: object) -> Iterable[tuple[str, bytes]]:
    if not isinstance(part, Path):
        yield "", str(part).encode()
    elif part.is_dir():
        for path in sorted(p for p in part.rglob("*") if p.is_file()):
            yield str(path.relative_to(part)), path.read_bytes()
    else:
        yield part.name, part.read_bytes()
