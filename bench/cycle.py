"""Where the time of a pick goes, on the running graph or in a recorded bag.

    python bench/cycle.py [--robot ur5_rg2] [--tables 2] [--objects 10] [--json FILE]
    python bench/cycle.py --bag out/demo-.../bag

Live, it brings the simulation up at real time, clears tables, and prints the
phases of a try, the time from one try to the next, what observing, choosing
and planning take, and how long arm and gripper rest between picks.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def from_bag(folder: Path) -> dict[str, list[float]]:
    """Phases and cycles of a recorded run [s]."""
    from selfgrasp_nodes.trials.reader import RunReader

    found: dict[str, list[float]] = defaultdict(list)
    begun = None
    for reader in RunReader(folder).trials():
        phases = reader.record.phases
        for name, start, end in phases:
            found[f"phase {name.lower()}"].append((end - start) * 1e-9)
        if phases:
            if begun is not None:
                found["cycle"].append((phases[0][1] - begun) * 1e-9)
            begun = phases[0][1]
    return found


def check_alive(supervisor: Any) -> None:
    """Nothing, unless a process has died.

    Raises:
        Unavailable: With the death of the process.
    """
    from selfgrasp_nodes.errors import Unavailable

    supervisor.poll()
    if supervisor.deaths:
        raise Unavailable(str(supervisor.deaths[0]))


def live(options: argparse.Namespace) -> tuple[dict[str, list[float]], dict]:
    """Clear tables and measure."""
    from selfgrasp_nodes import bringup
    from selfgrasp_nodes.nodes.graph_meter import MeterSession
    from selfgrasp_nodes.robots import load_robot
    from selfgrasp_nodes.supervisor import Supervisor

    folder = Path(tempfile.mkdtemp(prefix="selfgrasp-bench-"))
    given = {"robot": options.robot, "objects": "0", "record": str(folder / "bag")}
    supervisor = Supervisor(bringup.describe("sim", given), None)
    tries = cleared = 0
    try:
        supervisor.start()
        supervisor.wait_ready(180)
        with MeterSession(load_robot(options.robot), folder) as meter:
            for number in range(options.tables):
                meter.prepare(options.objects, options.seed + number)
                if not number:
                    meter.forget()
                result = meter.clear_table(
                    options.policy, options.seed + number, 900.0, lambda: check_alive(supervisor)
                )
                tries, cleared = tries + result.actions, cleared + result.cleared
            found: dict[str, list[float]] = {
                "cycle": meter.cycles(),
                "rest between picks": [rest for _, rest in meter.trials],
                "observe: picture arrives": meter.latencies["picture"],
                "observe: heightmap": [
                    v * 1e-3 for v in meter.values("heightmap", "heightmap_ms")
                ],
                "choose: policy": [v * 1e-3 for v in meter.values("policy", "inference_ms")],
                "choose: with transport": meter.latencies["choose"],
                "plan": [v * 1e-3 for v in meter.values("motion", "plan_ms")],
                **{f"phase {name}": spent for name, spent in meter.phases().items()},
            }
            return found, {
                "tries": tries,
                "cleared": cleared,
                "real-time factor": meter.real_time_factor(),
            }
    finally:
        supervisor.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--robot", default="ur5_rg2")
    parser.add_argument("--policy", default="antipodal")
    parser.add_argument("--tables", type=int, default=2)
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--seed", type=int, default=20001)
    parser.add_argument("--bag", type=Path, help="a recorded run instead of a live one")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    from selfgrasp_nodes.cli import environment
    from selfgrasp_nodes.cli.domain import stay_local

    environment.enter()
    if options.bag:
        found, facts = from_bag(options.bag), {}
    else:
        stay_local(os.environ)
        found, facts = live(options)
    show(found, facts)
    if options.json:
        options.json.write_text(json.dumps({**facts, "seconds": found}, indent=1))


def show(found: dict[str, list[float]], facts: dict) -> None:
    from rich.console import Console
    from rich.table import Table

    from selfgrasp_nodes.nodes.graph_meter import median, percentile

    facts = {**facts, "load of the machine": os.getloadavg()[0]}
    title = ", ".join(
        f"{k} {v:.2f}" if isinstance(v, float) else f"{k} {v}" for k, v in facts.items()
    )
    table = Table(title=title)
    for heading in ("part of a pick", "median [s]", "95 % [s]", "n"):
        table.add_column(heading, justify="left" if heading.startswith("part") else "right")
    for name, values in found.items():
        low, high = median(values), percentile(values, 95)
        table.add_row(name, f"{low:.3f}", f"{high:.3f}", str(len(values)))
    console = Console()
    console.print(table)
    console.print("phases and cycle in simulated time, everything else in wall time")


if __name__ == "__main__":
    main()
