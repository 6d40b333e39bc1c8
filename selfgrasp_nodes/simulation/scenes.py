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
from selfgrasp_nodes.simulation.scene_files import (
    load_scenes,
    pick_scene,
    save_scenes,
    scene_as_json,
)

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
    "pick_scene",
    "random_scene",
    "save_scenes",
    "scene_as_json",
    "world_T_object",
]
