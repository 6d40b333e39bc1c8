"""Policies: an observation in, ranked candidates out."""

from selfgrasp_nodes.policies.base import ALL_PRIMITIVES, Policy, PolicyBase
from selfgrasp_nodes.policies.registry import (
    DEFAULT_POLICY,
    PICKER_POLICY,
    make_policy,
    policy_names,
    register,
)

__all__ = [
    "ALL_PRIMITIVES",
    "DEFAULT_POLICY",
    "PICKER_POLICY",
    "Policy",
    "PolicyBase",
    "make_policy",
    "policy_names",
    "register",
]
