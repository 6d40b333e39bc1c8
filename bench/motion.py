"""Plan times of a grasp, segment by segment; run ``python bench/motion.py --help``."""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import PlanningFailed
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.motion.options import load_options
from selfgrasp_nodes.motion.program import MoveSegment, plan_candidate
from selfgrasp_nodes.motion.sampling import planner_names
from selfgrasp_nodes.robots import load_robot, robot_names
from selfgrasp_nodes.types import Candidate, Heightmap, Primitive, Workspace


class Stopwatch(EmbeddedPlanner):
    """The planner, which notes the processor time of each call."""

    times: defaultdict[str, list[float]] = defaultdict(list)

    def plan_free(self, *args, **options):
        return self._timed("free", super().plan_free, args, options)

    def plan_linear(self, *args, **options):
        return self._timed("straight line", super().plan_linear, args, options)

    def view_clear_at(self, *args, **options):
        return self._timed("when the view clears", super().view_clear_at, args, options)

    def set_obstacles(self, *args, **options):
        return self._timed("take a heightmap", super().set_obstacles, args, options)

    def _timed(self, name, call, args, options):
        begin = time.process_time()
        try:
            return call(*args, **options)
        finally:
            self.times[name].append(time.process_time() - begin)


def clutter(workspace: Workspace, objects: int, rng: np.random.Generator) -> Heightmap:
    height = np.zeros(workspace.shape, np.float32)
    rows, cols = workspace.shape
    for _ in range(objects):
        row, col = rng.integers(15, rows - 15), rng.integers(15, cols - 15)
        height[row - 12 : row + 12, col - 12 : col + 12] = rng.choice([0.025, 0.05])
    color = np.zeros((*workspace.shape, 3), np.uint8)
    return Heightmap(workspace, color, height, np.ones(workspace.shape, bool))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--robot", default="ur5_rg2", choices=robot_names())
    parser.add_argument("--planner", default="RRTConnect", choices=planner_names())
    parser.add_argument("--plans", type=int, default=100)
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    robot = load_robot(args.robot)
    options = load_options(None, args.robot, planner={"name": args.planner})
    begin = time.process_time()
    planner = Stopwatch(robot, options)
    print(f"{args.robot}, {args.planner}: built in {time.process_time() - begin:.2f} s of CPU")
    rng = np.random.default_rng(args.seed)
    workspace = robot.workspace.workspace
    whole, act, lengths, failures = [], [], defaultdict(list), 0
    for number in range(args.plans):
        arm = robot.arms[number % len(robot.arms)]
        seen = clutter(workspace, args.objects, rng)
        planner.set_obstacles(seen)
        x, y = rng.uniform(workspace.low + 0.02, workspace.high - 0.02)
        angle, width = rng.uniform(0, np.pi), 0.9 * arm.gripper.width_max
        pose = geometry.grasp_pose(x, y, 0.02, angle)
        candidate = Candidate(Primitive.GRASP, pose, angle, width=width, arm=arm.name)
        try:
            for start, times, everything in (
                (arm.home, whole, True),
                (arm.ready, act, False),
            ):
                begin = time.process_time()
                program = plan_candidate(
                    planner, candidate, np.array(start), options, seen, whole=everything
                )
                times.append(time.process_time() - begin)
                if everything:
                    for segment in (*program.act, *program.place, *program.home):
                        if isinstance(segment, MoveSegment):
                            lengths[segment.phase.name].append(segment.trajectory.duration)
        except PlanningFailed as error:
            failures += 1
            print(f"  not planned: {error}")
    print(f"{'CPU time':34s} median     95 %      max  [ms]")
    report("whole grasp, from home", whole)
    report("hover to lift, from ready", act)
    for name, times in planner.times.items():
        report(f"  one {name}", times)
    print("length of the motions, median [s]: ", end="")
    print(", ".join(f"{k.lower()} {statistics.median(v):.2f}" for k, v in lengths.items()))
    print(f"{failures} of {args.plans} were not planned")


def report(name: str, times: list[float]) -> None:
    if times:
        ms = np.array(times) * 1e3
        print(f"{name:34s} {np.median(ms):6.1f}   {np.percentile(ms, 95):6.1f}   {ms.max():6.1f}")


if __name__ == "__main__":
    main()
