"""What a worker process of a collection runs: episodes, in a world that is built once."""

from __future__ import annotations

import logging
from contextlib import suppress

from selfgrasp_nodes.errors import SelfGraspError
from selfgrasp_nodes.learning.collect_config import CollectConfig
from selfgrasp_nodes.learning.collect_episode import EpisodeResult, EpisodeRunner

log = logging.getLogger(__name__)

ATTEMPTS = 2
"""How often an episode is begun in one worker that an error ends that nobody foresaw."""

_runner: EpisodeRunner | None = None
_sound = True
"""Whether no fault ended what the runner did last."""


def initialise(config: CollectConfig) -> None:
    """Build this worker's world once."""
    global _runner, _sound
    import cv2

    cv2.setNumThreads(1)
    _runner, _sound = EpisodeRunner(config), True


def run_episode(episode: int) -> EpisodeResult:
    """One episode in this worker.

    A fault that nobody foresaw costs its episode, not the run: it is begun again in
    a new world, :data:`ATTEMPTS` times at most, and then left out of this call.

    Raises:
        SelfGraspError: If something is set up wrong.
    """
    global _runner, _sound
    assert _runner is not None
    reason = ""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            if not _sound:  # who knows what state the old world is in
                with suppress(Exception):
                    _runner.loop.world.close()
                _runner, _sound = EpisodeRunner(_runner.config), True
            return _runner.run(episode)
        except SelfGraspError:
            raise
        except Exception as error:
            _sound, reason = False, f"fault: {error!r}"
            log.exception("episode %d was ended by a fault, attempt %d", episode, attempt)
    return EpisodeResult.failed(episode, reason)
