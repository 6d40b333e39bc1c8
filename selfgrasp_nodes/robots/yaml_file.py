"""Reading of YAML files."""

from __future__ import annotations

from pathlib import Path

import yaml

from selfgrasp_nodes.errors import InvalidConfig


def load_yaml(path: Path) -> object:
    """What a YAML file holds; None where it is empty.

    Raises:
        InvalidConfig: If it is missing, not UTF-8, or no YAML.
    """
    try:
        return yaml.safe_load(read_text(path))
    # PyYAML lets dates that do not exist through as ValueError.
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidConfig(f"{path} cannot be read as YAML: {error}") from error


def read_text(path: Path) -> str:
    """A file's text.

    Raises:
        InvalidConfig: If it is missing, or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidConfig(f"{path} is not text in UTF-8 ({error}); save it as UTF-8") from error
    except OSError as error:
        raise InvalidConfig(f"{path} cannot be read as YAML: {error}") from error
