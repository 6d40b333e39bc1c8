"""What every node has: parameters, the robot's description, diagnostics."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future

from selfgrasp_nodes.errors import SelfGraspError
from selfgrasp_nodes.nodes import qos
from selfgrasp_nodes.nodes.params import Param, Value, check_change, declare
from selfgrasp_nodes.nodes.status import set_error
from selfgrasp_nodes.robots import RobotSpec, config_digest, load_robot

COMMON = (
    Param("robot", "ur5_rg2", "Name of a description in config/robots, or a YAML file"),
    Param("fixed_frame", "world", "Frame of the table's top, in which poses are given"),
    Param("diagnostics_period", 2.0, "Seconds between diagnostics", low=0.1, high=60.0),
)

DIGEST = "config_digest"
"""Read-only parameter with the digest of the options that a node works by."""

THREADS = 16
"""At most, for the services and actions of one node; started when needed."""


class BaseNode(Node):
    """A node of this package.

    Subclasses set ``NAME`` and ``PARAMETERS`` and build their topics in their
    own constructor. All callbacks go into :attr:`group`, a re-entrant group.
    Callbacks of topics are short and run in the executor's thread; services and
    actions do their work in threads of the node (:meth:`serve`,
    :meth:`offload`), so that none blocks another. What needs exclusion takes a
    lock. (rclpy's own MultiThreadedExecutor hands every single message to
    another thread and builds its wait set three times for it: ``bench/executors.py``
    measures what that costs.)

    Attributes:
        values: The parameters' values by name, kept up to date.
        robot: The robot's description.
        group: Callback group of everything.
        steady: A clock of wall time, for timers and time-outs.
    """

    NAME: ClassVar[str] = "node"
    PARAMETERS: ClassVar[tuple[Param, ...]] = ()

    def __init__(
        self,
        parameters: dict[str, Value] | None = None,
        context: Context | None = None,
        namespace: str | None = None,
        use_sim_time: bool | None = None,
    ):
        """Declare the parameters and load the robot.

        Args:
            parameters: Values that win over those of files and command line.
            context: ROS context; the default one where None.
            namespace: Of the node; that of the command line where None.
            use_sim_time: Set that parameter; left as it is where None.

        Raises:
            InvalidConfig: If a parameter's name or value is refused.
        """
        self._overridden: set[str] = set()
        given = [Parameter(name, value=value) for name, value in (parameters or {}).items()]
        if use_sim_time is not None:
            given.append(Parameter("use_sim_time", value=use_sim_time))
        super().__init__(
            self.NAME, context=context, namespace=namespace, parameter_overrides=given
        )
        self.table: tuple[Param, ...] = COMMON + self.PARAMETERS
        try:
            self.values: dict[str, Any] = declare(self, self.table)
            self.robot: RobotSpec = load_robot(self.values["robot"])
        except BaseException:
            self.destroy_node()
            raise
        self.group = ReentrantCallbackGroup()
        self.steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.frame: str = self.values["fixed_frame"]
        self.add_on_set_parameters_callback(lambda changes: check_change(self.table, changes))
        self.add_post_set_parameters_callback(self._take_changes)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix=self.NAME)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.EVENT)
        self.every(self.values["diagnostics_period"], self._publish_diagnostics)

    def declare_digest(self, *options: object) -> None:
        """Say by which options the node works, in its parameter ``config_digest``."""
        about = "Digest of the robot's description and of the options that this node read"
        descriptor = ParameterDescriptor(description=about, read_only=True)
        self.declare_parameter(DIGEST, config_digest(self.robot, *options), descriptor)

    def create_publisher(self, msg_type: Any, topic: str, qos_profile: Any, **more: Any) -> Any:
        """As in rclpy; ``qos_overrides.TOPIC.publisher.POLICY`` wins over the profile."""
        profile, more = self._overridable("publisher", topic, qos_profile, more)
        return super().create_publisher(msg_type, topic, profile, **more)

    def create_subscription(
        self, msg_type: Any, topic: str, callback: Any, qos_profile: Any, **more: Any
    ) -> Any:
        """As in rclpy; ``qos_overrides.TOPIC.subscription.POLICY`` wins over the profile."""
        profile, more = self._overridable("subscription", topic, qos_profile, more)
        return super().create_subscription(msg_type, topic, callback, profile, **more)

    def _overridable(
        self, entity: str, topic: str, profile: Any, more: dict[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        given = self._parameter_overrides
        if "qos_overriding_options" in more or not given:
            return profile, more
        name = self.resolve_topic_name(topic)
        own, options, used = qos.overriding(given, entity, name, profile)
        if options is None:
            return profile, more
        self._overridden |= used
        return own, {**more, "qos_overriding_options": options}

    def _unused_overrides(self) -> str:
        """What is wrong with the given overrides of topics; empty where each has its topic."""
        names = [n for n in self._parameter_overrides if n.startswith(qos.OVERRIDES)]
        unused = sorted(set(names) - self._overridden - set(self._parameters))
        return f"this node has no topic for {', '.join(unused)}" if unused else ""

    def every(self, period: float, callback: Callable[[], None]) -> None:
        """Call back each ``period`` seconds of wall time."""
        self.create_timer(period, callback, callback_group=self.group, clock=self.steady)

    def now(self) -> int:
        """Time of the graph [ns]."""
        return int(self.get_clock().now().nanoseconds)

    def answer(self, response: Any, work: Callable[[], None]) -> Any:
        """Run a service's work; an error becomes the response's code and message."""
        try:
            work()
        except SelfGraspError as error:
            self.get_logger().warning(str(error))
            return set_error(response, error)
        except Exception as error:
            self.get_logger().error(traceback.format_exc())
            return set_error(response, error)
        return response

    def serve(self, kind: Any, name: str, work: Callable[[Any, Any], None]) -> None:
        """Offer a service.

        Args:
            kind: Service type.
            name: Service name.
            work: Called with request and response in a thread of the node;
                fills the response, or raises.
        """

        async def callback(request: Any, response: Any) -> Any:
            return await self.offload(self.answer, response, lambda: work(request, response))

        self.create_service(
            kind, name, callback, qos_profile=qos.SERVICE, callback_group=self.group
        )

    def offload(self, work: Callable[..., Any], *arguments: Any) -> Future:
        """Run work in a thread of the node; await the future in a callback."""
        future: Future = Future()

        def run() -> None:
            try:
                future.set_result(work(*arguments))
            except Exception as error:
                self.get_logger().error(traceback.format_exc())
                future.set_exception(error)
            executor = self.executor
            if executor is not None:
                executor.wake()  # the coroutine that awaits it is resumed by the next turn

        self._pool.submit(run)
        return future

    def diagnose(self) -> tuple[str, dict[str, object]]:
        """(what is wrong, or empty; figures to show). Subclasses override it."""
        return "", {}

    def close(self) -> None:
        """Stop threads, before the node is destroyed. Subclasses extend it."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def on_change(self, changed: set[str]) -> None:
        """Called after live parameters have changed."""

    def _take_changes(self, changes: Sequence[Parameter]) -> None:
        known = {param.name for param in self.table}
        taken = {change.name: change.value for change in changes if change.name in known}
        self.values.update(taken)
        if taken:
            self.on_change(set(taken))

    def _publish_diagnostics(self) -> None:
        problem, figures = self.diagnose()
        problem = problem or self._unused_overrides()
        status = DiagnosticStatus(
            level=DiagnosticStatus.WARN if problem else DiagnosticStatus.OK,
            name=self.get_fully_qualified_name(),
            message=problem or "ok",
            hardware_id=self.robot.name,
            values=[KeyValue(key=k, value=_text(v)) for k, v in figures.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
