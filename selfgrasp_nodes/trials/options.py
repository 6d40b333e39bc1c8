"""How a run is recorded; the values of ``config/recorder.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.paths import share_dir


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


def load_options(file: str | Path = "") -> RecorderOptions:
    """Read the ``bag`` section of a recorder configuration (the shipped one where empty).

    Raises:
        InvalidConfig: With the file and the entry that is wrong.
    """
    path = Path(file) if file else share_dir() / "config" / "recorder.yaml"
    try:
        return RecorderOptions.model_validate(yaml.safe_load(path.read_text())["bag"])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise InvalidConfig(f"{path} has no readable section 'bag': {error!r}") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise InvalidConfig(f"{path} is not valid:\n" + "\n".join(lines)) from error
