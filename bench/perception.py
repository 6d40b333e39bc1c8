"""Perception on rendered pictures with sensor noise, measured against the simulator's truth.

    python bench/perception.py [--seeds N] [--objects N] [--robot R] [--json FILE]

For each seed a random scene is rendered with all noise on. Heights are compared
with rays cast straight down on the simulated geometry (cells at edges left
out), regions with the pixels at which rays through the camera meet each block.
Truth judges here; nothing that perceives sees it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("MUJOCO_GL", "egl")

import mujoco

from selfgrasp_nodes import geometry
from selfgrasp_nodes.perception.change import ChangeRule, changed_area
from selfgrasp_nodes.perception.heightmap import build_heightmap
from selfgrasp_nodes.perception.pixels import workspace_mask
from selfgrasp_nodes.perception.rays import pixel_rays
from selfgrasp_nodes.perception.regions import BackgroundModel, RegionOptions
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.scenes import Scene, random_scene
from selfgrasp_nodes.simulation.world import World
from selfgrasp_nodes.types import Regions, View, Workspace

STRIDE = 2
"""Every n-th pixel gets a ray."""


def true_heights(world: World, workspace: Workspace) -> np.ndarray:
    """Height of the simulated surface at each cell's centre, (rows, cols) [m]."""
    rows, cols = workspace.shape
    r, c = np.mgrid[:rows, :cols]
    xy = geometry.pixel_to_point(workspace, r, c).reshape(-1, 2)
    height = np.empty(len(xy))
    down, geom = np.array([0.0, 0.0, -1.0]), np.array([-1], np.int32)
    for i, (x, y) in enumerate(xy):
        start = np.array([x, y, 1.0])
        d = mujoco.mj_ray(world.model, world.data, start, down, None, 1, -1, geom)
        height[i] = 1.0 - d if d >= 0 else 0.0
    return height.reshape(rows, cols)


def away_from_edges(truth: np.ndarray) -> np.ndarray:
    """Cells whose 5 x 5 surroundings have one height to 3 mm."""
    kernel = np.ones((5, 5), np.uint8)
    return cv2.dilate(truth, kernel) - cv2.erode(truth, kernel) < 0.003


def true_bodies(world: World, view: View) -> np.ndarray:
    """Body that each STRIDE-th pixel sees, -1 for none."""
    rays = pixel_rays(view.intrinsics, view.world_T_camera, view.depth.shape)
    rays = rays[::STRIDE, ::STRIDE]
    shape = rays.shape[:2]
    directions = (rays / np.linalg.norm(rays, axis=2, keepdims=True)).reshape(-1, 3)
    geom = np.full(len(directions), -1, np.int32)
    distance = np.empty(len(directions))
    eye = np.ascontiguousarray(view.world_T_camera[:3, 3])
    mujoco.mj_multiRay(
        world.model, world.data, eye, np.ascontiguousarray(directions).ravel(),
        None, 1, -1, geom, distance, None, len(directions), 10.0,
    )  # fmt: skip
    return np.where(geom >= 0, world.model.geom_bodyid[geom], -1).reshape(shape)


def judge_regions(regions: Regions, bodies: np.ndarray, blocks: list[int]) -> dict[str, int]:
    """How many blocks are covered by a region, and what the regions hold."""
    mask = regions.mask[::STRIDE, ::STRIDE]
    sizes = {body: int((bodies == body).sum()) for body in blocks}
    visible = [body for body in blocks if sizes[body] * STRIDE**2 >= 60]
    found = [body for body in visible if mask[bodies == body].mean() >= 0.5]
    count, labels = cv2.connectedComponents(mask.astype(np.uint8))
    holds = [
        sum(int((bodies[labels == i] == body).sum()) * 2 >= sizes[body] for body in visible)
        for i in range(1, count)
    ]
    on_blocks = np.isin(bodies, blocks)
    return {
        "visible": len(visible),
        "found": len(found),
        "regions": len(regions.regions),
        "empty_regions": sum(not bool(on_blocks[labels == i].any()) for i in range(1, count)),
        "alone": sum(n == 1 for n in holds),
        "wrong_pixels": int((mask & ~on_blocks).sum()),
        "pixels": int(mask.sum()),
    }


