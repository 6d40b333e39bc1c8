"""TensorBoard's event files of a training; nothing else depends on them."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class EventCurves:
    """Curves where TensorBoard is installed, and none elsewhere.

    What a training must not lose is kept elsewhere: an event file that cannot be written ends the
    curves with a warning, and hides no error of the training.
    """

    def __init__(self, folder: Path):
        """Begin an event file in a folder."""
        self._folder, self._writer = folder, None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._try(lambda: self._begin(SummaryWriter))

    def __enter__(self) -> EventCurves:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._try(self._writer.close)

    def add(self, step: int, numbers: Mapping[str, float]) -> None:
        """A point of each curve; what is no number is left out."""
        for name, value in numbers.items():
            if self._writer is not None and math.isfinite(value):
                writer, point = self._writer, (name, value, step)
                self._try(lambda writer=writer, point=point: writer.add_scalar(*point))

    def _begin(self, kind: Any) -> None:
        self._writer = kind(str(self._folder))

    def _try(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            self._writer = None
            log.warning(
                "the curves in %s cannot be written (%s) and end here: free the disk; the "
                "training itself does not need them",
                self._folder,
                error,
            )
