"""Images between two processes: what arrives, and how late, with and without the Fast DDS profile.

    python bench/images.py [--images N] [--rate HZ] [--size 640x480] [--json FILE]

A process publishes as the nodes here do (reliable, depth 2), another subscribes
as they do (sensor data: best effort) and once reliably; latency is from the
stamp before the message is filled to the callback. Profiles: the project's
(``config/fastdds.xml``: 32 MiB of shared memory), those for machines with little
or no shared memory, and Fast DDS left to itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

PROFILES = {
    "project": "fastdds.xml",
    "project, small segments": "fastdds_small.xml",
    "project, UDP": "fastdds_udp.xml",
    "Fast DDS's own": "",
}


def publish(options: argparse.Namespace) -> None:
    """Publish at a rate as soon as somebody listens."""
    import numpy as np
    import rclpy
    from sensor_msgs.msg import Image

    from selfgrasp_nodes.nodes import conversions, image_messages, qos

    rclpy.init()
    node = rclpy.create_node("bench_publisher")
    publisher = node.create_publisher(Image, "bench/image", qos.IMAGE)
    width, height = map(int, options.size.split("x"))
    picture = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    limit = time.monotonic() + 20
    while publisher.get_subscription_count() == 0:
        if time.monotonic() > limit:
            raise SystemExit("nobody subscribes")
        time.sleep(0.05)
    time.sleep(0.5)
    spent = []
    due = time.monotonic()
    for _ in range(options.images):
        stamp = time.monotonic_ns()
        message = image_messages.encode(picture, "rgb8", conversions.header("bench", stamp))
        publisher.publish(message)
        spent.append((time.monotonic_ns() - stamp) * 1e-6)
        due += 1 / options.rate
        time.sleep(max(0.0, due - time.monotonic()))
    time.sleep(1.0)
    print(json.dumps({"publish_ms": float(np.median(spent))}), flush=True)
    os._exit(0)


def subscribe(options: argparse.Namespace) -> None:
    """Count and time until told to end."""
    import numpy as np
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from sensor_msgs.msg import Image

    from selfgrasp_nodes.nodes import conversions, image_messages, qos

    rclpy.init()
    node = rclpy.create_node("bench_subscriber")
    late: list[float] = []

    def take(message: Image) -> None:
        late.append((time.monotonic_ns() - conversions.stamp(message.header.stamp)) * 1e-6)
        image_messages.rgb(message)

    profile = qos.SENSOR if options.reliability == "best effort" else qos.IMAGE
    node.create_subscription(Image, "bench/image", take, profile)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    end = time.monotonic() + options.images / options.rate + 25
    quiet = time.monotonic() + 25
    while time.monotonic() < min(end, quiet):
        before = len(late)
        executor.spin_once(timeout_sec=0.2)
        if len(late) > before:
            quiet = time.monotonic() + 4
    if len(late) == 0:
        late = [float("nan")]
        received = 0
    else:
        received = len(late)
    low, high = np.percentile(late, [50, 95])
    figures = {"received": received, "median_ms": float(low), "p95_ms": float(high)}
    print(json.dumps(figures), flush=True)
    os._exit(0)


def measure(options: argparse.Namespace, profile: str, reliability: str) -> dict:
    environment = dict(os.environ)
    environment.pop("FASTDDS_DEFAULT_PROFILES_FILE", None)
    if PROFILES[profile]:
        file = str(ROOT / "config" / PROFILES[profile])
        environment["FASTDDS_DEFAULT_PROFILES_FILE"] = file
    common = [sys.executable, __file__, "--images", str(options.images)]
    common += ["--rate", str(options.rate), "--size", options.size, "--reliability", reliability]
    pair = [
        subprocess.Popen(
            [*common, "--role", role], env=environment, stdout=subprocess.PIPE, text=True
        )
        for role in ("subscribe", "publish")
    ]
    figures: dict = {"profile": profile, "subscriber": reliability}
    for process in reversed(pair):
        text = process.communicate(timeout=options.images / options.rate + 90)[0]
        figures.update(json.loads(text.strip().splitlines()[-1]))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=150)
    parser.add_argument("--rate", type=float, default=30.0, help="[Hz]")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--role", choices=("publish", "subscribe"), help=argparse.SUPPRESS)
    parser.add_argument("--reliability", default="best effort", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        {"publish": publish, "subscribe": subscribe}[options.role](options)
        return

    from selfgrasp_nodes.cli import environment
    from selfgrasp_nodes.cli.domain import stay_local

    environment.enter()
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"{options.images} images of {options.size} rgb8 at {options.rate:g} Hz "
        f"(load {os.getloadavg()[0]:.1f})"
    )
    for heading in (
        "profile",
        "subscriber",
        "arrived",
        "median [ms]",
        "95 % [ms]",
        "publish [ms]",
    ):
        table.add_column(heading)
    results = []
    stay_local(os.environ)
    for profile in PROFILES:
        for reliability in ("best effort", "reliable"):
            figures = measure(options, profile, reliability)
            results.append(figures)
            table.add_row(
                profile,
                reliability,
                f"{figures['received']} of {options.images}",
                *(f"{figures[k]:.1f}" for k in ("median_ms", "p95_ms", "publish_ms")),
            )
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
