"""Goals that get lost, over real actions: they are sent anew, and nothing is done twice."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from rclpy.action import ActionClient, ActionServer, CancelResponse
from rclpy.node import Node
from selfgrasp.action import MoveArm

from selfgrasp_nodes.errors import Unavailable
from selfgrasp_nodes.nodes.action_caller import ActionCaller, send_goal
from selfgrasp_nodes.nodes.waiting import wait


class Server(ActionServer):
    """Loses what it is told to lose; each goal runs until it is cancelled, or for a moment."""

    def __init__(self, node: Node, lost_goals: int = 0, lost_answers: int = 0, mute: int = 0):
        self.lost_goals, self.lost_answers, self.mute = lost_goals, lost_answers, mute
        self.begun: list[str] = []
        self.ended: list[str] = []
        super().__init__(
            node,
            MoveArm,
            "move_arm",
            self._run,
            cancel_callback=lambda goal: CancelResponse.ACCEPT,
        )

    async def _execute_goal_request(self, request: Any) -> None:
        if self.lost_goals:
            self.lost_goals -= 1
            return
        if self.lost_answers:
            self.lost_answers -= 1
            kept = self._handle
            self._handle = _Without(kept, "send_goal_response")
            try:
                await super()._execute_goal_request(request)
            finally:
                self._handle = kept
            return
        await super()._execute_goal_request(request)

    async def _execute_get_result_request(self, request: Any) -> None:
        if self.mute:
            self.mute -= 1
            return
        await super()._execute_get_result_request(request)

    async def _run(self, goal: Any) -> Any:
        self.begun.append(goal.request.arm)
        goal.publish_feedback(MoveArm.Feedback())
        limit = time.monotonic() + 0.3
        while time.monotonic() < limit and not goal.is_cancel_requested:
            await _pause()
        if goal.is_cancel_requested:
            goal.canceled()
            self.ended.append("cancelled")
        else:
            goal.succeed()
            self.ended.append("succeeded")
        return MoveArm.Result(success=True)


class _Without:
    """A handle one of whose calls does nothing."""

    def __init__(self, handle: Any, name: str):
        self._handle, self._name = handle, name

    def __getattr__(self, name: str) -> Any:
        if name == self._name:
            return lambda *arguments: None
        return getattr(self._handle, name)


class _pause:
    """Gives the executor its turn once."""

    def __await__(self) -> Any:
        yield


@pytest.fixture
def nodes(spinner, ros) -> tuple[Node, Node]:
    import rclpy

    return rclpy.create_node("server"), rclpy.create_node("caller")


def together(spinner, nodes, **lost: int) -> tuple[Server, ActionCaller]:
    server = Server(nodes[0], **lost)
    caller = ActionCaller(nodes[1], MoveArm, "move_arm")
    for node in nodes:
        spinner.add(node)
    return server, caller


def test_a_lost_goal_is_sent_anew_and_runs_once(spinner, nodes) -> None:
    server, caller = together(spinner, nodes, lost_goals=1)
    heard: list[Any] = []
    handle = caller.send(MoveArm.Goal(arm="a"), 20.0, heard.append)
    assert handle.accepted
    assert wait(caller.result(handle), 10.0, "the result").result.success
    assert server.begun == ["a"] and server.ended == ["succeeded"]
    assert heard


def test_of_a_goal_whose_acceptance_was_lost_nothing_goes_on(spinner, nodes) -> None:
    server, caller = together(spinner, nodes, lost_answers=1)
    handle = caller.send(MoveArm.Goal(arm="a"), 20.0)
    assert wait(caller.result(handle), 10.0, "the result").result.success
    # The first one ended in its 0.3 s, or was cancelled, before the second began.
    assert server.begun == ["a", "a"] and len(server.ended) == 2


def test_a_server_that_hears_nothing_is_named(spinner, nodes) -> None:
    _, caller = together(spinner, nodes, lost_goals=99)
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="'move_arm' did not answer within 4 s"):
        caller.send(MoveArm.Goal(arm="a"), 4.0)
    assert time.monotonic() - begun >= 4.0


def test_a_lost_result_is_asked_for_again(spinner, nodes) -> None:
    server, caller = together(spinner, nodes, mute=1)
    handle = caller.send(MoveArm.Goal(arm="a"), 20.0)
    assert wait(caller.result(handle), 10.0, "the result").result.success
    assert server.ended == ["succeeded"] and not server.mute


def test_no_server(spinner, nodes) -> None:
    caller = ActionCaller(spinner.add(nodes[1]), MoveArm, "nobody")
    with pytest.raises(Unavailable, match=r"'nobody' is not there after 0\.5 s"):
        caller.send(MoveArm.Goal(), 0.5)


def test_goals_are_sent_by_the_thread_that_takes_the_answers(spinner, nodes) -> None:
    Server(spinner.add(nodes[0]))
    node = nodes[1]
    senders: set[int] = set()

    class Noting(ActionClient):
        def send_goal_async(self, *arguments: Any, **named: Any) -> Any:
            senders.add(threading.get_ident())
            return super().send_goal_async(*arguments, **named)

    client = Noting(node, MoveArm, "move_arm")
    with pytest.raises(Unavailable, match="before an executor spins it"):
        send_goal(node, client, MoveArm.Goal())
    spinner.add(node)
    assert client.wait_for_server(10.0)
    for _ in range(20):
        assert wait(send_goal(node, client, MoveArm.Goal()), 5.0, "acceptance").accepted
    taken: list[int] = []
    done = threading.Event()
    spinner.executor.create_task(lambda: (taken.append(threading.get_ident()), done.set()))
    assert done.wait(5.0)
    assert senders == set(taken)
