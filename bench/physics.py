"""What the physics costs, and the sweep that its settings come from.

    python bench/physics.py [--robot ur5_rg2] [--objects 10] [--tries 18] [--json FILE]
    python bench/physics.py --sweep [--write docs/physics.md]

A try here is what the fast loop simulates of one grasp: from the hover 15 cm
above down to the object, close, lift by 20 cm; the hand goes to the highest
objects of random scenes. Times are processor time of one thread; compare them
within one run. Planning is done beforehand and not counted.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import SelfGraspError
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.robots import RobotSpec, load_robot
from selfgrasp_nodes.robots import gripper as kinematics
from selfgrasp_nodes.simulation import physics_check
from selfgrasp_nodes.simulation.model import PhysicsOptions
from selfgrasp_nodes.simulation.scene import Scene
from selfgrasp_nodes.simulation.scenes import random_scene
from selfgrasp_nodes.simulation.world import World, WorldOptions
from selfgrasp_nodes.types import Trajectory

HOVER, LIFT, CLOSING = 0.15, 0.20, 0.5

VARIANTS = [
    {},
    {"timestep": 0.001},
    {"timestep": 0.003},
    {"timestep": 0.004},
    {"timestep": 0.005},
    {"cone": "pyramidal"},
    {"cone": "pyramidal", "noslip_iterations": 3},
    {"impratio": 1.0},
    {"impratio": 10.0},
    {"impratio": 100.0},
    {"noslip_iterations": 3},
    {"impratio": 1.0, "noslip_iterations": 3},
    {"integrator": "implicitfast"},
    {"integrator": "implicit"},
    {"solver": "cg"},
    {"iterations": 5},
    {"iterations": 50, "tolerance": 1e-8},
    {"tolerance": 1e-4},
    {"sleep": False},
]


@dataclass(frozen=True)
class Plan:
    """One try, planned: it does not depend on the physics settings."""

    scene: Scene
    q: np.ndarray
    descend: Trajectory
    lift: Trajectory


def plans(robot: RobotSpec, objects: int, count: int) -> list[Plan]:
    """Tries at the highest objects of random scenes, three a scene."""
    planner, arm, found = EmbeddedPlanner(robot), robot.arms[0], []
    seed = 0
    meant = arm.gripper.width_min + 0.4 * (arm.gripper.width_max - arm.gripper.width_min)
    tip = geometry.inverse(kinematics.tip_T_tcp(arm.gripper, meant))
    while len(found) < count:
        scene = random_scene(robot, objects, seed)
        seed += 1
        for obj in sorted(scene.objects, key=lambda o: -o.position[2])[:3]:
            pose = obj.pose
            x, y = pose[:2, 3] + robot.workspace.center
            angle = np.arctan2(pose[1, 1], pose[0, 1])
            down = geometry.grasp_pose(x, y, max(pose[2, 3] - 0.01, 0.02), angle) @ tip
            above = [geometry.transform((0, 0, h)) @ down for h in (HOVER, LIFT)]
            try:
                q = planner.ik(arm.name, above[0], np.array(arm.ready))
                descend = planner.plan_linear(arm.name, q, down)
                lift = planner.plan_linear(arm.name, descend.positions[-1], above[1])
            except SelfGraspError:
                continue
            found.append(Plan(scene, q, descend, lift))
    return found[:count]


def run(world: World, plan: Plan) -> tuple[float, float, bool]:
    """One try: processor seconds, simulated seconds, whether something was held."""
    arm = world.robot.arms[0]
    world.reset(plan.scene, 0)
    world.set_arm(arm.name, plan.q, arm.gripper.width_max)
    start = time.thread_time()
    for trajectory in (plan.descend, plan.lift):
        world.follow(arm.name, trajectory)
        while world.moving(arm.name):
            world.step(5)
        if trajectory is plan.descend:
            world.command_gripper(arm.name, arm.gripper.width_min, arm.gripper.force_max)
            world.step(round(CLOSING / world.timestep))
    cost = time.thread_time() - start
    return cost, world.time * 1e-9, any(t.held_by for t in world.truth())


def measure(robot: RobotSpec, physics: PhysicsOptions, tries: list[Plan]) -> dict:
    """Medians over the tries."""
    world = World(robot, WorldOptions(physics=physics))
    results = [run(world, plan) for plan in tries]
    cost, simulated = (np.median([r[i] for r in results]) for i in (0, 1))
    return {
        "try_ms": 1e3 * float(cost),
        "simulated_s": float(simulated),
        "steps_per_second": float(simulated / world.timestep / cost),
        "times_real_time": float(simulated / cost),
        "held": sum(r[2] for r in results),
        "tries": len(results),
    }


def sweep_row(robot: RobotSpec, physics: PhysicsOptions, tries: list[Plan]) -> dict:
    """Checks and cost of one choice of settings; ``error`` where it does not run."""
    arm = robot.arms[0]
    try:
        row = measure(robot, physics, tries)
        row["slope"] = physics_check.slope(robot, physics).value
        for name in ("squeeze_force", "slip", "creep", "tracking"):
            row[name] = physics_check.ARM_CHECKS[name](robot, physics, arm).value
    except SelfGraspError as error:
        return {"error": str(error)}
    return row


def markdown(robot: RobotSpec, rows: list[tuple[str, dict]]) -> str:
    """The page of documentation."""
    default = PhysicsOptions()
    settings = ", ".join(
        f"{f.name} {getattr(default, f.name)}" for f in fields(default) if f.name != "contact"
    )
    lines = [
        "# The settings of the physics, and what they cost",
        "",
        f"Written by `python bench/physics.py --sweep --write docs/physics.md` on "
        f"{platform.machine()}, Python {platform.python_version()}, robot `{robot.name}`, one "
        "thread. Each row changes only what it names against the default:",
        "",
        f"> {settings}.",
        "",
        "Columns: the error of the angle at which a block begins to slide against atan(mu) "
        "(bound 5 %); of the pads' force against the commanded one (5 %); of the weight under "
        "which a squeezed block slips against 2 mu F (10 %); creep of a held block in 10 s "
        "(2 mm); the tool's largest error on a fast trajectory (5 mm); processor time of one "
        "grasp try among 10 blocks (median), and how many of the same tries ended with an object "
        "held (the tries go straight down to the highest objects, whatever stands beside them).",
        "",
        "| changed | slope | force | slip | creep mm | tracking mm | try ms | steps/s | held |",
        "|-|-|-|-|-|-|-|-|-|",
    ]
    for label, row in rows:
        if "error" in row:
            lines.append(f"| {label} | does not run: {row['error']} | | | | | | | |")
            continue
        lines.append(
            f"| {label} | {row['slope']:.1%} | {row['squeeze_force']:.1%} | {row['slip']:.1%} "
            f"| {row['creep']:.2f} | {row['tracking']:.2f} | {row['try_ms']:.0f} "
            f"| {row['steps_per_second']:.0f} | {row['held']}/{row['tries']} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--robot", default="ur5_rg2")
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--tries", type=int, default=18)
    parser.add_argument("--sweep", action="store_true")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    robot = load_robot(args.robot)
    tries = plans(robot, args.objects, args.tries)
    measure(robot, PhysicsOptions(), tries[:2])  # warm
    if not args.sweep:
        result = measure(robot, PhysicsOptions(), tries)
        for key, value in result.items():
            print(f"{key:18s} {value:.1f}" if isinstance(value, float) else f"{key:18s} {value}")
        if args.json:
            args.json.write_text(json.dumps(result, indent=1))
        return
    rows = []
    for variant in VARIANTS:
        label = (
            ", ".join(
                f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in variant.items()
            )
            or "default"
        )
        rows.append((label, sweep_row(robot, replace(PhysicsOptions(), **variant), tries)))
        print(label, rows[-1][1], flush=True)
    if args.write:
        args.write.parent.mkdir(parents=True, exist_ok=True)
        head = markdown(robot, rows)
        tail = ""
        if args.write.exists() and "\n## " in (old := args.write.read_text()):
            tail = old[old.index("\n## ") :]  # what people wrote below the table stays
        args.write.write_text(head + tail)


if __name__ == "__main__":
    main()
