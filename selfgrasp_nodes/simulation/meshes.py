"""Objects from mesh files: loading, convex decomposition, a cache on disk.

MuJoCo collides convex bodies only, so a mesh is cut into convex pieces first:
parts that are convex already are taken as they are, everything else goes
through CoACD (Wei and others, 2022). The pieces are cached on disk under the
digest of the file's content and of the parameters.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from selfgrasp_nodes.errors import InvalidScene, MissingDependency
from selfgrasp_nodes.simulation.shapes import Piece, Vector3

SUFFIXES = (".obj", ".stl", ".ply", ".off")
PYBULLET_COUNT = 1000
PYBULLET_SCALE = 0.015
"""Scale that the random objects' own URDF files give their meshes."""
RESERVED = range(900, 1000)
"""Objects kept aside as never seen: for final evaluation only."""

_CONVEX = 0.98  # a part with this share of its hull's volume counts as convex
_DECOMPOSITION: dict[str, Any] = {
    "threshold": 0.05,  # largest concavity that is left, relative
    "max_convex_hull": 12,
    "max_ch_vertex": 32,
    "decimate": True,
    "seed": 0,
}


@dataclass(frozen=True)
class MeshAsset:
    """A mesh file and the factor that turns its unit into metres."""

    file: str
    scale: float = 1.0

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return Path(self.file).stem

    @property
    def size(self) -> Vector3:
        """Extents of the bounding box [m]."""
        x, y, z = np.asarray(load(self.file).size) * self.scale
        return (float(x), float(y), float(z))


@dataclass(frozen=True, eq=False)
class Mesh:
    """A decomposed mesh in its file's unit, centred on its bounding box.

    Attributes:
        hulls: Vertices (N, 3) of each convex piece.
        size: Extents of the bounding box.
    """

    hulls: tuple[np.ndarray, ...]
    size: Vector3

    def pieces(self, size: Vector3) -> tuple[Piece, ...]:
        """The pieces, stretched so that the bounding box has ``size`` [m]."""
        factor = np.asarray(size) / np.asarray(self.size)
        return tuple(Piece(hull * factor) for hull in self.hulls)


def mesh_folder(folder: str | Path, scale: float = 1.0) -> list[MeshAsset]:
    """The meshes of a folder, sorted by path, sub-folders included.

    Args:
        folder: Where STL, OBJ, PLY or OFF files lie.
        scale: Factor from the files' unit to metres.

    Raises:
        InvalidScene: If there is no such folder, or no mesh in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InvalidScene(f"mesh folder {str(root)!r} does not exist")
    files = sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not files:
        raise InvalidScene(f"no mesh in {str(root)!r}; looked for {', '.join(SUFFIXES)}")
    return [MeshAsset(str(file), scale) for file in files]


def pybullet_meshes(
    indices: Iterable[int] = range(900), allow_reserved: bool = False
) -> list[MeshAsset]:
    """Random objects of the optional ``pybullet_data`` package, about 10 cm large.

    Args:
        indices: Which of the 1,000; 0 to 899 by default.
        allow_reserved: Objects 900 to 999 are kept for evaluation on what was
            never seen; they are refused unless this is True.

    Raises:
        MissingDependency: If pybullet is not installed.
        InvalidScene: If an index does not exist, or is reserved.
    """
    wanted = list(indices)
    wrong = [i for i in wanted if not 0 <= i < PYBULLET_COUNT]
    if wrong:
        raise InvalidScene(f"no such object: {wrong[:5]}; valid: 0 to {PYBULLET_COUNT - 1}")
    reserved = [i for i in wanted if i in RESERVED]
    if reserved and not allow_reserved:
        raise InvalidScene(
            f"objects {RESERVED.start} to {RESERVED.stop - 1} are reserved for the final "
            f"evaluation and {len(reserved)} of them were asked for; choose others, or pass "
            "allow_reserved=True if this is that evaluation"
        )
    module = find_spec("pybullet_data")
    if module is None or module.origin is None:
        raise MissingDependency(
            "the 1,000 random objects come with the optional package pybullet; "
            "install it with: pip install 'pybullet>=3.2.7'"
        )
    root = Path(module.origin).parent / "random_urdfs"
    return [MeshAsset(str(root / f"{i:03d}" / f"{i:03d}.obj"), PYBULLET_SCALE) for i in wanted]


def mesh_source(text: str) -> list[MeshAsset]:
    """Meshes by the name that a user gives on a command line or as a parameter.

    Args:
        text: ``pybullet`` (objects 0 to 899), ``pybullet:20-49``, or a folder,
            optionally followed by ``@`` and the scale to metres
            (``/data/toys@0.001``). Empty: no meshes.

    Raises:
        InvalidScene: If it is none of these.
        MissingDependency: If pybullet is not installed.
    """
    if not text:
        return []
    name, _, chosen = text.partition(":")
    if name == "pybullet":
        first, dash, last = chosen.partition("-")
        if not chosen:
            return pybullet_meshes()
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InvalidScene(f"{text!r}: write pybullet, pybullet:20 or pybullet:20-49")
        return pybullet_meshes(range(int(first), int(last or first) + 1))
    folder, at, scale = text.rpartition("@")
    if not at:
        return mesh_folder(text)
    try:
        factor = float(scale)
    except ValueError:
        return mesh_folder(text)  # the @ belongs to the folder's name
    if not 0 < factor < float("inf"):
        raise InvalidScene(f"{text!r}: the scale after @ must be a positive number")
    return mesh_folder(folder, factor)


def cache_folder() -> Path:
    """Where decompositions are kept: ``$SELFGRASP_CACHE`` or the user's cache folder."""
    base = os.environ.get("SELFGRASP_CACHE")
    if base:
        return Path(base) / "meshes"
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "selfgrasp" / "meshes"


