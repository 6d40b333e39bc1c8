"""Tables of boxes, prisms and cylinders seen by a side camera, by ray marching."""

from __future__ import annotations

import numpy as np

from selfgrasp_nodes.geometry import point_to_pixel
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.types import Heightmap, Observation, View

FINE = 0.001
MARGIN = 0.15


def box(x, y, size, angle=0.0, base=0.0, color=(200, 60, 60)):
    """(x, y) from the workspace's middle; size (length, width, height) [m]."""
    return {"kind": "box", "x": x, "y": y, "size": size, "angle": angle, "base": base,
            "color": color}  # fmt: skip


def prism(x, y, size, angle=0.0, color=(60, 200, 60)):
    """Triangular prism: the axis is the second side, the apex on top."""
    return box(x, y, size, angle, color=color) | {"kind": "prism"}


def cylinder(x, y, diameter, height, color=(60, 60, 200)):
    """Upright."""
    return box(x, y, (diameter, diameter, height), color=color) | {"kind": "cylinder"}


def table(robot: RobotSpec, shapes):
    """True height (R, C) [m], colour, and the world (x, y) of its corner."""
    workspace = robot.workspace.workspace
    low = workspace.low - MARGIN
    cols, rows = (round((s + 2 * MARGIN) / FINE) for s in workspace.size)
    x = low[0] + (np.arange(cols) + 0.5) * FINE - workspace.center[0]
    y = low[1] + (np.arange(rows) + 0.5) * FINE - workspace.center[1]
    gx, gy = np.meshgrid(x, y)
    height = np.zeros((rows, cols))
    color = np.full((rows, cols, 3), 230, np.uint8)
    for shape in shapes:
        c, s = np.cos(shape["angle"]), np.sin(shape["angle"])
        dx, dy = gx - shape["x"], gy - shape["y"]
        a, b = c * dx + s * dy, -s * dx + c * dy
        length, width, tall = shape["size"]
        if shape["kind"] == "cylinder":
            inside, z = np.hypot(dx, dy) <= length / 2, np.full_like(dx, tall)
        else:
            inside = (np.abs(a) <= length / 2) & (np.abs(b) <= width / 2)
            z = np.full_like(dx, tall)
            if shape["kind"] == "prism":
                z = tall * (1 - np.abs(a) / (length / 2))
        z = np.where(inside, z + shape["base"], 0)
        higher = z > height
        height[higher], color[higher] = z[higher], shape["color"]
    return height, color, low


def look(robot: RobotSpec, shapes, seed=0, noise=True, scale=0.5) -> View:
    """What the overhead camera measures; ``scale`` shrinks its image."""
    spec = robot.camera()
    height, color, low = table(robot, shapes)
    rows, cols = int(spec.height * scale), int(spec.width * scale)
    k = spec.intrinsics * scale
    k[2, 2] = 1
    pose = spec.pose.matrix
    v, u = np.mgrid[:rows, :cols]
    rays = np.stack([(u - k[0, 2]) / k[0, 0], (v - k[1, 2]) / k[1, 1], np.ones(u.shape)], -1)
    rays = (rays @ pose[:3, :3].T).reshape(-1, 3)
    origin = pose[:3, 3]
    tallest = height.max() + 0.001
    down = rays[:, 2] < -1e-3
    start = np.where(down, (tallest - origin[2]) / np.where(down, rays[:, 2], -1), 10)
    end = np.where(down, -origin[2] / np.where(down, rays[:, 2], -1), 10)
    depth, hit = end.copy(), np.zeros(len(rays), bool)
    # 1.5 mm down a step, to a millimetre of the surface.
    for share in np.linspace(0, 1, max(2, round(tallest / 0.0015))):
        t = start + share * (end - start)
        point = origin[:2] + rays[:, :2] * t[:, None]
        cell = np.floor((point - low) / FINE).astype(int)
        ok = (cell >= 0).all(1) & (cell[:, 0] < height.shape[1]) & (cell[:, 1] < height.shape[0])
        under = ok & ~hit
        z = origin[2] + rays[:, 2] * t
        idx = np.flatnonzero(under)
        idx = idx[z[idx] <= height[cell[idx, 1], cell[idx, 0]]]
        depth[idx], hit[idx] = t[idx], True
    point = origin[:2] + rays[:, :2] * (depth + 2e-4)[:, None]
    cell = np.floor((point - low) / FINE).astype(int)
    cell = np.clip(cell, 0, np.array(height.shape[::-1]) - 1)
    picture = color[cell[:, 1], cell[:, 0]].reshape(rows, cols, 3)
    depth = depth.reshape(rows, cols)
    rng = np.random.default_rng(seed)
    if noise:
        depth = depth + rng.normal(size=depth.shape) * (0.0005 + 0.001 * depth**2)
        jump = np.abs(np.diff(depth, axis=0, prepend=depth[:1])) > 0.02
        depth[jump & (rng.random(depth.shape) < 0.3)] = 0
    depth = np.where(depth > 3, 0, depth).astype(np.float32)
    return View(spec.name, picture, depth, k, pose)


def observe(robot: RobotSpec, shapes, seed=0, noise=True, scale=0.5, views=True) -> Observation:
    """The observation of one look, its heightmap by plain scattering."""
    workspace = robot.workspace.workspace
    view = look(robot, shapes, seed, noise, scale)
    rows, cols = view.depth.shape
    v, u = np.mgrid[:rows, :cols]
    z = view.depth.astype(float)
    k = view.intrinsics
    local = np.stack([(u - k[0, 2]) / k[0, 0] * z, (v - k[1, 2]) / k[1, 1] * z, z], -1)
    world = local @ view.world_T_camera[:3, :3].T + view.world_T_camera[:3, 3]
    keep = (z > 0) & (world[..., 2] < workspace.height_max)
    points, colors = world[keep], view.color[keep]
    pixel = point_to_pixel(workspace, points[:, 0], points[:, 1])
    inside = (pixel >= 0).all(1) & (pixel < workspace.shape).all(1)
    points, colors, pixel = points[inside], colors[inside], pixel[inside]
    order = np.argsort(points[:, 2], kind="stable")
    height = np.zeros(workspace.shape, np.float32)
    color = np.zeros((*workspace.shape, 3), np.uint8)
    valid = np.zeros(workspace.shape, bool)
    r, c = pixel[order].T
    height[r, c] = np.maximum(points[order, 2], 0)
    color[r, c] = colors[order]
    valid[r, c] = True
    heightmap = Heightmap(workspace, color, height, valid)
    return Observation("synthetic", 0, {view.camera: view} if views else {}, heightmap)
