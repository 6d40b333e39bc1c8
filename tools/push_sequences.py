"""Pictures of pushes that made a grasp possible: before, what both primitives were worth, after.

MUJOCO_GL=egl python tools/push_sequences.py docs/images/push config/scenes/vpg_hard_dev.json \
    --checkpoint models/pixelq_rg2.yaml

One picture a scene, of the first run in which the policy pushes and its next try grasps:
FOLDER/SCENE.png. The values are those by which the policy ranks; a scene without such a
pair gives none.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

from selfgrasp_nodes.learning.pixelq_pictures import Step, draw_steps
from selfgrasp_nodes.orchestration.fast import FastLoop
from selfgrasp_nodes.orchestration.sequence import Limits
from selfgrasp_nodes.policies.pixelq.policy import PixelqParams, PixelqPolicy
from selfgrasp_nodes.policies.pixelq.state import make_state
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.scenes import load_scenes, perturbed
from selfgrasp_nodes.types import Primitive, Trial


def pair(trials: Sequence[Trial]) -> tuple[Trial, Trial] | None:
    """The first push whose next try is a grasp that held, as labelled."""
    for push, grasp in itertools.pairwise(trials):
        pushed = push.candidate.primitive is Primitive.PUSH
        if pushed and grasp.candidate.primitive is Primitive.GRASP and grasp.outcome.success:
            return push, grasp
    return None


def step(policy: PixelqPolicy, trial: Trial, caption: str) -> Step:
    """A try's decision with the values of everything that it chose among."""
    assert trial.before is not None and trial.before.heightmap is not None
    state = make_state(trial.before.heightmap)
    scored = policy.judge(policy.values, state, policy.primitives)
    return Step(caption, state, scored, trial.candidate)


def main() -> None:
    """Run, choose, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--checkpoint", default="", help="models/pixelq_GRIPPER without it")
    parser.add_argument("--robot", default="ur5_rg2")
    parser.add_argument("--runs", type=int, default=5, help="of each scene, until one is found")
    args = parser.parse_args()
    robot = load_robot(args.robot)
    policy = PixelqPolicy(robot, PixelqParams(checkpoint=args.checkpoint))
    loop = FastLoop(robot, policy)
    args.folder.mkdir(parents=True, exist_ok=True)
    for scene in load_scenes(args.scenes):
        for seed in range(1, args.runs + 1):
            limits = Limits(max_actions=10 * len(scene.objects), max_cleared=len(scene.objects))
            run = loop.run(perturbed(scene, seed, 2.0, 2.0), seed, limits)
            found = pair(run.trials)
            if found is None:
                continue
            push, grasp = found
            steps = [
                step(policy, push, f"try {push.index + 1}: push"),
                step(policy, grasp, f"try {grasp.index + 1}: grasp, held"),
            ]
            draw_steps(steps, args.folder / f"{scene.name}.png", f"{scene.name}, seed {seed}")
            print(f"{scene.name}: seed {seed}, tries {push.index + 1} and {grasp.index + 1}")
            break
        else:
            print(f"{scene.name}: no push in {args.runs} runs made the next grasp succeed")


if __name__ == "__main__":
    main()