@lru_cache(maxsize=2048)
def load(file: str) -> Mesh:
    """Read and decompose a mesh file, or take its pieces from the cache.

    Raises:
        InvalidScene: If the file is missing, no mesh, or flat.
        MissingDependency: If it must be cut up and coacd is not installed.
    """
    path = Path(file)
    if not path.is_file():
        raise InvalidScene(f"mesh file {file!r} does not exist")
    content = path.read_bytes()
    key = hashlib.sha256(content + repr(sorted(_DECOMPOSITION.items())).encode()).hexdigest()
    cached = cache_folder() / f"{key[:32]}.npz"
    hulls = _read(cached)
    if hulls is None:
        hulls = _decompose(path)
        _write(cached, hulls)
    points = np.concatenate(hulls)
    low, high = points.min(axis=0), points.max(axis=0)
    if np.any(high - low <= 0):
        raise InvalidScene(f"mesh {file!r} is flat: extents {high - low}")
    x, y, z = (float(extent) for extent in high - low)
    return Mesh(tuple(hull - (low + high) / 2 for hull in hulls), (x, y, z))


def _read(cached: Path) -> list[np.ndarray] | None:
    try:
        with np.load(cached, allow_pickle=False) as archive:
            return [archive[name] for name in sorted(archive.files)]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None  # not there, or cut short by a crash: decompose again


def _write(cached: Path, hulls: list[np.ndarray]) -> None:
    """Keep the pieces; a cache that cannot be written is no reason to fail."""
    arrays: dict[str, Any] = {f"{i:04d}": hull for i, hull in enumerate(hulls)}
    partial = cached.with_name(f".{cached.stem}.{os.getpid()}.npz")
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        np.savez(partial, **arrays)
        partial.replace(cached)
    except OSError:
        partial.unlink(missing_ok=True)


def _decompose(path: Path) -> list[np.ndarray]:
    import trimesh

    try:
        mesh: Any = trimesh.load(path, force="mesh", process=True)
        parts = list(mesh.split(only_watertight=False))
    except Exception as error:  # trimesh raises whatever its parsers raise
        raise InvalidScene(f"{str(path)!r} cannot be read as a mesh: {error}") from error
    parts = [part for part in parts if len(part.faces) >= 4 and part.convex_hull.volume > 0]
    if not parts:
        raise InvalidScene(f"{str(path)!r} holds no solid mesh")
    hulls: list[np.ndarray] = []
    for part in parts:
        if part.is_watertight and part.volume >= _CONVEX * part.convex_hull.volume:
            hulls.append(np.asarray(part.convex_hull.vertices, float))
        else:
            hulls += _cut(part.vertices, part.faces)
    return hulls


def _cut(vertices: np.ndarray, faces: np.ndarray) -> list[np.ndarray]:
    try:
        import coacd
    except ImportError as error:
        raise MissingDependency(
            "a concave mesh must be cut into convex pieces; install: pip install coacd"
        ) from error
    coacd.set_log_level("error")
    pieces = coacd.run_coacd(coacd.Mesh(np.asarray(vertices), np.asarray(faces)), **_DECOMPOSITION)
    return [np.asarray(points, float) for points, _ in pieces]
