"""Scene files: JSON in and out.

``{"scenes": [{"name", "objects": [{"shape", "position", "quaternion", and
optionally "size", "color", "friction", "density", "mesh"}]}]}``, with positions
relative to the workspace's centre, quaternions (w, x, y, z), units SI. ``about`` and
``shapes`` beside ``scenes`` are for people.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from selfgrasp_nodes.errors import InvalidScene, UnknownName
from selfgrasp_nodes.simulation.objects import (
    DENSITY_RANGE,
    FRICTION_RANGE,
    ObjectSpec,
    random_object,
    shape_names,
    unknown_shape,
)
from selfgrasp_nodes.simulation.scene import Scene, SceneObject, check_scene

_FILE_KEYS = {"scenes", "shapes", "about"}  # the last two tell people, and nothing is read there
_SCENE_KEYS = {"name", "objects"}
_KEYS = {"shape", "position", "quaternion", "size", "color", "friction", "density", "mesh"}


def load_scenes(file: str | Path, seed: int = 0) -> list[Scene]:
    """Read and check a scene file.

    Args:
        file: JSON. Mesh files in it are relative to its folder.
        seed: Of the friction, density and colour of objects that give none.

    Raises:
        InvalidScene: If the file is missing or malformed, a shape or key is
            unknown, or objects interpenetrate each other or the table.
    """
    path = Path(file)
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise InvalidScene(
            f"scene file {str(path)!r} cannot be read: {error}; give the path of a JSON "
            "file, such as those in config/scenes"
        ) from error
    except ValueError as error:
        raise InvalidScene(f"scene file {str(path)!r} is not JSON: {error}") from error
    listed = content.get("scenes") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not listed:
        raise InvalidScene(f'{str(path)!r} needs a list "scenes" with at least one scene')
    _refuse_unknown(content, _FILE_KEYS, f"{str(path)!r}")
    scenes = []
    for index, item in enumerate(listed):
        name = str(item.get("name", f"scene-{index}")) if isinstance(item, dict) else ""
        if not isinstance(item, dict) or not isinstance(item.get("objects"), list):
            raise InvalidScene(f'{str(path)!r}: scene {index} needs a list "objects"')
        _refuse_unknown(item, _SCENE_KEYS, f"scene {name!r}")
        rng = np.random.default_rng([seed, index])
        objects = []
        for number, entry in enumerate(item["objects"]):
            try:
                objects.append(_object_from_json(entry, rng, path.parent))
            except InvalidScene as error:
                raise InvalidScene(f"scene {name!r}, object {number}: {error}") from error
        scene = Scene(name, tuple(objects))
        check_scene(scene)
        scenes.append(scene)
    return scenes


def save_scenes(file: str | Path, scenes: Sequence[Scene]) -> None:
    """Write scenes as JSON, in the form that :func:`load_scenes` reads."""
    content = [_scene_to_json(scene) for scene in scenes]
    Path(file).write_text(json.dumps({"scenes": content}, indent=1) + "\n")


def scene_as_json(scene: Scene) -> str:
    """One scene as text, as the sim's reset takes it."""
    return json.dumps(_scene_to_json(scene))


def pick_scene(scenes: list[Scene], name: str) -> Scene:
    """The scene of that name; the first where the name is empty.

    Raises:
        UnknownName: If there is none.
    """
    for scene in scenes:
        if name in ("", scene.name):
            return scene
    raise UnknownName("scene", name, [scene.name for scene in scenes])


def _scene_to_json(scene: Scene) -> dict[str, Any]:
    return {"name": scene.name, "objects": [_object_to_json(obj) for obj in scene.objects]}


def _object_from_json(entry: Any, rng: np.random.Generator, folder: Path) -> SceneObject:
    if not isinstance(entry, dict):
        raise InvalidScene("an object must be a JSON object with shape, position and quaternion")
    _refuse_unknown(entry, _KEYS)
    if entry.get("shape") not in shape_names():
        raise unknown_shape(entry.get("shape"))
    fields: dict[str, Any] = {"shape": entry["shape"]}
    for key, length in (("size", 3), ("color", 3)):
        if key in entry:
            fields[key] = _numbers(entry[key], length, key)
    for key, (low, high) in (("friction", FRICTION_RANGE), ("density", DENSITY_RANGE)):
        if key in entry:
            fields[key] = _numbers([entry[key]], 1, key)[0]
            if not low <= fields[key] <= high:
                raise InvalidScene(f"{key} must lie in {low:g}..{high:g}, got {fields[key]:g}")
    if "mesh" in entry:
        fields["mesh"] = str(folder / str(entry["mesh"]))
    drawn = random_object(rng)  # always drawn, so that one object's keys change no other's
    for key in ("color", "friction", "density"):
        fields.setdefault(key, getattr(drawn, key))
    px, py, pz = _numbers(entry.get("position"), 3, "position")
    turn = np.asarray(_numbers(entry.get("quaternion"), 4, "quaternion"))
    norm = float(np.linalg.norm(turn))
    if not 0.99 < norm < 1.01:
        raise InvalidScene(f"quaternion (w, x, y, z) must have length 1, got {norm:.4f}")
    w, x, y, z = (float(v) for v in turn / norm)
    return SceneObject(ObjectSpec(**fields), (px, py, pz), (w, x, y, z))


def _object_to_json(obj: SceneObject) -> dict[str, Any]:
    spec = obj.spec
    entry: dict[str, Any] = {
        "shape": spec.shape,
        "size": [round(v, 8) for v in spec.size],
        "color": [round(v, 4) for v in spec.color],
        "friction": round(spec.friction, 8),
        "density": round(spec.density, 8),
        "position": [round(v, 8) for v in obj.position],
        "quaternion": [round(v, 8) for v in obj.quaternion],
    }
    if spec.mesh:
        entry["mesh"] = str(Path(spec.mesh).resolve())
    return entry


def _refuse_unknown(entry: dict[str, Any], valid: set[str], where: str = "") -> None:
    unknown = set(entry) - valid
    if unknown:
        raise InvalidScene(
            f"{where}{': ' * bool(where)}unknown key {', '.join(sorted(unknown))}; valid: "
            + ", ".join(sorted(valid))
        )


def _numbers(value: Any, length: int, key: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(v) for v in value)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != length or not np.all(np.isfinite(numbers)):
        raise InvalidScene(
            f"{key} needs {length} finite number{'s' * (length > 1)}, got {value!r}"
        )
    return numbers
