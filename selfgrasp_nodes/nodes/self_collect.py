"""A collection that starts with the picker, as ``collect.launch.py`` wants it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from rclpy.task import Future
from selfgrasp.action import Collect

from selfgrasp_nodes.nodes.action_caller import ActionCaller
from selfgrasp_nodes.nodes.ending import end_process

if TYPE_CHECKING:
    from selfgrasp_nodes.nodes.picker_node import PickerNode


class SelfCollect:
    """Sends the picker one ``collect`` goal when it is ready, and ends with it.

    At the end of the collection the process is asked to end, so that bring-up
    ends the rest: a night's run needs nobody to stop it.
    """

    def __init__(self, node: PickerNode):
        self._node = node
        self._client = ActionCaller(node, Collect, "collect", node.group)
        threading.Thread(target=self._start, name="collect", daemon=True).start()

    def _start(self) -> None:
        values = self._node.values
        while not self._client.wait_for_server(1.0):
            pass
        goal = Collect.Goal(
            tries=values["collect_tries"],
            seed=values["collect_seed"],
            objects=values["collect_objects"],
            store_uri=values["collect_uri"],
            resume=values["collect_resume"],
        )
        handle = self._client.send(goal, values["action_timeout"], self._feedback)
        self._client.result(handle).add_done_callback(self._finished)

    def _feedback(self, message: Any) -> None:
        done = message.feedback
        left = done.eta.sec
        self._node.get_logger().info(
            f"{done.done} tries, {done.positives} positive; {done.rate:.0f} an hour, "
            f"{left // 3600}:{left // 60 % 60:02d} h left"
        )

    def _finished(self, future: Future) -> None:
        answer: Any = future.result()
        result = answer.result
        log = self._node.get_logger()
        if result.success:
            log.info(f"collection ended: {result.message}")
        else:
            log.error(f"collection ended early: {result.message}")
        end_process(0 if result.success else 1)
