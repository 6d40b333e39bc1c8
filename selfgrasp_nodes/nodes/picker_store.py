"""Where the picker's trials go: a topic, and the recorder where they are recorded."""

from __future__ import annotations

from typing import Any

from selfgrasp.msg import Trial as TrialMsg
from selfgrasp.srv import StartRun, StoreTrial

from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.nodes import qos, trial_messages
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.status import check
from selfgrasp_nodes.nodes.waiting import call
from selfgrasp_nodes.types import Trial


class RosStore:
    """The trials topic, and the recorder's service where trials are recorded."""

    def __init__(self, node: BaseNode):
        self._node = node
        self._topic = node.create_publisher(TrialMsg, "trial", qos.EVENT)
        self._store: Any = node.create_client(StoreTrial, "store_trial", callback_group=node.group)
        self._start: Any = node.create_client(StartRun, "start_run", callback_group=node.group)
        self.record = False
        self.bag_uri = ""

    def begin(
        self, robot: str, digest: str, seed: int, resume: bool, uri: str = ""
    ) -> StartRun.Response:
        """Have the recorder begin a run, or go on with it.

        Args:
            robot: Name of its description.
            digest: Of the whole configuration.
            seed: Of the run.
            resume: Whether a run that is in the folder goes on.
            uri: Folder; the recorder's own where empty.

        Raises:
            SelfGraspError: What the recorder raises.
        """
        request = StartRun.Request(
            uri=uri, robot=robot, config_digest=digest, seed=seed, resume=resume
        )
        return check(call(self._start, request, self._node.values["service_timeout"]))

    def store(self, trial: Trial) -> None:
        """See ``ports.Store``."""
        arm = self._node.robot.arm(trial.candidate.arm)
        message = trial_messages.trial_message(
            trial, self._node.frame, self._node.now(), arm.joints
        )
        if self.record:
            timeout = self._node.values["store_timeout"]
            answer = call(self._store, StoreTrial.Request(trial=message), timeout)
            if not answer.success:
                raise StorageError(f"trial {trial.trial_id} is not stored: {answer.message}")
            self.bag_uri = message.bag_uri = answer.bag_uri
        self._topic.publish(message)
