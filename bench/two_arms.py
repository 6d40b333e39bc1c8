"""How two arms share the table, from a recorded run: run ``python bench/two_arms.py --help``.

The recorded joint states are replayed through the simulated cell, which has
collision shapes on every link: contacts between the arms and their least
distance come from there, and from the phases how long both arms were at work at
the same time.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import mujoco
import numpy as np

from selfgrasp_nodes.robots import RobotSpec, load_robot
from selfgrasp_nodes.simulation.scene import Scene
from selfgrasp_nodes.simulation.world import World
from selfgrasp_nodes.trials.reader import RunReader

FAR = 1.0  # distances beyond this are not measured [m]


def main() -> None:
    """Print the figures of each run, and of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of recorded runs")
    parser.add_argument("--robot", default="baxter")
    parser.add_argument("--step", type=float, default=0.02, help="between states replayed [s]")
    args = parser.parse_args()
    robot = load_robot(args.robot)
    replay = Replay(robot)
    for folder in args.runs:
        run = RunReader(folder)
        busy, together, pairs = overlap(run)
        print(f"{folder}: {len(run)} trials by {', '.join(sorted(busy))}")
        for arm, seconds in sorted(busy.items()):
            print(f"  {arm} at work {seconds:.2f} s")
        print(f"  both at work at once {together:.2f} s; {', '.join(pairs) or 'never'}")
        states = joint_states(run, robot, args.step)
        distance, contacts = replay.check(states)
        print(
            f"  {len(states)} states replayed: {contacts} with contact between the arms, "
            f"least distance {distance * 1e3:.0f} mm"
        )


def overlap(run: RunReader) -> tuple[dict[str, float], float, list[str]]:
    """Seconds at work by arm, seconds together, and the pairs of phases that ran at once."""
    spans: dict[str, list[tuple[int, int, str]]] = {}
    for record in run.records:
        own = spans.setdefault(str(record.candidate["arm"]), [])
        own.extend((start, end, str(code)) for code, start, end in record.phases)
    together, seconds = 0, {}
    pairs: dict[str, float] = {}
    for arm, own in spans.items():
        seconds[arm] = sum(end - start for start, end, _ in own) / 1e9
    for one, other in itertools.combinations(sorted(spans), 2):
        for a, b in itertools.product(spans[one], spans[other]):
            shared = min(a[1], b[1]) - max(a[0], b[0])
            if shared > 0:
                together += shared
                name = f"{a[2]}/{b[2]}"
                pairs[name] = pairs.get(name, 0.0) + shared / 1e9
    best = sorted(pairs.items(), key=lambda item: -item[1])
    return seconds, together / 1e9, [f"{name} {s:.2f} s" for name, s in best]


def joint_states(run: RunReader, robot: RobotSpec, step: float) -> list[dict[str, float]]:
    """Recorded positions by joint, at most one every ``step`` [s]."""
    found: dict[int, dict[str, float]] = {}
    for trial in run.trials():
        for message in trial.messages(["/joint_states"]):
            state = message.decode()
            at = state.header.stamp.sec * 1_000_000_000 + state.header.stamp.nanosec
            found[at] = dict(zip(state.name, state.position, strict=True))
    kept, last = [], -np.inf
    for at in sorted(found):
        if at - last >= step * 1e9:
            kept.append(found[at])
            last = at
    return kept


class Replay:
    """The cell's collision shapes at recorded joint positions."""

    def __init__(self, robot: RobotSpec):
        self._robot = robot
        self._world = World(robot)
        self._world.reset(Scene("empty", ()), 0)
        model = self._world.model
        self._shapes = {arm.name: _shapes(model, arm.joints[0]) for arm in robot.arms}

    def check(self, states: list[dict[str, float]]) -> tuple[float, int]:
        """Least distance between any two arms [m], and the states with a contact between them."""
        model, data = self._world.model, self._world.data
        least, touching = FAR, 0
        for state in states:
            for name, value in state.items():
                data.qpos[model.joint(name).qposadr[0]] = value
            mujoco.mj_forward(model, data)
            touching += self._touch()
            for one, other in itertools.combinations(self._shapes.values(), 2):
                for a, b in itertools.product(one, other):
                    apart = np.linalg.norm(data.geom_xpos[a] - data.geom_xpos[b])
                    if apart - model.geom_rbound[a] - model.geom_rbound[b] < least:
                        least = min(least, mujoco.mj_geomDistance(model, data, a, b, FAR, None))
        return least, touching

    def _touch(self) -> bool:
        owner = {geom: arm for arm, geoms in self._shapes.items() for geom in geoms}
        for a, b in self._world.data.contact.geom.tolist():
            if a in owner and b in owner and owner[a] != owner[b]:
                return True
        return False


def _shapes(model: mujoco.MjModel, first_joint: str) -> list[int]:
    """Geoms that collide, of the links from a joint on."""
    root = int(model.jnt_bodyid[model.joint(first_joint).id])
    links = set()
    for body in range(model.nbody):
        at = body
        while at not in (0, root):
            at = int(model.body_parentid[at])
        if at == root:
            links.add(body)
    return [
        geom
        for geom in range(model.ngeom)
        if int(model.geom_bodyid[geom]) in links and model.geom_contype[geom]
    ]


if __name__ == "__main__":
    main()
