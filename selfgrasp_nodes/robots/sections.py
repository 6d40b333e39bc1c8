"""Reads options that a YAML file holds in sections, one pydantic model each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots.yaml_file import load_yaml

Options = TypeVar("Options", bound=BaseModel)


def load_sections(
    model: type[Options],
    shipped: str,
    file: str | Path | None = None,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    robot: str | None = None,
) -> Options:
    """Read and validate a file of options.

    Args:
        model: What it holds; a field a section.
        shipped: Name of the file in ``config`` that is read where none is given.
        file: YAML.
        changes: By section, entries that win over the file's.
        robot: Name of a robot, whose sections below the key ``robots`` win over the
            others; where None, the file has no such key.

    Raises:
        InvalidConfig: If the file cannot be read, has an unknown key, or holds
            a value out of range; with the file and the entry.
    """
    path = Path(file) if file else share_dir() / "config" / shipped
    valid = ", ".join(model.model_fields)
    data = load_yaml(path) or {}
    if not isinstance(data, dict):
        raise InvalidConfig(f"{path} must hold sections; valid: {valid}")
    own: dict[str, Any] = {}
    if robot is not None:
        robots = data.pop("robots", None) or {}
        if not isinstance(robots, dict) or not all(isinstance(r, dict) for r in robots.values()):
            raise InvalidConfig(f"{path}: 'robots' must hold sections by name of the robot")
        own = robots.get(robot, {})
    for sections in (own, changes or {}):
        for section, values in sections.items():
            data[section] = {**(data.get(section) or {}), **values}
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        text = "\n".join(lines)
        raise InvalidConfig(f"{path} is not valid; sections: {valid}\n{text}") from error
