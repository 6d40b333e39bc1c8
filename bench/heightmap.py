"""Heightmap: milliseconds on one core, against the plain approach in the same run.

    python bench/heightmap.py [--repeat N] [--json FILE]

The plain approach transforms every pixel, sorts all points by height and
scatters them in that order. Both see the same noisy 640x480 view of 12 boxes
from VPG's camera pose, and their maps are compared before they are timed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.boxes import WORKSPACE, cast, noisy, overhead, random_boxes
from selfgrasp_nodes.perception import images
from selfgrasp_nodes.perception.heightmap import build_heightmap
from selfgrasp_nodes.perception.rays import forget_cameras
from selfgrasp_nodes.types import Heightmap, View, Workspace


def plain_heightmap(view: View, workspace: Workspace) -> Heightmap:
    """Transform all points, sort by height, scatter: VPG's rules as one reads them."""
    h, w = view.depth.shape
    u, v = np.meshgrid(np.arange(w), np.arange(h))
    z = view.depth.astype(np.float64)
    x = (u - view.intrinsics[0, 2]) * z / view.intrinsics[0, 0]
    y = (v - view.intrinsics[1, 2]) * z / view.intrinsics[1, 1]
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    colors = view.color.reshape(-1, 3)
    keep = np.isfinite(points[:, 2]) & (points[:, 2] > 0)
    points, colors = points[keep], colors[keep]
    points = points @ view.world_T_camera[:3, :3].T + view.world_T_camera[:3, 3]
    order = np.argsort(points[:, 2])
    points, colors = points[order], colors[order]
    cell = np.floor((points[:, :2] - workspace.low) / workspace.resolution).astype(int)
    rows, cols = workspace.shape
    keep = (
        (cell[:, 0] >= 0)
        & (cell[:, 0] < cols)
        & (cell[:, 1] >= 0)
        & (cell[:, 1] < rows)
        & (points[:, 2] < workspace.height_max)
    )
    cell, points, colors = cell[keep], points[keep], colors[keep]
    height = np.zeros((rows, cols))
    color = np.zeros((rows, cols, 3), np.uint8)
    valid = np.zeros((rows, cols), bool)
    height[cell[:, 1], cell[:, 0]] = np.maximum(points[:, 2], 0)
    color[cell[:, 1], cell[:, 0]] = colors
    valid[cell[:, 1], cell[:, 0]] = True
    return Heightmap(workspace, color, height.astype(np.float32), valid)


def timed(call: Callable[[], object], repeat: int) -> np.ndarray:
    """Milliseconds of a core that each of ``repeat`` calls takes.

    The thread's own time: what else runs on the machine does not count.
    """
    spent = np.empty(repeat)
    for i in range(repeat):
        start = time.thread_time()
        call()
        spent[i] = time.thread_time() - start
    return spent * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=100, help="timed calls of each")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core, whoever has threads

    boxes = random_boxes(12, seed=0)
    view = noisy(cast(boxes), seed=1)
    hand = noisy(cast(boxes, overhead(), camera="hand"), seed=2)
    depth_bytes = images.from_metres(view.depth, "16UC1").tobytes()
    color_bytes = view.color.tobytes()

    def node() -> None:
        """What a node does for each pair of messages."""
        color = images.to_rgb(images.decode(color_bytes, 480, 640, "rgb8", 1920), "rgb8")
        depth = images.to_metres(images.decode(depth_bytes, 480, 640, "16UC1", 1280), "16UC1")
        received = View("overhead", color, depth, view.intrinsics, view.world_T_camera)
        build_heightmap([received], WORKSPACE)

    def moved() -> None:
        """The first picture from a new pose."""
        forget_cameras()
        build_heightmap([view], WORKSPACE)

    fast, plain = build_heightmap([view], WORKSPACE), plain_heightmap(view, WORKSPACE)
    differ = int((np.abs(fast.height - plain.height) > 1e-5).sum())
    for _ in range(5):
        node()
        plain_heightmap(view, WORKSPACE)
    # Alternate in short turns: what else the machine does hits both alike.
    turns = max(1, options.repeat // 10)
    ours, theirs, whole, two, first = (
        np.concatenate(parts)
        for parts in zip(
            *(
                (
                    timed(lambda: build_heightmap([view], WORKSPACE), 10),
                    timed(lambda: plain_heightmap(view, WORKSPACE), 2),
                    timed(node, 10),
                    timed(lambda: build_heightmap([view, hand], WORKSPACE), 5),
                    timed(moved, 2),
                )
                for _ in range(turns)
            ),
            strict=True,
        )
    )
    figures = {
        "heightmap_ms": float(np.median(ours)),
        "heightmap_p95_ms": float(np.percentile(ours, 95)),
        "plain_ms": float(np.median(theirs)),
        "ratio": float(np.median(theirs) / np.median(ours)),
        "two_views_ms": float(np.median(two)),
        "new_pose_ms": float(np.median(first)),
        "node_ms": float(np.median(whole)),
        "node_hz": float(1e3 / np.percentile(whole, 95)),
        "cells_that_differ": differ,
        "cells": int(fast.height.size),
    }
    print("heightmap, 640x480 to 224x224, one core, medians")
    print(
        f"  build_heightmap     {figures['heightmap_ms']:7.2f} ms"
        f"  (95th percentile {figures['heightmap_p95_ms']:.2f} ms)"
    )
    print(
        f"  plain approach      {figures['plain_ms']:7.2f} ms"
        f"  ({figures['ratio']:.1f} times as long)"
    )
    print(f"  two views           {figures['two_views_ms']:7.2f} ms")
    print(f"  from a new pose     {figures['new_pose_ms']:7.2f} ms  (rays are not cached yet)")
    print(
        f"  decode and build    {figures['node_ms']:7.2f} ms"
        f"  (a node on one core keeps up with {figures['node_hz']:.0f} Hz)"
    )
    print(f"  cells that differ   {differ} of {fast.height.size} (points on a cell's border)")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
