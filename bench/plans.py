"""The plan service under load: a burst of requests, and memory over many plans.

    python bench/plans.py [--plans 1000] [--burst 100] [--robot ur5_rg2] [--policy antipodal]

One policy node in a process of its own; a picture of ten simulated blocks comes with
each request, and the node builds the heightmap, as for a caller with a camera of its
own. Memory is the process's private one; a growth of 5 % or more between the first
tenth of the plans and their end fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

GROWTH = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--robot", default="ur5_rg2")
    parser.add_argument("--policy", default="antipodal")
    parser.add_argument("--plans", type=int, default=1000)
    parser.add_argument("--burst", type=int, default=100)
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()

    from selfgrasp_nodes.cli import environment
    from selfgrasp_nodes.cli.domain import stay_local

    environment.enter()
    stay_local(os.environ)
    return measure(options)


def picture(robot_name: str) -> Any:
    """Ten blocks as one view, without a heightmap."""
    from selfgrasp_nodes.nodes import conversions
    from selfgrasp_nodes.robots import load_robot
    from selfgrasp_nodes.simulation.scenes import random_scene
    from selfgrasp_nodes.simulation.world import World
    from selfgrasp_nodes.types import Observation

    robot = load_robot(robot_name)
    world = World(robot)
    world.reset(random_scene(robot, 10, 1), 1)
    view = world.render()
    world.close()
    observation = Observation("picture", 1, {view.camera: view})
    return conversions.observation_message(observation, "world", {})


def private_mib(pid: int) -> float:
    """Private memory of a process [MiB]."""
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE") / 2**20


def start(robot: str, policy: str) -> subprocess.Popen:
    """The policy node."""
    command = [sys.executable, "-m", "selfgrasp_nodes.nodes.main", "policy", "--die-with-parent"]
    command += ["--ros-args", "-p", f"robot:={robot}", "-p", f"policy:={policy}"]
    # As bring-up sets it: big arrays go back to the system.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1048576", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    if "READY" not in line:
        raise SystemExit(f"the policy node did not start: {line}")
    return process


def measure(options: argparse.Namespace) -> int:
    from rich.progress import track

    from selfgrasp_nodes.client import SelfGrasp

    observation = picture(options.robot)
    process = start(options.robot, options.policy)
    try:
        with SelfGrasp("bench", timeout=300.0) as robot:
            robot.plan(observation)
            begun = time.monotonic()
            pending = [robot.plan_async(observation) for _ in range(options.burst)]
            answered = sum(len(item.result()) > 0 for item in pending)
            burst = time.monotonic() - begun
            samples = [private_mib(process.pid)]
            begun = time.monotonic()
            for _ in track(range(options.plans), "plans", disable=not sys.stdout.isatty()):
                robot.plan(observation)
                samples.append(private_mib(process.pid))
            each = (time.monotonic() - begun) / options.plans
    finally:
        process.terminate()
        process.wait(10.0)
    tenth = max(samples[: max(options.plans // 10, 2)])
    end = max(samples[-max(options.plans // 10, 1) :])
    figures = {
        "burst": options.burst,
        "answered": answered,
        "burst_s": burst,
        "plans": options.plans,
        "plan_ms": 1e3 * each,
        "memory_first_tenth_mib": tenth,
        "memory_end_mib": end,
        "growth": end / tenth - 1.0,
    }
    print(f"burst: {answered} of {options.burst} answered in {burst:.1f} s")
    print(f"one after the other: {options.plans} plans, {1e3 * each:.0f} ms each")
    print(f"memory: {tenth:.0f} MiB in the first tenth, {end:.0f} MiB in the last")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))
    return int(answered < options.burst or figures["growth"] >= GROWTH)


if __name__ == "__main__":
    sys.exit(main())
