"""Goals and answers that get lost or come late, over real actions: nothing is done twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from conftest import Spinner
from lossy_server import LossyServer
from rclpy.action import ActionClient, ActionServer
from rclpy.node import Node
from selfgrasp.action import MoveArm

from selfgrasp_nodes.errors import Unavailable
from selfgrasp_nodes.nodes.action_caller import ActionCaller, send_goal
from selfgrasp_nodes.nodes.waiting import wait

MARGIN = 0.5  # by which a limit is overrun on a machine that is busy with other tests [s]


@pytest.fixture
def caller(spinner) -> ActionCaller:
    node = rclpy.create_node("caller")
    caller = ActionCaller(node, MoveArm, "move_arm")
    spinner.add(node)
    return caller


@pytest.fixture
def serve(ros) -> Iterator[Callable[..., LossyServer]]:
    """Makes a server with a thread of its own, which may be slow without holding the caller up."""
    spinner = Spinner()

    def make(**faults: Any) -> LossyServer:
        node = rclpy.create_node("server")
        server = LossyServer(node, **faults)
        spinner.add(node)
        return server

    yield make
    spinner.close()


def succeeds(caller: ActionCaller, handle: Any) -> bool:
    assert handle.accepted
    return bool(wait(caller.result(handle), 15.0, "the result").result.success)


def until(condition: Callable[[], bool], limit: float = 15.0) -> bool:
    end = time.monotonic() + limit
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def test_a_lost_goal_is_sent_anew_and_runs_once(caller, serve) -> None:
    server = serve(lost={"goals": 1})
    heard: list[Any] = []
    handle = caller.send(MoveArm.Goal(arm="a"), 20.0, heard.append)
    assert succeeds(caller, handle)
    assert server.begun == ["a"] and server.ended == ["succeeded"]
    assert heard and len(set(server.asked)) == 1 < len(server.asked)


def test_goals_that_get_lost_for_longer_than_a_server_remembers(caller, serve) -> None:
    """It says each time that it has had none of them, so that another one is safe."""
    server = serve(lost={"goals": 4})
    heard: list[Any] = []
    handle = caller.send(MoveArm.Goal(arm="a"), 30.0, heard.append)
    assert succeeds(caller, handle)
    assert server.begun == ["a"] and heard


def test_a_server_that_is_busy_elsewhere_for_long(caller, serve) -> None:
    """When it comes to its senses, all that was sent meanwhile waits for it."""
    server = serve(blocked=5.0)
    begun = time.monotonic()
    handle = caller.send(MoveArm.Goal(arm="a"), 20.0)
    assert time.monotonic() - begun < 5.0 + 2.0
    assert succeeds(caller, handle)
    time.sleep(1.0)
    assert server.begun == ["a"] and server.ended == ["succeeded"]
    assert len(server.asked) > 1


def test_a_server_that_takes_long_to_accept(caller, serve) -> None:
    """Its first acceptance counts, however late; the second request of the goal is refused."""
    server = serve(slow=5.0)
    handle = caller.send(MoveArm.Goal(arm="a"), 20.0)
    assert bytes(handle.goal_id.uuid) == server.asked[0]
    assert succeeds(caller, handle)
    time.sleep(6.0)  # until it has thought over what was sent anew
    assert server.begun == ["a"] and server.ended == ["succeeded"]
    assert len(server.asked) > 1


@pytest.mark.parametrize(
    "lost",
    [
        {"answers": 1, "feedback": 10**6},  # its status tells
        {"answers": 1, "statuses": 1},  # its feedback tells
        {"answers": 1, "statuses": 1, "feedback": 10**6},  # its result tells
    ],
    ids=["status", "feedback", "result"],
)
def test_a_goal_that_runs_although_its_acceptance_was_lost(caller, serve, lost) -> None:
    server = serve(lost=lost, lasts=6.0, cancel_takes=2.0)
    heard: list[Any] = []
    handle = caller.send(MoveArm.Goal(arm="a"), 20.0, heard.append)
    assert succeeds(caller, handle)
    assert server.begun == ["a"] and server.ended == ["succeeded"]
    assert set(server.asked) == {bytes(handle.goal_id.uuid)}


def test_the_lost_result_of_a_goal_whose_acceptance_was_lost(caller, serve) -> None:
    server = serve(lost={"answers": 1, "results": 2}, lasts=4.0)
    assert succeeds(caller, caller.send(MoveArm.Goal(arm="a"), 20.0))
    assert server.ended == ["succeeded"] and not server.lost["results"]


def test_a_goal_that_its_server_may_have_forgotten_is_not_sent_again(caller, serve) -> None:
    """It ran and ended, and nothing was heard of it: 10 s later its id is as good as new."""
    server = serve(silent=True, lasts=0.1)
    with pytest.raises(Unavailable, match="did not answer"):
        caller.send(MoveArm.Goal(arm="a"), 16.0)
    assert server.begun == ["a"] and len(server.asked) > 1


def test_a_refused_goal(caller, serve) -> None:
    server = serve(lost={"goals": 1}, refuses=True)
    begun = time.monotonic()
    assert not caller.send(MoveArm.Goal(arm="a"), 20.0).accepted
    assert time.monotonic() - begun < 10.0
    assert not caller.send(MoveArm.Goal(arm="b"), 20.0).accepted
    assert not server.begun


def test_no_goal_is_sent_before_the_one_that_was_taken_back_is_over(caller, serve) -> None:
    """Though the first cancel is lost, the next answered late, and the stop takes its time."""
    server = serve(
        lost={"answers": 1, "statuses": 1, "cancels": 1},
        lasts=30.0,
        stopping=1.0,
        cancel_takes=1.5,
    )
    with pytest.raises(Unavailable, match="did not answer within 1 s"):
        caller.send(MoveArm.Goal(arm="a"), 1.0)
    with pytest.raises(Unavailable, match=r"has not ended within 0\.5 s what was taken back"):
        caller.send(MoveArm.Goal(arm="b"), 0.5)
    server.lasts = 0.3
    assert succeeds(caller, caller.send(MoveArm.Goal(arm="c"), 20.0))
    assert server.begun == ["a", "c"] and server.ended == ["cancelled", "succeeded"]


def test_what_is_accepted_after_the_limit_is_cancelled(caller, serve) -> None:
    server = serve(blocked=3.0, lasts=30.0)
    with pytest.raises(Unavailable, match="did not answer within 1 s"):
        caller.send(MoveArm.Goal(arm="a"), 1.0)
    assert until(lambda: server.ended == ["cancelled"])
    server.lasts = 0.3
    assert succeeds(caller, caller.send(MoveArm.Goal(arm="b"), 10.0))
    assert server.begun == ["a", "b"]


@pytest.mark.parametrize("timeout", [0.3, 1.0, 4.0])
def test_a_server_that_hears_nothing_is_named_in_time(caller, serve, timeout) -> None:
    serve(lost={"goals": 99})
    assert caller.wait_for_server(10.0)
    begun = time.monotonic()
    with pytest.raises(Unavailable, match=f"'move_arm' did not answer within {timeout:g} s"):
        caller.send(MoveArm.Goal(arm="a"), timeout)
    assert timeout <= time.monotonic() - begun < timeout + MARGIN


def test_a_lost_result_is_asked_for_again(caller, serve) -> None:
    server = serve(lost={"results": 1})
    assert succeeds(caller, caller.send(MoveArm.Goal(arm="a"), 20.0))
    assert server.ended == ["succeeded"] and not server.lost["results"]


def test_no_server(spinner, ros) -> None:
    """The limit is one for both, the executor that comes late and the server that never does."""
    node = rclpy.create_node("caller")
    caller = ActionCaller(node, MoveArm, "nobody")
    begun = time.monotonic()
    adding = threading.Timer(1.4, spinner.add, [node])
    adding.start()
    with pytest.raises(Unavailable, match=r"'nobody' is not there after 2 s"):
        caller.send(MoveArm.Goal(), 2.0)
    assert 2.0 <= time.monotonic() - begun < 2.0 + MARGIN
    begun = time.monotonic()
    assert not caller.wait_for_server(0.55)
    assert 0.55 <= time.monotonic() - begun < 0.55 + MARGIN
    adding.join()


def test_a_goal_of_another_action(caller, serve) -> None:
    serve()
    with pytest.raises(TypeError):
        caller.send(MoveArm.Result(), 5.0)


def test_goals_are_sent_by_the_thread_that_takes_the_answers(spinner, ros) -> None:
    def run(goal: Any) -> Any:
        goal.succeed()
        return MoveArm.Result()

    ActionServer(spinner.add(rclpy.create_node("server")), MoveArm, "move_arm", run)
    node: Node = rclpy.create_node("caller")
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
