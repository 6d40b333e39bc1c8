"""Jobs of worker processes in the tests of collection."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from selfgrasp_nodes.learning.collect_episode import EpisodeResult
from selfgrasp_nodes.learning.collect_worker import run_episode

MARK = "SELFGRASP_TEST_MARK"


def dies_once(episode: int) -> EpisodeResult:
    """Episode 1 kills its worker the first time."""
    mark = Path(os.environ[MARK])
    if episode == 1 and not mark.exists():
        mark.write_text("died")
        os.kill(os.getpid(), signal.SIGKILL)
    return run_episode(episode)
