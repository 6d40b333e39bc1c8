"""Milliseconds in which 800 patches are judged at 18 angles.

    python bench/patch_network.py [--patches N] [--threads 1,2] [--repeats N]

The default network and the paper's, in one run, on random patches: turning included,
cutting the patches out of an image not. Wall time is the best of the repeats; CPU
time, over the threads, is what a quiet machine would need at the least. The limit
for the default network is 150 ms on two cores.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patches", type=int, default=800)
    parser.add_argument("--threads", default="1,2", help="numbers of threads, one table each")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--networks", default="polar,window,plain,alexnet")
    options = parser.parse_args()
    for threads in options.threads.split(","):
        measure(options, int(threads))


def measure(options: argparse.Namespace, threads: int) -> None:
    """Print the table of one number of threads."""
    import torch

    from selfgrasp_nodes.policies.patch.judge import CHUNK
    from selfgrasp_nodes.policies.patch.networks import fused, make_network, whole

    torch.set_num_threads(threads)
    print(f"{options.patches} patches, {threads} threads, torch {torch.__version__}")
    print(f"{'network':10} {'parameters':>12} {'wall [ms]':>10} {'CPU / threads [ms]':>20}")
    for name in options.networks.split(","):
        network = fused(make_network(name))
        pixels = 128 if name == "alexnet" else 64
        images = torch.randint(1, 255, (options.patches, pixels, pixels, 4), dtype=torch.uint8)
        tips = torch.full((options.patches,), -0.03)
        slow = name in ("alexnet", "window")
        wall, cpu = [], []
        with torch.inference_mode():
            for _ in range(1 if slow else options.repeats + 1):
                begun, used = time.perf_counter(), time.process_time()
                for first in range(0, options.patches, CHUNK):
                    part = slice(first, first + CHUNK)
                    network(images[part], whole(images[part]), tips[part])
                wall.append(time.perf_counter() - begun)
                cpu.append((time.process_time() - used) / threads)
        count = sum(parameter.numel() for parameter in network.parameters())
        print(f"{name:10} {count:12,} {1e3 * min(wall):10.0f} {1e3 * min(cpu):20.0f}", flush=True)


if __name__ == "__main__":
    main()
