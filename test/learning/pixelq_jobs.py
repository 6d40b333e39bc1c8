"""What worker processes and a killed training run: importable by name, as they must be."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from selfgrasp_nodes.learning import pixelq_worker
from selfgrasp_nodes.learning.pixelq_worker import Chunk

BOMB = "PIXELQ_TEST_BOMB"


def initialise(config: str) -> None:
    pixelq_worker.initialise(config)


def run_chunk(chunk: Chunk) -> object:
    """Tries; a file named in the environment kills the first process that finds it."""
    bomb = os.environ.get(BOMB, "")
    if bomb == "always":
        os.kill(os.getpid(), signal.SIGKILL)
    if bomb and Path(bomb).exists():
        Path(bomb).unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return pixelq_worker.run_chunk(chunk)


def train_until_killed(folder: str) -> None:
    """The training of the tests; killed with -9 after its second chunk of tries."""
    from pixelq_tries import CONFIG

    from selfgrasp_nodes.learning.pixelq_job import Standing, run_pixelq

    chunks = 0

    def progress(standing: Standing) -> None:
        nonlocal chunks
        chunks += 1
        if chunks == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    run_pixelq(CONFIG, Path(folder), progress)


if __name__ == "__main__":
    train_until_killed(sys.argv[1])
