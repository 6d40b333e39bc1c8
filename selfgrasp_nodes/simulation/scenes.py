"""Scenes: read, write, check, disturb, and draw at random."""

from selfgrasp_nodes.simulation.drops import DropOptions, random_scene
from selfgrasp_nodes.simulation.scene import (
    PENETRATION_MAX,
    TABLE,
    TABLE_FRICTION,
    Scene,
    SceneObject,
    add_table,
    check_scene,
    penetrations,
    perturbed,
    world_T_object,
)
from selfgrasp_nodes.simulation.scene_files import load_scenes, save_scenes

__all__ = [
    "PENETRATION_MAX",
    "TABLE",
    "TABLE_FRICTION",
    "DropOptions",
    "Scene",
    "SceneObject",
    "add_table",
    "check_scene",
    "load_scenes",
    "penetrations",
    "perturbed",
    "random_scene",
    "save_scenes",
    "world_T_object",
]
