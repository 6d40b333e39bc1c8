"""Reads robot descriptions from YAML."""

from __future__ import annotations

import hashlib
from pathlib import Path

import yaml
from pydantic import ValidationError

from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots.description import RobotSpec


def robot_names() -> list[str]:
    """Names of the robots that ship in ``config/robots``."""
    return sorted(p.stem for p in (share_dir() / "config" / "robots").glob("*.yaml"))


def robot_file(name_or_file: str | Path) -> Path:
    """The YAML file of a shipped robot's name, or the file itself.

    Raises:
        UnknownName: If it is neither.
    """
    path = Path(name_or_file)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return path
    shipped = share_dir() / "config" / "robots" / f"{name_or_file}.yaml"
    if not shipped.is_file():
        raise UnknownName("robot", str(name_or_file), robot_names())
    return shipped


def load_robot(name_or_file: str | Path) -> RobotSpec:
    """Read and validate one robot's description.

    Raises:
        UnknownName: If there is no such robot or file.
        InvalidConfig: If the file is not YAML, has an unknown key, lacks one,
            or holds a value out of range.
    """
    path = robot_file(name_or_file)
    try:
        return RobotSpec.model_validate(yaml.safe_load(path.read_text()))
    except yaml.YAMLError as error:
        raise InvalidConfig(f"{path} is not valid YAML: {error}") from error
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        ]
        raise InvalidConfig(f"{path} is not a valid robot:\n" + "\n".join(lines)) from error


def config_digest(*specs: object) -> str:
    """Short SHA-256 over the descriptions that a record depends on."""
    text = "\n".join(
        s.model_dump_json() if hasattr(s, "model_dump_json") else repr(s) for s in specs
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]
