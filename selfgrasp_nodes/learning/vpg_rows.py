"""What the protocols of Zeng (2018) compare: policies with parameters and checkpoints, named."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.policies.registry import ORACLE, policy_names, takes

CHECKPOINT, PRIMITIVES = "checkpoint", "primitives"

HOW = "write 'NAME: POLICY key=value ...', e.g. 'VPG: pixelq checkpoint=a.yaml,b.yaml'"


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        name: What stands in the table.
        policy: Registered name, or ``oracle``.
        parameters: Of the policy; they win over its file's.
        checkpoints: One for each training seed; the policy's own where empty.
        primitives: ``grasp``, ``push``; all that the policy knows where empty.
    """

    name: str
    policy: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    checkpoints: tuple[str, ...] = ()
    primitives: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            UnknownName: If there is no such policy.
            InvalidConfig: If the policy takes no checkpoint and one is named.
        """
        if self.policy != ORACLE and self.policy not in policy_names():
            raise UnknownName("policy", self.policy, [*policy_names(), ORACLE])
        if self.checkpoints and not takes(self.policy, CHECKPOINT):
            raise InvalidConfig(f"row {self.name!r}: policy {self.policy!r} takes no checkpoint")

    def members(self) -> list[dict[str, Any]]:
        """Parameters of each training seed's policy."""
        if not self.checkpoints:
            return [dict(self.parameters)]
        return [
            {**self.parameters, CHECKPOINT: str(Path(path).expanduser().resolve())}
            for path in self.checkpoints
        ]


def parse_row(text: str) -> Row:
    """Read a row as a command line gives it.

    Args:
        text: ``NAME: POLICY key=value ...``; without a name, all of it is the name. Values
            are YAML. ``checkpoint`` may list several files, one for each training seed;
            ``primitives`` lists what is allowed: ``grasp``, ``push``.

    Raises:
        InvalidConfig: If it is no such text.
        UnknownName: If there is no such policy.
    """
    name, colon, rest = text.partition(": ")
    if not colon:
        name, rest = text, text
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise InvalidConfig(f"row {text!r} cannot be read: {error}; {HOW}") from error
    if not words or not name.strip():
        raise InvalidConfig(f"row {text!r} names no policy; {HOW}")
    parameters: dict[str, Any] = {}
    lists: dict[str, tuple[str, ...]] = {CHECKPOINT: (), PRIMITIVES: ()}
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise InvalidConfig(f"row {text!r}: {word!r} is no key=value; {HOW}")
        if key in lists:
            lists[key] = tuple(part.strip() for part in value.split(",") if part.strip())
            continue
        try:
            parameters[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InvalidConfig(f"row {text!r}: {word!r} cannot be read: {error}") from error
    return Row(name.strip(), words[0], parameters, lists[CHECKPOINT], lists[PRIMITIVES])


def check_rows(rows: Sequence[Row]) -> None:
    """Refuse rows that could not be told apart.

    Raises:
        InvalidConfig: With the name that stands twice, or if there is no row.
    """
    if not rows:
        raise InvalidConfig(f"there is nothing to measure: give --row or --policy; {HOW}")
    seen: dict[str, str] = {}
    for row in rows:
        key = slug(row.name)
        if key in seen:
            raise InvalidConfig(
                f"rows {seen[key]!r} and {row.name!r} would be kept in one file: name them "
                "differently ('NAME: POLICY ...')"
            )
        seen[key] = row.name


def slug(name: str) -> str:
    """A name as part of a file's name."""
    words = "".join(c.lower() if c.isalnum() else " " for c in name).split()
    return "-".join(words) or "row"
