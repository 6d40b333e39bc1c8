"""Tries on drawn bars: a grasp succeeds across a bar that fits between the fingers."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from selfgrasp_nodes.geometry import grasp_pose
from selfgrasp_nodes.learning.patch_data import PatchTries
from selfgrasp_nodes.policies.patch.encoding import HEIGHT_STEP, HEIGHT_ZERO, encode
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.trials.store import TrialStore
from selfgrasp_nodes.trials.store_record import StoredTry

GRIPPER = load_robot("baxter").arms[0].gripper

SIZES = PatchGeometry(0.157, 0.2355, 48)
PAIR = (SIZES.patch_side, SIZES.crop_side)
OPENING = 0.075


def bars(count: int, seed: int = 0, pixels: int = 48) -> PatchTries:
    rng = np.random.default_rng(seed)
    axis = (np.arange(pixels) + 0.5) / pixels * SIZES.crop_side - SIZES.crop_side / 2
    x, y = np.meshgrid(axis, axis)  # row = y, column = x
    along = rng.uniform(0, np.pi, count)
    width = rng.uniform(0.02, 0.11, count)
    off = rng.uniform(-0.01, 0.01, count)
    angle = rng.uniform(0, np.pi, count)
    crops = np.empty((count, pixels, pixels, 4), np.uint8)
    for i in range(count):
        across = -np.sin(along[i]) * x + np.cos(along[i]) * y - off[i]
        bar = np.abs(across) < width[i] / 2
        height = np.where(bar, 0.0, -0.03) + rng.normal(0, 0.001, bar.shape)
        height[rng.random(bar.shape) < 0.03] = np.nan
        color = np.where(bar[..., None], rng.integers(0, 255, 3), 90).astype(np.uint8)
        crops[i] = encode(color, height.astype(np.float32))
    turn = np.abs(np.mod(angle - along - np.pi / 2 + np.pi / 2, np.pi) - np.pi / 2)
    reach = width / np.cos(np.minimum(turn, 1.5)) / 2 + np.abs(off)
    success = (turn < np.deg2rad(35)) & (reach < OPENING / 2 - 0.002)
    return PatchTries(
        crops,
        angle,
        np.full(count, -0.028),
        success,
        np.zeros(count, int),
        np.array([f"run/{i // 5}" for i in range(count)]),
        np.array(["bar"] * count),
        np.zeros(count),
        np.where(success, "SUCCESS", "MISSED"),
    )


def fill_store(
    path: Path, count: int = 120, stage: int = 0, seed: int = 0, positive: bool = True
) -> PatchTries:
    """A store of drawn bars."""
    sizes = PatchGeometry.of(GRIPPER)
    drawn = bars(count, seed, pixels=48)
    tries = []
    for i in range(count):
        crop = cv2.resize(drawn.crops[i], (192, 192), interpolation=cv2.INTER_NEAREST)
        code = crop[..., 3].astype(np.float32)
        height = np.where(code > 0, (code - HEIGHT_ZERO) * HEIGHT_STEP, np.nan)
        surface = 0.04
        z = surface + float(drawn.tip[i]) + GRIPPER.pad_length / 2
        success: bool | None = bool(drawn.success[i]) and positive
        tries.append(
            StoredTry(
                run=f"run{stage}",
                episode=i // 5,
                try_=i % 5,
                robot="baxter",
                arm="left",
                gripper=GRIPPER.name,
                view="left_hand_camera",
                policy="random-roi" if stage == 0 else "patch",
                pose=grasp_pose(0.5, 0.0, z, float(drawn.angle[i])),
                angle=float(drawn.angle[i]),
                color=np.ascontiguousarray(crop[..., :3]),
                height=height.astype(np.float32),
                success=None if i % 40 == 39 else success,
                surface=surface,
                stage=stage,
            )
        )
    if path.exists():
        with TrialStore.open(path, write=True) as store:
            store.append(tries)
    else:
        with TrialStore.create(path, sizes) as store:
            store.append(tries)
    return drawn
