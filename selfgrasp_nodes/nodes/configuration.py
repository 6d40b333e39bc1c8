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
        self._clients: dict[str, Any] = {
            name: node.create_client(
                GetParameters, f"{name}/get_parameters", callback_group=node.group
            )
            for name in NODES
        }

    def parts(self) -> dict[str, str]:
        """Each node's digest; empty for one that does not run."""
        return {name: self._ask(client) for name, client in self._clients.items()}

    def digest(self, policy: str = "") -> str:
        """Of robot, motion, policy, labels and recording together.

        Args:
            policy: Name that a goal gives; empty for the policy node's own.
        """
        return config_digest(self._node.robot, policy, sorted(self.parts().items()))

    def _ask(self, client: Any) -> str:
        if not client.service_is_ready():
            return ""
        request = GetParameters.Request(names=[DIGEST])
        try:
            answer = call(client, request, self._node.values["service_timeout"])
        except Unavailable as error:
            self._node.get_logger().warning(f"configuration not asked for: {error}")
            return ""
        return answer.values[0].string_value if answer.values else ""
