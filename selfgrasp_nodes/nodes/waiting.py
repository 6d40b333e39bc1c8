"""Blocking calls with a wall-clock limit, for worker threads.

Never from inside an executor that has a single thread: the answer could not
arrive. Time-outs are in wall time, because simulated time may stand still.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from rclpy.client import Client
from rclpy.task import Future

from selfgrasp_nodes.errors import Unavailable


def wait(future: Future, timeout: float, what: str) -> Any:
    """The result of a future that an executor's thread completes.

    Args:
        future: Of a service call or an action request.
        timeout: Wall-clock limit [s].
        what: For the message, e.g. ``"the answer of /plan"``.

    Raises:
        Unavailable: When the limit has passed.
    """
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    if not done.wait(timeout):
        raise Unavailable(f"{what} did not come within {timeout:g} s; does its node still run?")
    return future.result()


def call(client: Client, request: object, timeout: float) -> Any:
    """Call a service and wait for its answer.

    Raises:
        Unavailable: If the service does not exist, or does not answer in time.
    """
    if not client.service_is_ready() and not client.wait_for_service(timeout):
        raise Unavailable(
            f"service {client.srv_name} is not there after {timeout:g} s; start its node "
            "('selfgrasp up' starts all), and look at 'selfgrasp check'"
        )
    future = client.call_async(request)
    try:
        return wait(future, timeout, f"the answer of {client.srv_name}")
    except Unavailable:
        client.remove_pending_request(future)
        raise


def settle_cancel(goal: Any) -> None:
    """Wait until rclpy has marked a goal as being cancelled: it does so after its callback."""
    limit = time.monotonic() + 1.0
    while not goal.is_cancel_requested and time.monotonic() < limit:
        time.sleep(0.001)
