"""How fast trials are recorded: MB/s, ms to finish a trial, size on disk.

    python bench/recorder.py [--trials N] [--folder DISK] [--json FILE]

A trial here is two RGB-D views of 640 x 480 (rendered, with the cameras' noise)
and 10 s of joint states at 500 Hz, as raw CDR bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.scenes import random_scene
from selfgrasp_nodes.simulation.world import World
from selfgrasp_nodes.trials.bag import TrialBagWriter
from selfgrasp_nodes.trials.message_types import MessageTypes
from selfgrasp_nodes.trials.options import RecorderOptions
from selfgrasp_nodes.trials.reader import RunReader
from selfgrasp_nodes.trials.record import TrialRecord

TYPES = MessageTypes()
JOINT_STATE = "sensor_msgs/msg/JointState"
IMAGE = "sensor_msgs/msg/Image"
RATE, SECONDS = 500, 10


def serialise(msgtype: str, **fields: object) -> bytes:
    types = TYPES.store
    header = types.types["std_msgs/msg/Header"](
        stamp=types.types["builtin_interfaces/msg/Time"](sec=0, nanosec=0), frame_id="world"
    )
    return bytes(types.serialize_cdr(types.types[msgtype](header=header, **fields), msgtype))


def image(pixels: np.ndarray, encoding: str) -> bytes:
    data = np.frombuffer(pixels.tobytes(), np.uint8)
    rows, columns = pixels.shape[:2]
    step = pixels[0].nbytes
    return serialise(
        IMAGE, height=rows, width=columns, encoding=encoding, is_bigendian=0, step=step, data=data
    )


def messages(robot: str) -> list[tuple[str, str, bytes, int]]:
    world = World(load_robot(robot))
    world.reset(random_scene(world.robot, 10, 1), 1)
    found = []
    for stamp in (0, SECONDS * 10**9):
        view = world.render()
        found.append(("/overhead/color/image_raw", IMAGE, image(view.color, "rgb8"), stamp))
        found.append(("/overhead/depth/image_raw", IMAGE, image(view.depth, "32FC1"), stamp))
    rng = np.random.default_rng(0)
    names = [f"joint_{i}" for i in range(7)]
    for i in range(RATE * SECONDS):
        q, qd, effort = rng.normal(0, 1e-3, (3, 7)) + np.sin(i / 500)
        raw = serialise(JOINT_STATE, name=names, position=q, velocity=qd, effort=effort)
        found.append(("/joint_states", JOINT_STATE, raw, i * 10**9 // RATE))
    world.close()
    return sorted(found, key=lambda m: m[3])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--robot", default="ur5_rg2")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: temporary)")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args()
    sent = messages(args.robot)
    raw = sum(len(m[2]) for m in sent) / 1e6
    table = Table(title=f"{args.trials} trials of {raw:.1f} MB in {len(sent)} messages")
    table.add_column("compression")
    results = {}
    for compression in ("none", "chunk", "message"):
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            results[compression] = measure(Path(folder), compression, sent, raw, args.trials)
    for heading in results["none"]:
        table.add_column(heading, justify="right")
    for compression, figures in results.items():
        table.add_row(compression, *(f"{value:.3g}" for value in figures.values()))
    Console().print(table)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))


def measure(
    folder: Path, compression: str, sent: list, raw: float, trials: int
) -> dict[str, float]:
    options = RecorderOptions(compression=compression)
    feeding, finishing = [], []
    with TrialBagWriter(folder / "run", options=options) as writer:
        for number in range(trials):
            writer.begin_trial(str(number))
            start = time.perf_counter()
            for message in sent:
                writer.write(*message)
            feeding.append(time.perf_counter() - start)
            start = time.perf_counter()
            writer.finish_trial(TrialRecord(str(number), index=number))
            finishing.append(time.perf_counter() - start)
    size = sum(path.stat().st_size for path in (folder / "run" / "bag").glob("*.mcap")) / 1e6
    start = time.perf_counter()
    count = sum(1 for trial in RunReader(folder / "run").trials() for _ in trial.messages())
    reading = time.perf_counter() - start
    assert count == trials * (len(sent) + 1)
    total = sum(feeding) + sum(finishing)
    return {
        "feed [us a message]": 1e6 * float(np.median(feeding)) / len(sent),
        "finish [ms]": 1e3 * float(np.median(finishing)),
        "finish, max [ms]": 1e3 * max(finishing),
        "written [MB/s]": trials * raw / total,
        "on disk [%]": 100 * size / (trials * raw),
        "read [MB/s]": trials * raw / reading,
    }


if __name__ == "__main__":
    main()
