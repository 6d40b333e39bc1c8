"""Policies by name, with validated parameters from ``config/policies.yaml``."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.policies.antipodal import Antipodal
from selfgrasp_nodes.policies.base import Policy, PolicyBase
from selfgrasp_nodes.policies.combined import AntipodalPush
from selfgrasp_nodes.policies.eigenvector import Eigenvector
from selfgrasp_nodes.policies.patch.policy import PatchPolicy
from selfgrasp_nodes.policies.pixelq.policy import PixelqPolicy
from selfgrasp_nodes.policies.push_heuristic import PushHeuristic
from selfgrasp_nodes.policies.random_roi import RandomRoi
from selfgrasp_nodes.policies.random_uniform import RandomUniform
from selfgrasp_nodes.robots import RobotSpec

ORACLE = "oracle"
"""Reserved name of what reads simulator truth, the ceiling of any policy; no policy here."""

DEFAULT_POLICY = Antipodal.name
PICKER_POLICY = AntipodalPush.name

_POLICIES: dict[str, type[PolicyBase]] = {
    policy.name: policy
    for policy in (
        RandomUniform,
        RandomRoi,
        Eigenvector,
        Antipodal,
        PushHeuristic,
        AntipodalPush,
        PatchPolicy,
        PixelqPolicy,
    )
}


def policy_names() -> list[str]:
    """Names that :func:`make_policy` knows."""
    return sorted(_POLICIES)


def check_name(name: str) -> None:
    """Refuse a name that :func:`make_policy` would not know.

    Raises:
        UnknownName: With the valid names.
    """
    if name not in _POLICIES:
        raise UnknownName("policy", name, policy_names())


def takes(name: str, parameter: str) -> bool:
    """Whether a policy has a parameter of that name."""
    return name in _POLICIES and parameter in _POLICIES[name].Params.model_fields


def register(policy: type[PolicyBase]) -> type[PolicyBase]:
    """Add a policy's class under its ``name``; usable as a decorator."""
    _POLICIES[policy.name] = policy
    return policy


def make_policy(
    name: str,
    robot: RobotSpec,
    /,
    *,
    arm: str = "",
    config: str | Path | None = None,
    **params: Any,
) -> Policy:
    """Build a policy.

    Args:
        name: One of :func:`policy_names`.
        robot: The cell that it acts in.
        arm: The arm that acts; empty leaves the choice to motion.
        config: YAML file with one mapping of parameters a policy name and,
            under ``robots``, the same again for single robots; None reads
            ``config/policies.yaml``.
        **params: Override the file's values.

    Raises:
        UnknownName: If there is no such policy or arm.
        InvalidConfig: If a parameter is unknown or out of range.
    """
    check_name(name)
    policy = _POLICIES[name]
    path = Path(config) if config else _shipped()
    content = file_content(path)
    merged = content.get(name) or {}
    merged = _merge(merged, (content.get("robots", {}).get(robot.name) or {}).get(name) or {})
    try:
        checked = policy.Params.model_validate(_merge(merged, params))
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        ]
        valid = ", ".join(sorted(policy.Params.model_fields))
        raise InvalidConfig(
            f"parameters of policy {name!r} ({path}) are not valid:\n"
            + "\n".join(lines)
            + f"\nvalid parameters: {valid}"
        ) from error
    return policy(robot, checked, arm)  # type: ignore[return-value]


def check_ready(policy: Policy) -> None:
    """Refuse at once a policy that lacks what it needs, such as a checkpoint.

    Raises:
        SelfGraspError: With what is missing and how to get it.
    """
    if isinstance(policy, PolicyBase):
        policy.check()


def file_content(config: str | Path | None = None) -> dict[str, Any]:
    """All that a parameter file says, for the record of what a run was made with.

    Raises:
        InvalidConfig: As :func:`make_policy`.
    """
    return _load(Path(config) if config else _shipped())


def _shipped() -> Path:
    return share_dir() / "config" / "policies.yaml"


def _merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """``base`` with ``top`` over it, mapping by mapping."""
    merged = dict(base)
    for key, value in top.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            value = _merge(old, value)
        merged[key] = value
    return merged


@cache
def _load(path: Path) -> dict[str, Any]:
    """The file's mapping.

    Raises:
        InvalidConfig: If it is missing, no mapping, or names an unknown policy.
    """
    try:
        content = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise InvalidConfig(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise InvalidConfig(f"{path} must map policy names to parameters")
    for section in (content, *(content.get("robots") or {}).values()):
        unknown = set(section) - set(_POLICIES) - {"robots"}
        if unknown:
            raise InvalidConfig(
                f"{path} names unknown policies {sorted(unknown)}; valid: "
                + ", ".join(policy_names())
            )
    return content
