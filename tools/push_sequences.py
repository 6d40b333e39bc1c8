"""Pictures of pushes that made a grasp possible: before, what both primitives were worth, after.

MUJOCO_GL=egl python tools/push_sequences.py docs/images/push config/scenes/vpg_hard_dev.json \
    --checkpoint models/pixelq_rg2.yaml

Of runs that begin with a push and whose second try grasps and holds, the same scene is laid out
once more and the best grasp is tried in the push's place. One picture a scene, of the first run in
which that grasp does not hold: FOLDER/SCENE.png. The values are those by which the policy ranks.
Last comes a count over all runs.
"""

from __future__ import annotations

import argparse
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
    """The first two tries, if a push and then a grasp that held, as labelled."""
    if len(trials) < 2:
        return None
    push, grasp = trials[:2]
    kinds = (push.candidate.primitive, grasp.candidate.primitive)
    good = kinds == (Primitive.PUSH, Primitive.GRASP) and grasp.outcome.success
    return (push, grasp) if good else None


def step(policy: PixelqPolicy, trial: Trial, caption: str) -> Step:
    """A try's decision with the values of everything that it chose among."""
    assert trial.before is not None and trial.before.heightmap is not None
    state = make_state(trial.before.heightmap)
    scored = policy.judge(policy.values, state, policy.primitives)
    return Step(caption, state, scored, trial.candidate, policy.push_weight)


def main() -> None:
    """Run, choose, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--checkpoint", default="", help="models/pixelq_GRIPPER without it")
    parser.add_argument("--robot", default="ur5_rg2")
    parser.add_argument("--runs", type=int, default=5, help="of each scene")
    args = parser.parse_args()
    robot = load_robot(args.robot)
    policy = PixelqPolicy(robot, PixelqParams(checkpoint=args.checkpoint))
    loop = FastLoop(robot, policy)
    args.folder.mkdir(parents=True, exist_ok=True)
    pairs = failed = runs = 0
    for scene in load_scenes(args.scenes):
        drawn = False
        for seed in range(1, args.runs + 1):
            laid_out = perturbed(scene, seed, 2.0, 2.0)
            found = pair(loop.run(laid_out, seed, Limits(max_actions=2)).trials)
            runs += 1
            if found is None:
                continue
            instead = loop.run(laid_out, seed, Limits(max_actions=1), (Primitive.GRASP,)).trials
            pairs += 1
            if instead and instead[0].outcome.success:
                continue
            failed += 1
            if drawn:
                continue
            push, grasp = found
            came = instead[0].outcome.code.name.lower() if instead else "none is offered"
            steps = [
                step(policy, push, f"try 1: push\n(the best grasp in its place: {came})"),
                step(policy, grasp, "try 2: grasp, held"),
            ]
            draw_steps(steps, args.folder / f"{scene.name}.png", f"{scene.name}, seed {seed}")
            print(f"{scene.name}: seed {seed}, the best grasp in the push's place: {came}")
            drawn = True
    print(
        f"{runs} runs, {pairs} began with a push and a grasp that held; in {failed} of these the "
        "best grasp in the push's place did not hold"
    )


if __name__ == "__main__":
    main()
