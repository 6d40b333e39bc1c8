"""Tries for the store's tests: real labels' fields around pictures that were rendered."""

from __future__ import annotations

import math

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.trials.store_record import StoredTry


def stored(
    episode: int, number: int, color: np.ndarray, height: np.ndarray, **values
) -> StoredTry:
    angle = (0.1 + 0.3 * number) % math.pi
    fields = {
        "run": "run-1",
        "episode": episode,
        "try_": number,
        "robot": "ur5_rg2",
        "arm": "arm",
        "gripper": "rg2",
        "view": "overhead",
        "policy": "random-roi",
        "pose": geometry.grasp_pose(-0.5 + 0.01 * number, 0.02, 0.03, angle),
        "angle": angle,
        "color": color,
        "height": height,
        "success": number % 2 == 0,
        "width": 0.11,
        "surface": 0.05,
        "propensity": 3.5,
        "code": "SUCCESS" if number % 2 == 0 else "MISSED",
        "reason": "held with 12.0 N at 50.0 mm",
        "rule": "grasp-1",
        "sensors": {"width_lifted": 0.05, "force_held": 12.0},
        "scene": "random-5-1:0123456789ab",
        "scene_seed": 17,
        "object_set": "train_base",
        "object": "pybullet/012",
        "held": ("pybullet/012",) if number % 2 == 0 else (),
    }
    return StoredTry(**(fields | values))
