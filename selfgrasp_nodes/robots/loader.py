"""Reads robot descriptions from YAML."""

from __future__ import annotations

import hashlib
from pathlib import Path

import yaml
from pydantic import ValidationError

from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots.description import RobotSpec
from selfgrasp_nodes.robots.yaml_file import read_text


def robot_names() -> list[str]:
    """Names of the robots that ship in ``config/robots``."""
    return sorted(p.stem for p in (share_dir() / "config" / "robots").glob("*.yaml"))


def driver_names() -> list[str]:
    """Names of the robots behind a certain driver that ship in ``config/drivers``."""
    return sorted(p.stem for p in (share_dir() / "config" / "drivers").glob("*.yaml"))


def robot_file(name_or_file: str | Path) -> Path:
    """The YAML file of a shipped robot's name, or the file itself.

    Raises:
        UnknownName: If it is neither.
    """
    path = Path(name_or_file)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return path
    for folder in ("robots", "drivers"):
        shipped = share_dir() / "config" / folder / f"{name_or_file}.yaml"
        if shipped.is_file():
            return shipped
    raise UnknownName("robot", str(name_or_file), [*robot_names(), *driver_names()])


def load_robot(name_or_file: str | Path) -> RobotSpec:
    """Read and validate one robot's description.

    A file with the key ``base`` names another robot and says what differs: mappings are
    merged, lists of named things (arms, cameras) by name; all else replaces. ``base`` and
    a relative ``urdf`` are looked for beside the file first, then among what ships.

    Raises:
        UnknownName: If there is no such robot or file.
        InvalidConfig: If the file is not YAML, has an unknown key, lacks one,
            or holds a value out of range.
    """
    path = robot_file(name_or_file)
    return parse_robot(read_text(path), path)


def parse_robot(text: str, path: Path) -> RobotSpec:
    """A description from a text that is, or is to be, that of a file; see :func:`load_robot`.

    Args:
        text: YAML.
        path: Of the file, for messages and for what is looked for beside it.

    Raises:
        UnknownName: If its base is not there.
        InvalidConfig: If the text is no valid description.
    """
    try:
        return RobotSpec.model_validate(_content(text, path))
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        ]
        raise InvalidConfig(f"{path} is not a valid robot:\n" + "\n".join(lines)) from error


def _content(text: str, path: Path, above: tuple[Path, ...] = ()) -> object:
    """A file over its base."""
    if path in above:
        raise InvalidConfig(f"{path} is its own base")
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that does not exist
        raise InvalidConfig(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        return content
    urdf = path.parent / str(content.get("urdf", ""))
    if urdf.is_file():
        content["urdf"] = str(urdf.resolve())
    if "base" not in content:
        return content
    below = _base_file(path, str(content.pop("base")))
    return _merged(_content(read_text(below), below, (*above, path)), content, path, "")


def _base_file(path: Path, base: str) -> Path:
    """Where the base of a file is: beside it, or among the robots that ship."""
    for name in (base, f"{base}.yaml", f"{base}.yml"):
        beside = path.parent / name
        if beside.suffix in (".yaml", ".yml") and beside.is_file() and beside.name != path.name:
            return beside
    return robot_file(base)


def _merged(base: object, over: object, path: Path, where: str) -> object:
    if isinstance(base, dict) and isinstance(over, dict):
        return {
            **base,
            **{
                key: _merged(base[key], value, path, f"{where}{key}.") if key in base else value
                for key, value in over.items()
            },
        }
    if not (_named(base) and _named(over)):
        return over
    assert isinstance(base, list) and isinstance(over, list)
    known = {item["name"]: item for item in base}
    for item in over:
        if item["name"] not in known:
            raise UnknownName(f"{where.rstrip('.')} in {path}", item["name"], known)
        known[item["name"]] = _merged(known[item["name"]], item, path, where)
    return list(known.values())


def _named(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(i, dict) and "name" in i for i in value)


def config_digest(*specs: object) -> str:
    """Short SHA-256 over the descriptions that a record depends on."""
    text = "\n".join(
        s.model_dump_json() if hasattr(s, "model_dump_json") else repr(s) for s in specs
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]
