"""``session.json``: what a run was recorded with."""

from __future__ import annotations

import datetime
import json
import platform
from importlib import metadata as packages
from pathlib import Path
from typing import Any

from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.trials.files import guarded, write_atomic

FILE_NAME = "session.json"
SCHEMA = 1


def _version(package: str) -> str:
    try:
        return packages.version(package)
    except packages.PackageNotFoundError:
        return ""


def now() -> str:
    """Wall time, ISO 8601 in UTC."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


def new_session(
    run_id: str,
    *,
    robot: str = "",
    robot_digest: str = "",
    config_digest: str = "",
    seed: int = 0,
    notes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of a new run's ``session.json``.

    Args:
        run_id: Name of the run.
        robot: Name of the robot's description.
        robot_digest: Of that description (:func:`selfgrasp_nodes.robots.config_digest`).
        config_digest: Of the whole configuration.
        seed: Of the run.
        notes: Free values.
    """
    return {
        "schema": SCHEMA,
        "run_id": run_id,
        "robot": robot,
        "robot_digest": robot_digest,
        "config_digest": config_digest,
        "seed": seed,
        "started": [now()],
        "versions": {
            "python": platform.python_version(),
            "platform": platform.platform(),
            **{name: _version(name) for name in ("selfgrasp", "numpy", "rosbags", "rclpy")},
        },
        "notes": notes or {},
    }


def load_session(run: Path) -> dict[str, Any]:
    """Read a run's ``session.json``.

    Raises:
        StorageError: If the folder is no run, or the file is damaged.
    """
    path = run / FILE_NAME
    if not path.is_file():
        raise StorageError(f"{run} is not a run of trials: it has no {FILE_NAME}")
    try:
        with guarded("cannot read", path):
            return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StorageError(f"{path} is not valid JSON: {error}") from error


def save_session(run: Path, session: dict[str, Any]) -> None:
    """Replace a run's ``session.json``, synced.

    Raises:
        StorageError: If it could not be written.
    """
    path = run / FILE_NAME
    with guarded("cannot write", path):
        write_atomic(path, json.dumps(session, indent=2) + "\n")
