"""The same candidates through the fast loop and through the ROS graph: how often they agree.

    python bench/parity.py [--cases 200] [--robot ur5_rg2] [--real-time-factor 1] [--json FILE]

Good and bad candidates of the antipodal and random policies, ten on each scene
of ten blocks, each tried on the fresh scene. At least 95 % have to agree.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

TARGET = 0.95


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--robot", default="ur5_rg2")
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--seed", type=int, default=30001)
    parser.add_argument("--real-time-factor", default="1", help="0: as fast as it can")
    parser.add_argument("--log", type=Path, help="what the nodes print")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()

    from selfgrasp_nodes.cli import environment
    from selfgrasp_nodes.cli.domain import stay_local

    environment.enter()
    stay_local(os.environ)
    return compare(options)


def compare(options: argparse.Namespace) -> int:
    from rich.console import Console

    from selfgrasp_nodes import bringup
    from selfgrasp_nodes.learning import parity
    from selfgrasp_nodes.nodes.parity_graph import GraphSide
    from selfgrasp_nodes.robots import load_robot
    from selfgrasp_nodes.supervisor import Supervisor

    console = Console()
    fast = parity.FastSide(load_robot(options.robot))
    given = {
        "robot": options.robot,
        "objects": "0",
        "real_time_factor": options.real_time_factor,
    }
    log = options.log.open("w") if options.log else None
    show = (lambda line: print(line, file=log, flush=True)) if log else None
    supervisor = Supervisor(bringup.describe("sim", given), show)
    done: list[parity.Comparison] = []
    try:
        supervisor.start()
        supervisor.wait_ready(180)
        with GraphSide() as graph:
            cases = fast.cases(options.cases, options.seed, options.objects)
            for comparison in parity.compare(list(cases), fast.run, graph.run):
                done.append(comparison)
                mark = "" if comparison.same_label and comparison.same_truth else "  <- differs"
                console.print(
                    f"{len(done):4d} {comparison.case.id:24s} fast {comparison.fast.verdict:12s} "
                    f"graph {comparison.graph.verdict:12s} {comparison.fast.seconds:5.1f} s "
                    f"{comparison.graph.seconds:5.1f} s{mark}",
                    highlight=False,
                    soft_wrap=True,
                )
                if options.json:
                    options.json.write_text(json.dumps(parity.summary(done), indent=1))
    finally:
        supervisor.stop()
        if log:
            log.close()
    found = parity.summary(done)
    console.print_json(json.dumps(found))
    agreement = found["agreement by label"]
    assert isinstance(agreement, float)
    return 0 if agreement >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
