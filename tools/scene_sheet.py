"""A picture of every scene of some files, side by side, with the border of the workspace.

MUJOCO_GL=egl python tools/scene_sheet.py docs/images/hard_dev.png config/scenes/vpg_hard_dev.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import mujoco
import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.scenes import Scene, add_table, load_scenes
from selfgrasp_nodes.types import Workspace

WIDTH, HEIGHT = 300, 240


def picture(scene: Scene, workspace: Workspace) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8 RGB, seen from above the robot's far side."""
    spec = mujoco.MjSpec()
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 2 * WIDTH, 2 * HEIGHT
    spec.visual.headlight.ambient = [0.45, 0.45, 0.45]
    add_table(spec)
    centered = Workspace((0.0, 0.0), workspace.size, workspace.resolution)
    scene.add_to_spec(spec, centered)
    half = np.asarray(workspace.size) / 2
    for place, size in (
        ((half[0], 0), (0.0015, half[1])),
        ((-half[0], 0), (0.0015, half[1])),
        ((0, half[1]), (half[0], 0.0015)),
        ((0, -half[1]), (half[0], 0.0015)),
    ):
        spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=[*place, 0.0005],
            size=[*size, 0.0005],
            rgba=[1, 1, 1, 1],
            contype=0,
            conaffinity=0,
        )
    spec.worldbody.add_light(pos=[-0.5, -0.4, 1.2], dir=[0.4, 0.3, -1.0], diffuse=[0.5] * 3)
    # From the side of the overhead camera, 55 degrees down.
    tilt = np.radians(35)
    pose = geometry.transform((-0.55 * np.sin(tilt), 0, 0.55 * np.cos(tilt)), (0, -tilt, 0))
    turn = pose @ geometry.transform((0, 0, 0), (0, 0, -np.pi / 2))
    spec.worldbody.add_camera(
        name="sheet", pos=pose[:3, 3], quat=geometry.quaternion(turn), fovy=52
    )
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with mujoco.Renderer(model, 2 * HEIGHT, 2 * WIDTH) as renderer:
        renderer.update_scene(data, "sheet")
        large = renderer.render()
    return cv2.resize(large, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("scenes", type=Path, nargs="+")
    parser.add_argument("--columns", type=int, default=3)
    args = parser.parse_args()
    workspace = load_robot("ur5_rg2").workspace.workspace
    cells = []
    for scene in (scene for file in args.scenes for scene in load_scenes(file)):
        cell = np.ascontiguousarray(picture(scene, workspace))
        cv2.putText(cell, scene.name, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255,) * 3, 1, 16)
        cells.append(cell)
    while len(cells) % args.columns:
        cells.append(np.zeros_like(cells[0]))
    rows = [np.hstack(cells[i : i + args.columns]) for i in range(0, len(cells), args.columns)]
    cv2.imwrite(str(args.image), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
