"""Milliseconds of each policy's decision, on one core.

    python bench/policies.py [--robot R] [--objects N] [--scenes N] [--repeats N]

Each decision is made on a rendered scene of random blocks, with noise. Wall time
is the best of the repeats; CPU time is the process's own, so that it says what a
quiet machine would show also on one that others use. The limit is 150 ms.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

LIMIT = 150.0
"""Milliseconds that a decision may take."""


def observations(robot: object, objects: int, scenes: int, seed: int) -> list:
    from selfgrasp_nodes.perception.heightmap import build_heightmap
    from selfgrasp_nodes.perception.regions import BackgroundModel
    from selfgrasp_nodes.simulation.scene import Scene
    from selfgrasp_nodes.simulation.scenes import random_scene
    from selfgrasp_nodes.simulation.world import World
    from selfgrasp_nodes.types import Observation

    world = World(robot)
    world.reset(Scene("empty", ()), 0)
    background = BackgroundModel()
    empty = [world.render() for _ in range(20)]
    background.learn_empty([view.color for view in empty], [view.depth for view in empty])
    found = []
    for number in range(scenes):
        world.reset(random_scene(robot, objects, seed + number), seed + number)
        view = world.render()
        heightmap = build_heightmap([view], robot.workspace.workspace)
        regions = background.regions(view.color, view.camera, depth=view.depth)
        found.append(Observation(f"{number}", view.stamp, {view.camera: view}, heightmap, regions))
    world.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--robot", default="ur5_rg2")
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--scenes", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=10001)
    options = parser.parse_args()

    import cv2
    import numpy as np

    from selfgrasp_nodes.errors import NotReady
    from selfgrasp_nodes.policies import make_policy, policy_names
    from selfgrasp_nodes.robots import load_robot

    cv2.setNumThreads(1)
    robot = load_robot(options.robot)
    seen = observations(robot, options.objects, options.scenes, options.seed)
    print(
        f"{robot.name}, {options.objects} objects, {options.scenes} scenes, best of "
        f"{options.repeats}; limit {LIMIT:.0f} ms"
    )
    print(f"{'policy':<16} {'wall ms':>8} {'worst':>8} {'CPU ms':>8} {'candidates':>11}")
    for name in policy_names():
        policy = make_policy(name, robot)
        try:
            policy.check()
        except NotReady as error:
            print(f"{name:<16} left out: {error}")
            continue
        wall, cpu, count = [], [], []
        for observation in seen:
            walls, cpus = [], []
            for repeat in range(options.repeats):
                start, start_cpu = time.perf_counter(), time.process_time()
                candidates = policy.propose(observation, repeat)
                walls.append(time.perf_counter() - start)
                cpus.append(time.process_time() - start_cpu)
            wall.append(min(walls) * 1e3)
            cpu.append(float(np.median(cpus)) * 1e3)
            count.append(len(candidates))
        print(
            f"{name:<16} {np.median(wall):8.1f} {max(wall):8.1f} {np.median(cpu):8.1f} "
            f"{np.mean(count):11.1f}"
        )


if __name__ == "__main__":
    main()