def paint(world: World, blocks: list[int], empty: View) -> None:
    """Give all blocks the mean colour of the empty table's middle."""
    h, w = empty.depth.shape
    middle = empty.color[h // 2 : h // 2 + 40, w // 2 - 20 : w // 2 + 20]
    geoms = np.isin(world.model.geom_bodyid, blocks)
    # Lit surfaces differ in brightness by their direction, so this hides tops best.
    world.model.geom_rgba[geoms, :3] = middle.mean(axis=(0, 1)) / 255


def save(path: Path, view: View, regions: Regions) -> None:
    """Picture and mask side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.repeat(regions.mask[..., None] * np.uint8(255), 3, axis=2)
    cv2.imwrite(str(path), np.hstack([view.color, mask])[..., ::-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--robot", default="ur5_rg2")
    parser.add_argument("--pictures", type=Path, help="folder for the pictures and masks")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()

    robot = load_robot(options.robot)
    workspace = robot.workspace.workspace
    world = World(robot)
    empty = [world.render() for _ in range(20)]
    camera = robot.camera()
    within = workspace_mask(
        camera.intrinsics, empty[0].world_T_camera, workspace, empty[0].depth.shape, 0.12
    )
    models = {
        "colour": BackgroundModel(),
        "colour, shadows apart": BackgroundModel(RegionOptions(shadows=True)),
        "colour and depth": BackgroundModel(),
    }
    for name, model in models.items():
        model.learn_empty(
            [v.color for v in empty], [v.depth for v in empty] if "depth" in name else ()
        )
    errors, flicker, paper_flicker, times = [], [], [], []
    totals: dict[str, dict[str, int]] = {name: {} for name in models}
    camouflaged: dict[str, dict[str, int]] = {name: {} for name in models}
    for seed in range(options.seeds):
        world.reset(random_scene(robot, options.objects, seed), seed)
        view, again = world.render(), world.render()
        heightmap = build_heightmap([view], workspace)
        truth = true_heights(world, workspace)
        judged = heightmap.valid & away_from_edges(truth)
        errors.append((heightmap.height - truth)[judged])
        second = build_heightmap([again], workspace)
        flicker.append(changed_area(heightmap, second).pixels)
        paper_flicker.append(changed_area(heightmap, second, ChangeRule(opening=0)).pixels)
        bodies = true_bodies(world, view)
        blocks = [world.model.body(item.id).id for item in world.truth()]
        paint(world, blocks, empty[0])
        alike = world.render()
        for name, model in models.items():
            for picture, sums in ((view, totals[name]), (alike, camouflaged[name])):
                depth = picture.depth if "depth" in name else None
                start = time.perf_counter()
                regions = model.regions(picture.color, camera.name, depth=depth, within=within)
                times.append(time.perf_counter() - start)
                for key, value in judge_regions(regions, bodies, blocks).items():
                    sums[key] = sums.get(key, 0) + value
                if options.pictures and "shadows" not in name:
                    kind = name + (" alike" if picture is alike else "")
                    save(options.pictures / f"{seed:03d} {kind}.png", picture, regions)
    world.reset(Scene("empty", ()), options.seeds)
    false = {
        name: sum(
            len(
                model.regions(
                    v.color, v.camera, depth=v.depth if "depth" in name else None, within=within
                ).regions
            )
            for v in (world.render() for _ in range(10))
        )
        for name, model in models.items()
    }
    world.close()
    error = np.concatenate(errors)
    figures = {
        "seeds": options.seeds,
        "objects": options.objects,
        "height_bias_mm": float(error.mean() * 1e3),
        "height_abs_p50_mm": float(np.percentile(np.abs(error), 50) * 1e3),
        "height_abs_p99_mm": float(np.percentile(np.abs(error), 99) * 1e3),
        "height_within_3mm": float((np.abs(error) <= 0.003).mean()),
        "unchanged_pixels_max": max(flicker),
        "unchanged_pixels_max_paper": max(paper_flicker),
        "regions_ms": float(np.median(times) * 1e3),
        "regions": totals,
        "regions_table_coloured": camouflaged,
        "regions_of_10_empty_tables": false,
    }
    print(f"{options.robot}, {options.seeds} scenes of {options.objects} objects, noise on")
    print(
        f"  heights, {error.size} cells away from edges: bias {error.mean() * 1e3:+.2f} mm, "
        f"99 % within {figures['height_abs_p99_mm']:.2f} mm, "
        f"{100 * figures['height_within_3mm']:.2f} % within 3 mm"
    )
    print(
        f"  two pictures of one scene differ in at most {max(flicker)} cells "
        f"({max(paper_flicker)} without the opening; 300 count as a change)"
    )
    print(f"  regions: {figures['regions_ms']:.1f} ms a picture (median)")
    for name, total in totals.items():
        print(
            f"    {name}: found {total['found']} of {total['visible']} visible blocks in "
            f"{total['regions']} regions ({total['alone']} hold one block, "
            f"{total['empty_regions']} none); {100 * total['wrong_pixels'] / total['pixels']:.1f}"
            f" % of their pixels are not block; {false[name]} regions on 10 empty tables"
        )
        hidden = camouflaged[name]
        print(f"      in the table's colour: found {hidden['found']} of {hidden['visible']}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
