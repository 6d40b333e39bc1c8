"""Milliseconds from a heightmap to ranked actions: default network and the paper's.

    python bench/pixelq_network.py [--objects 10 30] [--threads N] [--repeats N] [--whole]

The default network is the one that ships for the robot's gripper; beside it stands the
same with the sizes that it has where nothing is configured. Both primitives at 16
rotations, on simulated scenes, each network in a process of its own: the policy's
whole decision, five candidates ranked. Wall time is the median of the repeats over
the scenes; CPU time over the threads is what a quiet machine would need at the least;
memory is the process's largest, libraries included. The paper's network judges one
rotation of both primitives, times 16; ``--whole`` has it judge all of them. The limit
for the default network is 100 ms on two cores and 1 GB.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

SHIPPED = "window (ships)"

NETWORKS: dict[str, dict[str, Any]] = {
    SHIPPED: {},
    "window, unconfigured": {"name": "window", "widths": [0.11, 0.085, 0.065]},
    "densenet (paper)": {"name": "densenet", "widths": [0.11]},
}


def observations(robot_name: str, objects: list[int], seeds: int) -> list[tuple[int, Any]]:
    """Observations of dropped blocks, with their number."""
    from selfgrasp_nodes.perception.heightmap import build_heightmap
    from selfgrasp_nodes.robots import load_robot
    from selfgrasp_nodes.simulation.scenes import random_scene
    from selfgrasp_nodes.simulation.world import World
    from selfgrasp_nodes.types import Observation

    robot = load_robot(robot_name)
    world = World(robot)
    found = []
    for count in objects:
        for seed in range(seeds):
            world.reset(random_scene(robot, count, seed), seed)
            view = world.render()
            heightmap = build_heightmap([view], robot.workspace.workspace)
            found.append((count, Observation(f"{count}-{seed}", view.stamp, {}, heightmap)))
    return found


def work(name: str, options: argparse.Namespace, seen: list[Any], pipe: Any) -> None:
    """Time one network in this process."""
    import cv2
    import numpy as np
    import torch

    from selfgrasp_nodes.policies.pixelq.actions import Strokes
    from selfgrasp_nodes.policies.pixelq.policy import PixelqParams, PixelqPolicy
    from selfgrasp_nodes.policies.pixelq.state import make_state
    from selfgrasp_nodes.policies.pixelq.values import Values, build_network
    from selfgrasp_nodes.robots import load_robot
    from selfgrasp_nodes.types import Primitive

    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    robot = load_robot(options.robot)
    gripper, workspace = robot.arms[0].gripper, robot.workspace.workspace
    policy = PixelqPolicy(robot, PixelqParams())
    if name == SHIPPED:
        network = policy.values.network  # reads the checkpoint
    else:
        network = build_network(NETWORKS[name], gripper, workspace, Strokes()).eval()
        policy.use(Values(network, "probability", {}))
    part = "paper" in name and not options.whole
    rows = []
    for count, observation in seen:
        wall, cpu = [], []
        for _ in range(1 if "paper" in name else options.repeats + 1):
            begun, used = time.perf_counter(), time.process_time()
            if part:
                state = make_state(observation.heightmap)
                with torch.inference_mode():
                    for primitive in Primitive:
                        network.maps([state], primitive, torch.tensor([1]))
                found = 0
            else:
                found = len(policy.propose(observation, 0, 5))
            factor = 16 if part else 1
            wall.append(factor * 1e3 * (time.perf_counter() - begun))
            cpu.append(factor * 1e3 * (time.process_time() - used) / options.threads)
        actions = 0
        if not part:
            actions = len(network.evaluate(make_state(observation.heightmap), tuple(Primitive)))
        rows.append((count, float(np.median(wall[1:] or wall)), min(cpu), actions, found))
        if part:
            break
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    parameters = sum(p.numel() for p in network.parameters())
    pipe.send({"rows": rows, "memory": memory, "parameters": parameters})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--robot", default="ur5_rg2")
    parser.add_argument("--objects", type=int, nargs="+", default=[10, 30])
    parser.add_argument("--scenes", type=int, default=3, help="of each number of objects")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--whole", action="store_true", help="every rotation of the paper's")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    import os

    import numpy as np

    seen = observations(options.robot, options.objects, options.scenes)
    context = multiprocessing.get_context("spawn")
    results: dict[str, Any] = {}
    print(f"{options.threads} threads, load {os.getloadavg()[0]:.1f}")
    print(
        f"{'network':22} {'parameters':>11} {'objects':>8} {'actions':>9} {'wall [ms]':>10} "
        f"{'CPU / threads [ms]':>19} {'memory [MB]':>12}"
    )
    for name in NETWORKS:
        mine, theirs = context.Pipe()
        process = context.Process(target=work, args=(name, options, seen, theirs))
        process.start()
        results[name] = found = mine.recv()
        process.join()
        for count in sorted({row[0] for row in found["rows"]}):
            rows = [row[1:] for row in found["rows"] if row[0] == count]
            wall, cpu, actions, _ = np.mean(rows, axis=0)
            print(
                f"{name:22} {found['parameters']:11,} {count:8} {actions:9,.0f} {wall:10,.0f} "
                f"{cpu:19,.0f} {found['memory']:12,.0f}",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
