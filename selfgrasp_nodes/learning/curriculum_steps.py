"""What a curriculum says while it runs."""

from __future__ import annotations

from typing import Protocol

from selfgrasp_nodes.learning.collect import Progress
from selfgrasp_nodes.learning.outlook import Outlook
from selfgrasp_nodes.learning.patch_train import Step


class Reporter(Protocol):
    """Where a curriculum says what it does."""

    def title(self, text: str) -> None:
        """What the next numbers belong to."""

    def line(self, text: str) -> None:
        """A sentence."""

    def step(self, now: Step) -> None:
        """A training's progress."""

    def decoded(self, done: int, total: int) -> None:
        """The decoding of crops."""

    def collected(self, progress: Progress) -> None:
        """A collection's progress."""

    def whole(self, share: float, left: float) -> None:
        """The whole curriculum's: share that is done, and seconds left."""


class Steps:
    """Hands a step's progress on, and the whole's with it.

    Attributes:
        reporter: To which it is handed.
    """

    def __init__(self, whole: Outlook, members: int, reporter: Reporter):
        """Begin with nothing done.

        Args:
            whole: All the work.
            members: Networks of the ensemble.
            reporter: Is told.
        """
        self.reporter = reporter
        self._whole, self._title, self._members = whole, "", members

    def title(self, text: str) -> None:
        """What the next steps belong to."""
        self._title = text
        self.reporter.title(text)

    def step(self, now: Step) -> None:
        """A training's progress."""
        self.reporter.step(now)
        share = (now.epoch + now.done) / now.epochs
        self._reached("train", (now.member + share) / self._members)

    def decoded(self, done: int, total: int) -> None:
        """The decoding of crops."""
        self.reporter.decoded(done, total)
        self._reached("read", done / max(total, 1))

    def collected(self, progress: Progress) -> None:
        """A collection's progress."""
        self.reporter.collected(progress)
        self._reached("collect", progress.labelled / progress.wanted)

    def ended(self, what: str, title: str = "") -> None:
        """A step has ended; of the current title where none is given."""
        self._whole.finished(f"{title or self._title}: {what}")
        self.reporter.whole(self._whole.share, self._whole.left)

    def _reached(self, what: str, share: float) -> None:
        self._whole.reached(f"{self._title}: {what}", share)
        self.reporter.whole(self._whole.share, self._whole.left)
