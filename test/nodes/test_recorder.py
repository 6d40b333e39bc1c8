"""The recorder node on its own, with real topics, services and bags."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("selfgrasp.msg", reason="the interfaces are not built")

from selfgrasp.msg import Observation as ObservationMsg
from selfgrasp.srv import StartRun, StoreTrial

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.nodes import conversions, qos, trial_messages
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.recorder_node import RecorderNode
from selfgrasp_nodes.nodes.status import check
from selfgrasp_nodes.nodes.waiting import call
from selfgrasp_nodes.trials.reader import RunReader
from selfgrasp_nodes.trials.session import load_session
from selfgrasp_nodes.types import (
    Candidate,
    Execution,
    Outcome,
    OutcomeCode,
    Primitive,
    Trial,
)


class Cell:
    """A recorder, and a node that publishes observations and asks for trials to be stored."""

    def __init__(self, spinner, namespace="recording", **parameters):
        self.caller = spinner.add(BaseNode(namespace=namespace))
        self._observations = self.caller.create_publisher(ObservationMsg, "observation", qos.EVENT)
        self.recorder = spinner.add(RecorderNode(parameters=parameters, namespace=namespace))
        self.clients = {
            kind: self.caller.create_client(kind, name)
            for kind, name in ((StartRun, "start_run"), (StoreTrial, "store_trial"))
        }
        limit = time.monotonic() + 10
        while not self._observations.get_subscription_count() and time.monotonic() < limit:
            time.sleep(0.05)

    def call(self, request):
        kind = StartRun if isinstance(request, StartRun.Request) else StoreTrial
        return call(self.clients[kind], request, 20.0)

    def observe(self, identity: str) -> None:
        message = ObservationMsg(header=conversions.header("world", 5), observation_id=identity)
        self._observations.publish(message)

    def store(self, trial_id: str, before: str, after: str):
        candidate = Candidate(Primitive.GRASP, geometry.grasp_pose(-0.5, 0, 0.02, 0), 0.0)
        trial = Trial(
            trial_id, "run", "0", 0, 1, "ur5_rg2", "d", "", candidate,
            Outcome(OutcomeCode.MISSED), Execution(candidate, (), None), before, after,
        )  # fmt: skip
        return self.call(StoreTrial.Request(trial=trial_messages.trial_message(trial, "world", 9)))


def observed(run, number: int) -> set[str]:
    """Identities of the observations in a trial's file."""
    trial = list(RunReader(run).trials())[number]
    messages = trial.messages(msgtype="selfgrasp/msg/Observation")
    return {message.decode().observation_id for message in messages}


def test_a_picture_that_comes_after_the_trial_is_waited_for(spinner, tmp_path) -> None:
    cell = Cell(spinner, observation_timeout=5.0)
    check(cell.call(StartRun.Request(uri=str(tmp_path / "run"))))
    cell.observe("first")
    later = threading.Timer(0.5, cell.observe, ["second"])
    later.start()
    check(cell.store("t0", "first", "second"))
    assert observed(tmp_path / "run", 0) == {"first", "second"}


def test_a_picture_that_never_comes_is_said_to_be_missing(spinner, tmp_path) -> None:
    cell = Cell(spinner, observation_timeout=0.3)
    check(cell.call(StartRun.Request(uri=str(tmp_path / "run"))))
    cell.observe("first")
    begun = time.monotonic()
    check(cell.store("t0", "first", "lost"))
    assert 0.3 <= time.monotonic() - begun < 3.0
    assert RunReader(tmp_path / "run").records[0].notes == {"observations_missing": ["lost"]}


def test_the_session_says_seed_and_configuration(spinner, tmp_path) -> None:
    run = tmp_path / "run"
    cell = Cell(spinner, uri=str(run), record_at_start=True)
    assert (load_session(run)["seed"], load_session(run)["config_digest"]) == (0, "")
    # Nothing is recorded yet: whoever begins says what it will be recorded with.
    check(cell.call(StartRun.Request(resume=True, seed=17, config_digest="whole")))
    session = load_session(run)
    assert (session["seed"], session["config_digest"]) == (17, "whole")
    cell.observe("first")
    check(cell.store("t0", "first", ""))
    # What is recorded keeps what it was recorded with.
    check(cell.call(StartRun.Request(resume=True, seed=18, config_digest="other")))
    assert load_session(run)["seed"] == 17
    cell.recorder.close()
    other = Cell(spinner, "resuming")
    with pytest.raises(InvalidConfig, match="config_digest 'whole', not 'other'"):
        check(other.call(StartRun.Request(uri=str(run), resume=True, config_digest="other")))


def test_digests_differ_with_the_options(spinner, tmp_path) -> None:
    options = tmp_path / "recorder.yaml"
    options.write_text("bag: {compression: none}\n")
    digests = []
    for number, file in enumerate(("", str(options))):
        node = spinner.add(
            RecorderNode(parameters={"bag_file": file}, namespace=f"digest{number}")
        )
        digests.append(node.get_parameter("config_digest").value)
    assert len(set(digests)) == 2 and all(len(d) == 16 for d in digests)
