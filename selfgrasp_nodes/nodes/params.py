"""Parameters of a node, from one table: declared, checked, explained.

Each node class carries ``PARAMETERS``, a tuple of :class:`Param`. From that one
table come the declaration with description and range, the refusal of bad
values with a reason, the refusal of unknown names in a YAML file, and the
manual (``selfgrasp up --show-parameters``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from selfgrasp_nodes.errors import InvalidConfig

Value = bool | int | float | str | list[str] | list[float] | list[int]

# Set by rclpy itself or by a launch system on any node; never ours to refuse.
_FOREIGN = ("use_sim_time", "start_type_description_service")
_FOREIGN_PREFIXES = ("qos_overrides.",)


@dataclass(frozen=True)
class Param:
    """One parameter.

    Attributes:
        name: As in the YAML file.
        default: Its value where nothing else is given; its type is the type.
        description: What it does, with the unit.
        low: Smallest value of a number.
        high: Largest value of a number.
        choices: The only texts that are allowed; empty for any.
        live: Whether it may be changed while the node runs.
    """

    name: str
    default: Value
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    def descriptor(self) -> ParameterDescriptor:
        """As ROS describes it (``ros2 param describe``)."""
        described = ParameterDescriptor(description=self.description, read_only=not self.live)
        if self.choices:
            described.additional_constraints = "one of: " + ", ".join(self.choices)
        if self.low is None and self.high is None:
            return described
        if isinstance(self.default, int):
            low = -(2**62) if self.low is None else int(self.low)
            high = 2**62 if self.high is None else int(self.high)
            described.integer_range = [IntegerRange(from_value=low, to_value=high)]
        else:
            low_f = -1e300 if self.low is None else float(self.low)
            high_f = 1e300 if self.high is None else float(self.high)
            described.floating_point_range = [
                FloatingPointRange(from_value=low_f, to_value=high_f)
            ]
        return described

    def complaint(self, value: object) -> str:
        """Why a value is refused; empty when it is right."""
        if isinstance(self.default, bool):
            return "" if isinstance(value, bool) else self._wrong(value, "true or false")
        if isinstance(self.default, int | float):
            integer = isinstance(self.default, int)
            if isinstance(value, bool) or not isinstance(value, int if integer else int | float):
                return self._wrong(value, "an integer" if integer else "a number")
            if not math.isfinite(float(value)):
                return self._wrong(value, "a finite number")
            below = self.low is not None and value < self.low
            above = self.high is not None and value > self.high
            return self._wrong(value, self.range_text()) if below or above else ""
        if isinstance(self.default, str):
            if not isinstance(value, str):
                return self._wrong(value, "a text")
            if self.choices and value not in self.choices:
                return self._wrong(value, "one of: " + ", ".join(self.choices))
            return ""
        return "" if isinstance(value, Sequence) else self._wrong(value, "a list")

    def range_text(self) -> str:
        """The range, for a person."""
        if self.choices:
            return "one of: " + ", ".join(self.choices)
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"at least {self.low:g}"
        return f"at most {self.high:g}" if self.high is not None else ""

    def _wrong(self, value: object, wanted: str) -> str:
        return f"parameter {self.name!r} must be {wanted}, not {value!r} ({self.description})"


def refuse_unknown(node_name: str, given: Iterable[str], table: Sequence[Param]) -> None:
    """Refuse parameter names that the node does not have.

    Raises:
        InvalidConfig: Listing the valid names. ROS itself would ignore them in
            silence, and a misspelt parameter would never be noticed.
    """
    valid = {param.name for param in table}
    unknown = sorted(
        name
        for name in given
        if name not in valid and name not in _FOREIGN and not name.startswith(_FOREIGN_PREFIXES)
    )
    if unknown:
        raise InvalidConfig(
            f"node {node_name!r} has no parameter {', '.join(map(repr, unknown))}; "
            f"valid: {', '.join(sorted(valid))}. Correct the name in the parameter file or "
            "on the command line"
        )


def declare(node: Node, table: Sequence[Param]) -> dict[str, Any]:
    """Declare a table on a node; values given from outside win over defaults.

    Returns:
        The values by name.

    Raises:
        InvalidConfig: If a name is unknown or a value is refused.
    """
    given: dict[str, Parameter] = node._parameter_overrides
    refuse_unknown(node.get_name(), given, table)
    complaints = []
    for param in table:
        if param.name not in given:
            continue
        value = given[param.name].value
        problem = param.complaint(value)
        if problem:
            complaints.append(problem)
        elif isinstance(param.default, float) and isinstance(value, int):
            # YAML's ``1`` for ``1.0``: ROS would refuse the type.
            given[param.name] = Parameter(param.name, value=float(value))
    if complaints:
        raise InvalidConfig(f"node {node.get_name()!r}: " + "; ".join(complaints))
    values: dict[str, Any] = {}
    for param in table:
        declared: Any = node.declare_parameter(param.name, param.default, param.descriptor()).value
        values[param.name] = list(declared) if isinstance(param.default, list) else declared
    return values


def check_change(table: Sequence[Param], changes: Sequence[Parameter]) -> SetParametersResult:
    """Whether a change while running is allowed, with the reason where it is not."""
    by_name = {param.name: param for param in table}
    for change in changes:
        param = by_name.get(change.name)
        if param is None:
            continue
        problem = param.complaint(change.value)
        if problem:
            return SetParametersResult(successful=False, reason=problem)
        if not param.live:
            reason = f"parameter {param.name!r} is fixed at start; restart the node to change it"
            return SetParametersResult(successful=False, reason=reason)
    return SetParametersResult(successful=True)
