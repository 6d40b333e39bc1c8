"""What rclpy's executors cost for a node that hears joint states, gripper and wrench.

    python bench/executors.py [--rate 100] [--seconds 10] [--json FILE]

One process publishes three small topics at the rate; another one hears them
with one executor after the other. Printed is the listener's processor time a
message, and how many arrived.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

EXECUTORS = ("SingleThreadedExecutor", "MultiThreadedExecutor")
TOPICS = ("a", "b", "c")


def publish(options: argparse.Namespace) -> None:
    import rclpy
    from sensor_msgs.msg import JointState

    from selfgrasp_nodes.nodes import qos

    rclpy.init()
    node = rclpy.create_node("bench_publisher")
    publishers = [node.create_publisher(JointState, f"bench/{t}", qos.STATE) for t in TOPICS]
    names = [f"joint_{i}" for i in range(7)]
    message = JointState(name=names, position=[0.0] * 7, velocity=[0.0] * 7, effort=[0.0] * 7)
    due = time.monotonic()
    while True:  # until it is ended
        for publisher in publishers:
            publisher.publish(message)
        due = max(due + 1 / options.rate, time.monotonic() - 0.1)
        time.sleep(max(0.0, due - time.monotonic()))


def listen(options: argparse.Namespace) -> None:
    import rclpy
    import rclpy.executors
    from rclpy.callback_groups import ReentrantCallbackGroup
    from sensor_msgs.msg import JointState

    from selfgrasp_nodes.nodes import qos

    rclpy.init()
    node = rclpy.create_node("bench_listener")
    group = ReentrantCallbackGroup()
    heard = [0]
    lock = threading.Lock()

    def take(message: JointState) -> None:
        with lock:
            heard[0] += 1

    for topic in TOPICS:
        node.create_subscription(
            JointState, f"bench/{topic}", take, qos.STATE, callback_group=group
        )
    executor = getattr(rclpy.executors, options.executor)()
    executor.add_node(node)
    limit = time.monotonic() + 30
    while heard[0] < 10 and time.monotonic() < limit:
        executor.spin_once(timeout_sec=0.2)
    begun, cpu, before = time.monotonic(), time.process_time(), heard[0]
    while time.monotonic() - begun < options.seconds:
        executor.spin_once(timeout_sec=0.2)
    spent, wall = time.process_time() - cpu, time.monotonic() - begun
    count = heard[0] - before
    figures = {"messages/s": count / wall, "CPU ms/message": 1e3 * spent / max(count, 1)}
    print(json.dumps({"executor": options.executor, **figures, "cores": spent / wall}), flush=True)
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=100.0, help="of each topic [Hz]")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--executor", choices=EXECUTORS, help=argparse.SUPPRESS)
    parser.add_argument("--publish", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.publish:
        publish(options)
    if options.executor:
        listen(options)

    from selfgrasp_nodes.cli import environment
    from selfgrasp_nodes.cli.domain import stay_local

    environment.enter()
    from rich.console import Console
    from rich.table import Table

    common = [sys.executable, __file__, "--rate", str(options.rate)]
    common += ["--seconds", str(options.seconds)]
    results = []
    stay_local(os.environ)
    publisher = subprocess.Popen([*common, "--publish"])
    try:
        for name in EXECUTORS:
            done = subprocess.run(
                [*common, "--executor", name], capture_output=True, text=True, check=True
            )
            results.append(json.loads(done.stdout.strip().splitlines()[-1]))
    finally:
        publisher.kill()
    headings = list(results[0])
    table = Table(title=f"{len(TOPICS)} topics at {options.rate:g} Hz")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "executor" else "right")
    for r in results:
        table.add_row(r["executor"], *(f"{r[h]:.3g}" for h in headings[1:]))
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
