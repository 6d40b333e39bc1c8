"""The whole graph at work for minutes: does it keep up, lose pictures, grow?

    python bench/soak.py [--minutes 10] [--processes grouped separate] [--json FILE]

Brings the simulation up as ``selfgrasp up sim`` does (recorder included), and
clears one table after the other. Prints the real-time factor, lost pictures,
latencies, picks, and for each process its memory after the first table, its
growth until the end, and its processor time. Several arrangements of processes
are measured one after the other and compared.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

_TICK = os.sysconf("SC_CLK_TCK")
_PERIOD = 5.0
COLUMNS = ("MiB", "growth [MiB]", "second half [MiB]", "cores")


class ProcessMeter:
    """Memory [MiB] and processor time [s] of processes, sampled in a thread."""

    def __init__(self, processes: dict[str, int]):
        self.samples: dict[str, list[tuple[float, float, float]]] = {n: [] for n in processes}
        self._processes = processes
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ending.set()
        self._thread.join()

    def forget(self) -> None:
        """Begin anew."""
        for samples in self.samples.values():
            samples.clear()

    def _work(self) -> None:
        while not self._ending.is_set():
            for name, pid in self._processes.items():
                with contextlib.suppress(OSError):  # where it died the supervisor says so
                    self.samples[name].append((time.monotonic(), *_usage(pid)))
            self._ending.wait(_PERIOD)

    def figures(self) -> dict[str, dict[str, float]]:
        """By process: memory, its growth since the first sample, cores used."""
        found = {}
        for name, samples in self.samples.items():
            if len(samples) < 2:
                continue
            (begun, memory, cpu), (ended, last, cpu_end) = samples[0], samples[-1]
            found[name] = {
                "MiB": last,
                "growth [MiB]": last - memory,
                "second half [MiB]": last - samples[len(samples) // 2][1],
                "cores": (cpu_end - cpu) / (ended - begun),
            }
        return found


def _usage(pid: int) -> tuple[float, float]:
    """Private memory [MiB] (shared segments belong to all) and processor time [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    resident, shared = map(int, Path(f"/proc/{pid}/statm").read_text().split()[1:3])
    memory = (resident - shared) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return memory, (int(fields[11]) + int(fields[12])) / _TICK


def counters(graph: Any) -> dict[str, float]:
    """Pictures taken and pictures that arrived, once every node has said so in its diagnostics."""
    time.sleep(5.0)
    return {
        "pictures": graph.counter("sim", "pictures"),
        "heightmap": graph.counter("heightmap", "pictures/overhead"),
        "roi": graph.counter("roi", "frames"),
    }


def check_alive(supervisor: Any) -> None:
    """Nothing, unless a process has died.

    Raises:
        Unavailable: With the death of the process.
    """
    from selfgrasp_nodes.errors import Unavailable

    supervisor.poll()
    if supervisor.deaths:
        raise Unavailable(str(supervisor.deaths[0]))


def soak(options: argparse.Namespace, processes: str) -> dict[str, Any]:
    """One arrangement."""
    from selfgrasp_nodes import bringup
    from selfgrasp_nodes.errors import SelfGraspError
    from selfgrasp_nodes.nodes.graph_meter import MeterSession, median, percentile
    from selfgrasp_nodes.robots import load_robot
    from selfgrasp_nodes.supervisor import Supervisor

    folder = Path(tempfile.mkdtemp(prefix="selfgrasp-soak-"))
    given = {
        "robot": options.robot,
        "objects": "0",
        "record": str(folder / "bag"),
        "processes": processes,
    }
    log = (folder / "nodes.log").open("w")
    supervisor = Supervisor(
        bringup.describe("sim", given), lambda line: print(line, file=log, flush=True)
    )
    tables: list[dict[str, Any]] = []
    problems: list[str] = []
    try:
        supervisor.start()
        supervisor.wait_ready(180)
        meter = ProcessMeter({c.process.name: c.popen.pid for c in supervisor.children})
        with MeterSession(load_robot(options.robot), folder) as graph:
            end = time.monotonic() + 60 * options.minutes
            begun = time.monotonic()
            number = 0
            before: dict[str, float] = {}
            while time.monotonic() < end:
                seed = options.seed + number
                number += 1
                try:
                    graph.prepare(options.objects, seed)
                    answer = graph.clear_table(
                        options.policy, seed, 600.0, lambda: check_alive(supervisor)
                    )
                    left = graph.where_objects_are()["workspace"]
                    tables.append(
                        {"actions": answer.actions, "cleared": answer.cleared, "left": left}
                    )
                    if not answer.success:
                        problems.append(f"table {number}: {answer.message}")
                except SelfGraspError as error:
                    problems.append(f"table {number}: {error}")
                    if supervisor.deaths:
                        break
                if number == 1:  # what is loaded once is loaded by now
                    before = counters(graph)
                    meter.forget()
                    graph.forget()
                    begun = time.monotonic()
            wall = time.monotonic() - begun
            meter.close()
            factor = graph.real_time_factor()
            counted = {key: value - before.get(key, 0.0) for key, value in counters(graph).items()}
            taken = counted["pictures"]
            names = {
                "picture": (graph.latencies["picture"], 1e3),
                "render": (graph.values("sim", "render_ms"), 1.0),
                "heightmap": (graph.values("heightmap", "heightmap_ms"), 1.0),
                "policy": (graph.values("policy", "inference_ms"), 1.0),
                "plan": (graph.values("motion", "plan_ms"), 1.0),
                "rest between picks": ([rest for _, rest in graph.trials], 1e3),
            }
            lost = {name: taken - counted[name] for name in ("heightmap", "roi")}
            return {
                "processes": processes,
                "minutes": wall / 60,
                "real-time factor": factor,
                "slowest 5 s": graph.slowest_seconds(),
                "pictures": taken,
                "lost": lost,
                "tables": len(tables),
                "tables cleared": sum(t["left"] == 0 for t in tables),
                "tries": sum(t["actions"] for t in tables),
                "cleared": sum(t["cleared"] for t in tables),
                "tries/min": len(graph.trials) / (wall / 60),
                "latency [ms]": {
                    name: {
                        "median": factor * median(values),
                        "95 %": factor * percentile(values, 95),
                        "n": len(values),
                    }
                    for name, (values, factor) in names.items()
                },
                "memory": meter.figures(),
                "problems": problems + [str(death) for death in supervisor.deaths],
                "load": os.getloadavg()[0],
            }
    finally:
        supervisor.stop()
        log.close()
        if options.keep:
            print(f"bag and node's lines: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def show(results: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title="Soak")
    table.add_column("measure")
    for r in results:
        table.add_column(r["processes"], justify="right")
    plain = ("minutes", "real-time factor", "slowest 5 s", "pictures", "tables", "tables cleared")
    for key in (*plain, "tries", "cleared", "tries/min"):
        table.add_row(key, *(f"{r[key]:.4g}" for r in results))
    for name in results[0]["lost"]:
        table.add_row(f"pictures lost to {name}", *(f"{r['lost'][name]:.0f}" for r in results))
    for name in results[0]["latency [ms]"]:
        cells = (r["latency [ms]"][name] for r in results)
        table.add_row(
            f"{name} [ms], median (95 %)", *(f"{c['median']:.0f} ({c['95 %']:.0f})" for c in cells)
        )
    sums = [{key: sum(f[key] for f in r["memory"].values()) for key in COLUMNS} for r in results]
    for key in COLUMNS:
        table.add_row(f"all processes: {key}", *(f"{s[key]:.3g}" for s in sums))
    table.add_row("load of the machine at the end", *(f"{r['load']:.1f}" for r in results))
    console.print(table)
    for r in results:
        detail = Table(title=f"Processes, {r['processes']}")
        for heading in ("process", *COLUMNS):
            detail.add_column(heading, justify="left" if heading == "process" else "right")
        for name, f in r["memory"].items():
            detail.add_row(name, *(f"{f[k]:.3g}" for k in COLUMNS))
        console.print(detail)
        for problem in r["problems"]:
            console.print(f"{r['processes']}: {problem}", markup=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument(
        "--processes", nargs="+", default=["grouped"], choices=("grouped", "separate")
    )
    parser.add_argument("--robot", default="ur5_rg2")
    parser.add_argument("--policy", default="antipodal")
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--seed", type=int, default=40001)
    parser.add_argument("--keep", action="store_true", help="keep the bag and the nodes' lines")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()

    from selfgrasp_nodes.cli import environment
    from selfgrasp_nodes.cli.domain import stay_local

    environment.enter()
    stay_local(os.environ)
    results = []
    for processes in options.processes:
        results.append(soak(options, processes))
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))
    show(results)


if __name__ == "__main__":
    main()
