"""COLLADA visuals for MuJoCo, which reads none: cut by colour, thinned, kept on disk.

Robots' visual meshes have tens of thousands of triangles a link, far more than
a picture of the table needs; drawing them on a processor would take longer than
everything else in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from selfgrasp_nodes.errors import MissingDependency
from selfgrasp_nodes.simulation.meshes import cache_folder

FACES = 3000
"""Triangles that are left of each part."""
_VERSION = 3  # of what is written; part of the cache's key


@dataclass(frozen=True)
class Part:
    """A part of one colour.

    Attributes:
        file: STL, in metres, in the frame of the COLLADA file.
        color: Red, green, blue in 0..1, or None where the file has no material.
    """

    file: Path
    color: tuple[float, float, float] | None


@lru_cache(maxsize=128)
def parts(file: Path) -> tuple[Part, ...]:
    """The parts of a COLLADA file; converted at the first call, then read from the cache.

    Raises:
        MissingDependency: If trimesh or pycollada is not installed.
    """
    digest = hashlib.sha256(file.read_bytes() + bytes([_VERSION])).hexdigest()[:16]
    folder = cache_folder() / f"collada_{digest}"
    index = folder / "parts.json"
    if not index.is_file():
        _convert(file, folder)
    return tuple(
        Part(folder / name, None if color is None else tuple(color))
        for name, color in json.loads(index.read_text())
    )


def _convert(file: Path, folder: Path) -> None:
    try:
        import collada  # noqa: F401  (trimesh needs it and would only say "not supported")
        import fast_simplification  # noqa: F401
        import trimesh
    except ImportError as error:
        raise MissingDependency(
            f"{file.name} cannot be read: pip install trimesh pycollada fast-simplification"
        ) from error
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        index = []
        scene: Any = trimesh.load(file, force="scene")
        for number, mesh in enumerate(scene.dump()):
            material = getattr(mesh.visual, "material", None)
            color = None if material is None else [c / 255 for c in material.main_color[:3]]
            mesh.merge_vertices(merge_tex=True, merge_norm=True)  # else it tears when thinned
            if len(mesh.faces) > FACES:
                mesh = mesh.simplify_quadric_decimation(face_count=FACES)
            mesh.export(Path(scratch) / f"{number}.stl")
            index.append((f"{number}.stl", None if color is None else [float(c) for c in color]))
        (Path(scratch) / "parts.json").write_text(json.dumps(index))
        os.chmod(scratch, 0o755)
        try:
            os.rename(scratch, folder)  # whole or not at all, also beside another process
        except OSError:
            if not (folder / "parts.json").is_file():
                raise
        else:
            os.mkdir(scratch)  # for the context manager to remove
