"""Results on disk, each with what it depends on: measured once, and again when that changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfgrasp_nodes.learning.disk import written
from selfgrasp_nodes.policies.checkpoints import write_whole

FORMAT = 2
"""Of results; another one is measured again."""


def identity(depends: Any) -> str:
    """SHA-256 of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()


class Kept:
    """A folder of results, one JSON file each.

    Attributes:
        folder: Where they lie.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def get(self, name: str, depends: Any, measure: Callable[[], Any]) -> Any:
        """A result, measured unless it is there with the same dependencies.

        Args:
            name: Of the result.
            depends: All that it follows from: digests, settings, seeds, as JSON holds them.
            measure: Gives it, as JSON holds it.

        Raises:
            StorageError: If it cannot be written.
        """
        found = self.find(name, depends)
        if found is None:
            found = measure()
            content = {
                "identity": identity([FORMAT, depends]),
                "depends": depends,
                "result": found,
            }
            with written("a result", self._file(name)):
                self.folder.mkdir(parents=True, exist_ok=True)
                write_whole(self._file(name), json.dumps(content, indent=1).encode())
            # As the next call will read it: keys are text, tuples are lists.
            found = json.loads(json.dumps(found))
        return found

    def find(self, name: str, depends: Any) -> Any:
        """A result with these dependencies; None where there is none, or it is cut short."""
        try:
            content = json.loads(self._file(name).read_text())
        except (OSError, ValueError):
            return None
        if not isinstance(content, dict) or content.get("identity") != identity([FORMAT, depends]):
            return None
        return content.get("result")

    def _file(self, name: str) -> Path:
        return self.folder / f"{name.replace(',', '').replace(' ', '-')}.json"
