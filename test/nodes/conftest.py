"""A ROS context for nodes in this process, and one whole graph that tests share."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for the modules that tests here share

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("selfgrasp.msg", reason="the interfaces are not built")

from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402

from selfgrasp_nodes import bringup  # noqa: E402
from selfgrasp_nodes.robots import load_robot  # noqa: E402
from selfgrasp_nodes.supervisor import Supervisor  # noqa: E402


class Spinner:
    """Spins nodes of this process in a thread."""

    def __init__(self) -> None:
        self.executor = SingleThreadedExecutor()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._ending.is_set():
            self.executor.spin_once(timeout_sec=0.2)

    def add(self, node: Any) -> Any:
        self.executor.add_node(node)
        return node

    def close(self) -> None:
        self._ending.set()
        self.executor.wake()
        self._thread.join(3.0)
        for node in self.executor.get_nodes():
            if hasattr(node, "close"):
                node.close()
            self.executor.remove_node(node)
            node.destroy_node()
        self.executor.shutdown(0.5)


@pytest.fixture(scope="session")
def ros() -> Iterator[None]:
    if not rclpy.ok():
        rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def spinner(ros: None) -> Iterator[Spinner]:
    spinner = Spinner()
    yield spinner
    spinner.close()


@pytest.fixture(scope="module")
def graph(ros: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """Three objects in simulation at real time, recording; shared by the tests of a file."""
    folder = tmp_path_factory.mktemp("graph")
    graph = Graph(folder / "bag", processes="separate")
    yield graph
    graph.close()


@pytest.fixture(scope="module")
def robot_graph(ros: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """A robot's bring-up on simulated time, recording, whose drivers are still to come."""
    bag = tmp_path_factory.mktemp("robot") / "bag"
    quiet = {"use_sim_time": "true", "confirm": "false", "camera_frames": "false"}
    graph = Graph.of_robot(bag, **quiet)
    yield graph
    graph.close()


@pytest.fixture
def new_graph(ros: None) -> Iterator[Callable[..., Graph]]:
    """Makes graphs of a test's own."""
    made: list[Graph] = []

    def make(bag: Any = "", **arguments: str) -> Graph:
        made.append(Graph(bag, **arguments))
        return made[-1]

    yield make
    for graph in made:
        graph.close()


class Graph:
    """A running graph, and a node of this process to talk to it.

    One at a time: two simulations on one domain would answer each other's requests.
    """

    _running: ClassVar[bool] = False

    def __init__(self, bag: Any = "", **arguments: str):
        assert not Graph._running, "another graph runs on this domain: use a file of its own"
        given = {"objects": "3", "seed": "3", "record": str(bag), **arguments}
        self._start("sim", given, bag)

    @classmethod
    def of_robot(cls, bag: Any, **arguments: str) -> Graph:
        """A robot's bring-up: without a simulation, and so without anything to control."""
        given = {"discovery_range": "LOCALHOST", "record": str(bag), **arguments}
        graph = cls.__new__(cls)
        graph._start("robot", given, bag)
        return graph

    def _start(self, kind: str, given: dict[str, str], bag: Any) -> None:
        self.lines: list[str] = []
        self.bag = bag
        self.description = bringup.describe(kind, given)
        self.supervisor = Supervisor(self.description, self.lines.append)
        self.supervisor.start()
        try:
            self.supervisor.wait_ready(120)
        except BaseException:
            self.supervisor.stop()
            print("\n".join(self.lines))
            raise
        self.node: Node = rclpy.create_node("tester")
        Graph._running = True
        # Before the node spins: rclpy lets its executor see an action client that is half made.
        self._clients = self._action_clients(load_robot(given.get("robot", "ur5_rg2")))
        self.spinner = Spinner()
        self.spinner.add(self.node)

    def _action_clients(self, robot: Any) -> dict[str, Any]:
        from control_msgs.action import FollowJointTrajectory
        from selfgrasp.action import ClearTable, Collect, Execute, MoveArm, Pick

        from selfgrasp_nodes.nodes.action_caller import ActionCaller
        from selfgrasp_nodes.nodes.sim_gripper import action_names

        kinds = {
            "execute": Execute,
            "move_arm": MoveArm,
            "pick": Pick,
            "clear_table": ClearTable,
            "collect": Collect,
        }
        for arm in robot.arms:
            kinds[arm.trajectory_action] = FollowJointTrajectory
            kinds.update({name: kind for kind, name in action_names(arm).items()})
        return {name: ActionCaller(self.node, kind, name) for name, kind in kinds.items()}

    def close(self) -> None:
        self.spinner.close()
        self.supervisor.stop()
        Graph._running = False

    def call(self, kind: Any, name: str, request: Any, timeout: float = 30.0) -> Any:
        from selfgrasp_nodes.nodes.waiting import call

        client = self.node.create_client(kind, name)
        try:
            return call(client, request, timeout)
        finally:
            self.node.destroy_client(client)

    def send(self, kind: Any, name: str, goal: Any, feedback: Callable | None = None) -> Goal:
        assert isinstance(goal, kind.Goal)
        return Goal(self._clients[name], goal, feedback)

    def empty_table(self) -> None:
        from selfgrasp.srv import ResetScene

        assert self.call(ResetScene, "sim/reset", ResetScene.Request(objects=0)).success

    def drop(self, objects: int, seed: int) -> str:
        from selfgrasp.srv import ResetScene

        answer = self.call(ResetScene, "sim/reset", ResetScene.Request(objects=objects, seed=seed))
        assert answer.success, answer.message
        return answer.scene_id


class Goal:
    """An action goal that was sent."""

    def __init__(self, client: Any, goal: Any, feedback: Callable | None):
        assert client.wait_for_server(20.0), "no such action"
        self.handle = client.send(goal, 10.0, feedback)
        self.finished = threading.Event()
        self.answer: Any = None
        if self.handle.accepted:
            client.result(self.handle).add_done_callback(self._done)

    def _done(self, future: Any) -> None:
        self.answer = future.result()
        self.finished.set()

    def result(self, timeout: float = 90.0) -> Any:
        assert self.handle.accepted
        assert self.finished.wait(timeout), "the goal did not end"
        return self.answer.result

    def cancel(self) -> None:
        self.handle.cancel_goal_async()
