"""Tries a second through the fast loop, and where the time goes.

    python bench/tries.py [--workers 1 2] [--tries N] [--profile] [--json FILE]

One try: render, heightmap, choose, plan, approach, close, lift, label, put away.
Each scene holds ``--objects`` blocks and is left after ``--per-scene`` tries, so
that the table stays full; laying it out is not counted. Besides wall time each
process counts its CPU time (all its threads): on a machine that others use too,
tries a CPU second say what a quiet one would do.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import multiprocessing
import os
import pstats
import sys
import time
from collections import defaultdict
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

PARTS = {
    "propose": "choose",
    "execute": "plan, act",
    "store": "plan, act",
    "label": "label, put away",
    "observe": "observe",
}
"""State of the trial sequence that an event begins -> what is done until the next event."""

TARGET = 10.0
"""Tries a second that the project wants of two cores."""


def work(options: argparse.Namespace, number: int, barrier: Barrier, results: Queue) -> None:
    """One process: tries until it has its share."""
    results.put(measure(options, number, barrier))


def measure(
    options: argparse.Namespace,
    number: int,
    barrier: Barrier | None = None,
    profiler: cProfile.Profile | None = None,
) -> dict:
    import cv2

    from selfgrasp_nodes.orchestration.fast import FastLoop
    from selfgrasp_nodes.orchestration.sequence import Event, Limits
    from selfgrasp_nodes.robots import load_robot
    from selfgrasp_nodes.simulation.scenes import random_scene

    cv2.setNumThreads(1)
    robot = load_robot(options.robot)
    loop = FastLoop(robot, options.policy)
    seeds = iter(range(options.seed + 1000 * number, options.seed + 1000 * (number + 1)))
    scenes = [
        (random_scene(robot, options.objects, seed), seed)
        for seed, _ in zip(seeds, range(1 + -(-options.tries // options.per_scene)), strict=False)
    ]
    limits = Limits(max_actions=options.per_scene)
    loop.run(*scenes.pop(), limits=Limits(max_actions=1))  # warms caches up
    if barrier is not None:
        barrier.wait()
    states: dict[str, float] = defaultdict(float)
    last: list[tuple[str, float, float]] = []

    def on_event(event: Event) -> None:
        now, cpu = time.perf_counter(), time.process_time()
        # What comes before the first decision of a scene is no try's time.
        if last:
            states[PARTS[last[0][0]]] += cpu - last[0][2]
            totals["wall"] += now - last[0][1]
            totals["cpu"] += cpu - last[0][2]
        if last or event.state.value == "propose":
            last[:] = [(event.state.value, now, cpu)] if event.state.value != "done" else []

    totals = {"wall": 0.0, "cpu": 0.0, "tries": 0, "steps": 0.0, "held": 0}
    for scene, seed in scenes:
        last.clear()
        if profiler:
            profiler.enable()
        run = loop.run(scene, seed, limits, on_event=on_event, keep_trials=False)
        if profiler:
            profiler.disable()
        totals["tries"] += len(run.held)
        totals["held"] += sum(map(bool, run.held))
        totals["steps"] += loop.world.time * 1e-9
    return {**totals, "states": dict(states)}


def measure_all(options: argparse.Namespace, workers: int) -> dict:
    """Tries a second with that many processes at once."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(workers), context.Queue()
    processes = [
        context.Process(target=work, args=(options, n, barrier, results)) for n in range(workers)
    ]
    for process in processes:
        process.start()
    done = [results.get() for _ in processes]
    for process in processes:
        process.join()
    tries = sum(d["tries"] for d in done)
    states = {
        name: 1e3 * sum(d["states"].get(name, 0.0) for d in done) / tries
        for name in dict.fromkeys(PARTS.values())
    }
    return {
        "workers": workers,
        "tries": tries,
        "held": sum(d["held"] for d in done),
        "tries/s": sum(d["tries"] / d["wall"] for d in done),
        "tries/CPU s": tries / sum(d["cpu"] for d in done),
        "simulated s/try": sum(d["steps"] for d in done) / tries,
        "ms": states,
    }


def show(results: list[dict], options: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    console = Console()
    table = Table(
        title=f"{options.robot}, {options.policy}, {options.objects} objects, "
        f"{options.per_scene} tries a scene ({cores} cores, load {load:.1f})"
    )
    headings = ("tries", "held", "tries/s", "tries/CPU s", "simulated s/try")
    for heading in ("workers", *headings):
        table.add_column(heading, justify="right")
    for name in results[0]["ms"]:
        table.add_column(f"{name} [CPU ms]", justify="right")
    for r in results:
        figures = [f"{r[h]:.3g}" for h in headings]
        table.add_row(str(r["workers"]), *figures, *(f"{v:.0f}" for v in r["ms"].values()))
    console.print(table)
    best = max(results, key=lambda r: r["tries/s"])
    if best["tries/s"] < TARGET:
        console.print(f"below the target of {TARGET:g} tries/s")
    console.print(f"[dim]python {' '.join(sys.argv)}[/]", soft_wrap=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--robot", default="ur5_rg2")
    parser.add_argument("--policy", default="antipodal")
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--tries", type=int, default=60, help="of each process")
    parser.add_argument("--per-scene", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seed", type=int, default=20001)
    parser.add_argument("--profile", action="store_true", help="one process, functions by time")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LP_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # one core a process
    if options.profile:
        # Processor time: others on this machine do not count.
        profiler = cProfile.Profile(time.process_time)
        measure(options, 0, None, profiler)
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
        return
    results = [measure_all(options, workers) for workers in options.workers]
    show(results, options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
