"""What leaves the workspace while it is cleared, and what the robot did just then.

    python tools/what_leaves.py --param checkpoint=models/pixelq_rg2.yaml --seeds 2 5 12

Runs scenes of dropped blocks as the protocol ``vpg-random`` does, and prints a line for each
object whose centre passes the border: try, what was done, where the hand was, where the object
came from and went. From simulator truth, for evaluation only.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from selfgrasp_nodes.cli.collect import parameters
from selfgrasp_nodes.learning.vpg import ACTIONS_PER_OBJECT, OBJECTS
from selfgrasp_nodes.orchestration.fast import FastLoop
from selfgrasp_nodes.orchestration.sequence import Limits
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.scenes import random_scene


def leavings(loop: FastLoop, objects: int, seed: int) -> Iterator[str]:
    """Clear a scene of dropped blocks; a line for each object whose centre passes the border.

    Args:
        loop: With the policy.
        objects: How many are dropped.
        seed: Of the scene and of the run.
    """
    inside = loop.robot.workspace.workspace.contains
    scene = random_scene(loop.robot, objects, seed, None, None)
    limits = Limits(max_actions=ACTIONS_PER_OBJECT * objects, max_cleared=objects)
    sequence, _ = loop.sequence(scene, seed, limits)
    before = _places(loop)
    for number, trial in enumerate(sequence.run(), start=1):
        after = _places(loop)
        for name, (shape, place) in after.items():
            was = before[name][1]
            if inside(*place) or not inside(*was):
                continue
            hand = trial.candidate.pose[:2, 3]
            did = f"{trial.candidate.primitive.name} {trial.outcome.code.name}".lower()
            yield (
                f"seed {seed}, try {number}, {did} at {_mm(hand)} mm: {shape} "
                f"from {_mm(was)} to {_mm(place)}, {1000 * np.linalg.norm(place - was):.0f} mm; "
                f"{1000 * np.linalg.norm(was - hand):.0f} mm from the hand"
            )
        before = after


def _places(loop: FastLoop) -> dict[str, tuple[str, np.ndarray]]:
    """Shape and place (x, y) [m] of every object, by its id."""
    truth = loop.world.truth()
    return {item.id: (item.shape, item.world_T_object[:2, 3].copy()) for item in truth}


def _mm(place: np.ndarray) -> str:
    return f"({1000 * place[0]:.0f}, {1000 * place[1]:.0f})"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--robot", default="ur5_rg2")
    parser.add_argument("--policy", default="pixelq")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--objects", type=int, default=OBJECTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    args = parser.parse_args()
    loop = FastLoop(load_robot(args.robot), args.policy, **parameters(args.param))
    for seed in args.seeds:
        lines = list(leavings(loop, args.objects, seed))
        print("\n".join(lines) or f"seed {seed}: nothing left the workspace", flush=True)


if __name__ == "__main__":
    main()
