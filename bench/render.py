"""What a picture costs: variants of rendering, noise, the render thread, and a scene.

    python bench/render.py [--robot ur5_rg2] [--objects 10] [--frames 30]

Times are medians of the process's wall clock; compare them within one run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial

import mujoco

from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.cameras import CameraRenderer
from selfgrasp_nodes.simulation.model import PhysicsOptions, build_cell, compile_scene
from selfgrasp_nodes.simulation.noise import CameraNoise
from selfgrasp_nodes.simulation.rendering import RenderThread
from selfgrasp_nodes.simulation.scenes import random_scene


def median_ms(call, frames):
    call()
    times = []
    for _ in range(frames):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--robot", default="ur5_rg2")
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--frames", type=int, default=30)
    args = parser.parse_args()
    robot, physics = load_robot(args.robot), PhysicsOptions()
    cell = build_cell(robot, physics)
    seeds = iter(range(args.frames + 1))
    made = median_ms(lambda: random_scene(robot, args.objects, next(seeds)), args.frames)
    print(f"random scene of {args.objects} objects, dropped until it rests: {made:.0f} ms")
    scene = random_scene(robot, args.objects, 0)
    start = time.perf_counter()
    model, _ = compile_scene(cell, robot, scene, physics)
    print(f"compile with {args.objects} objects: {1e3 * (time.perf_counter() - start):.1f} ms")
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)

    for camera in robot.cameras:
        print(f"{camera.name} ({camera.width} x {camera.height}), {model.ngeom} geoms:")
        for label, options in (
            ("plain", {}),
            ("4 samples", {"samples": 4}),
            ("shadows", {"shadows": True}),
            ("4 samples, shadows", {"samples": 4, "shadows": True}),
        ):
            start = time.perf_counter()
            with CameraRenderer(model, robot.cameras, **options) as renderer:
                renderer.render(data, camera.name)
                first = 1e3 * (time.perf_counter() - start)
                ms = median_ms(partial(renderer.render, data, camera.name), args.frames)
            print(f"  colour + depth, {label}: {ms:.1f} ms (first picture {first:.0f} ms)")
        with CameraRenderer(model, robot.cameras) as renderer:
            color, depth = renderer.render(data, camera.name)
        noise = CameraNoise(camera)
        print(f"  noise: {median_ms(partial(noise.apply, color, depth), args.frames):.1f} ms")

    step = median_ms(lambda: mujoco.mj_step(model, data, nstep=50), args.frames) / 50
    thread = RenderThread(model, robot.cameras)
    name = robot.overhead_camera
    request = median_ms(lambda: thread.request(data, name), args.frames)
    pending = [thread.request(data, name) for _ in range(args.frames)]
    start, steps = time.perf_counter(), 0
    while not pending[-1].done():
        mujoco.mj_step(model, data, nstep=10)
        steps += 10
    beside = 1e3 * (time.perf_counter() - start) / max(steps, 1)
    thread.close()
    print(f"step alone {step:.3f} ms, while another thread renders {beside:.3f} ms")
    print(f"request to the render thread: {request:.2f} ms")


if __name__ == "__main__":
    main()
