"""The digest of the whole configuration, gathered from the nodes that hold its parts.

Each node that reads options says their digest in its read-only parameter
``config_digest``. Who records asks for all of them, wherever the nodes run.
"""

from __future__ import annotations

from typing import Any

from rcl_interfaces.srv import GetParameters

from selfgrasp_nodes.errors import Unavailable
from selfgrasp_nodes.nodes.base import DIGEST, BaseNode
from selfgrasp_nodes.nodes.waiting import call
from selfgrasp_nodes.robots import config_digest

NODES = ("motion", "policy", "label", "recorder")
"""Whose options a trial depends on, beside the robot's description."""


class Configuration:
    """Knows the digest of what the graph runs with."""

    def __init__(self, node: BaseNode):
        self._node = node
        self._missing: set[str] = set()
        self._clients: dict[str, Any] = {
            name: node.create_client(
                GetParameters, f"{name}/get_parameters", callback_group=node.group
            )
            for name in NODES
        }

    def parts(self, recorded: bool) -> dict[str, str]:
        """Each node's digest; empty for one that does not run.

        Args:
            recorded: Whether the recorder's options count, too.
        """
        return {name: self._ask(name) for name in NODES if recorded or name != "recorder"}

    def digest(self, recorded: bool, policy: str = "") -> str:
        """Of robot, motion, policy, labels and, where it is recorded, the recorder.

        Args:
            recorded: Whether the run is recorded.
            policy: Name that a goal gives; empty for the policy node's own.
        """
        parts = sorted(self.parts(recorded).items())
        return config_digest(self._node.robot, policy, parts)

    def _ask(self, name: str) -> str:
        if name in self._missing:
            return ""
        request = GetParameters.Request(names=[DIGEST])
        try:
            answer = call(self._clients[name], request, self._node.values["service_timeout"])
        except Unavailable as error:
            self._missing.add(name)
            self._node.get_logger().warning(f"configuration of {name!r} not known: {error}")
            return ""
        return answer.values[0].string_value if answer.values else ""
