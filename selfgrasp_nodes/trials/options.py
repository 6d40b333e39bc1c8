"""How a run is recorded; the values of ``config/recorder.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from selfgrasp_nodes.robots.sections import load_sections


class RecorderOptions(BaseModel):
    """Limits and compression of a trial bag.

    Attributes:
        compression: ``chunk`` (zstd over about 1 MB of messages, inside MCAP;
            every MCAP reader understands it), ``message`` (zstd over each
            message, rosbag2's own way) or ``none``.
        pre_roll: Messages between two trials are kept for the next one for
            this long [s].
        pre_roll_bytes: And up to this size; the oldest go first.
        memory_bytes: A trial's messages are kept in memory up to this size,
            so that a full disk loses nothing; beyond it they go to the disk
            before the trial is finished.
        trials_per_bag: A rosbag2 folder holds this many trials, then the run
            continues in another folder: readers open all files of a folder at
            once, and a process may commonly open 1,024.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    compression: Literal["none", "chunk", "message"] = "chunk"
    pre_roll: Annotated[float, Field(ge=0)] = 30.0
    pre_roll_bytes: Annotated[int, Field(ge=0)] = 128 * 2**20
    memory_bytes: Annotated[int, Field(gt=0)] = 256 * 2**20
    trials_per_bag: Annotated[int, Field(gt=0, le=1000)] = 500


class _File(BaseModel):
    """The file's sections."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bag: RecorderOptions


def load_options(file: str | Path = "") -> RecorderOptions:
    """Read the ``bag`` section of a recorder configuration (the shipped one where empty).

    Raises:
        InvalidConfig: With the file and the entry that is wrong.
    """
    return load_sections(_File, "recorder.yaml", file or None).bag
