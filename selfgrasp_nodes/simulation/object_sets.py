"""Named sets of objects: what is trained on, what comes later, what stays novel.

``config/objects/toys.yaml`` holds them: blocks by their kind, and meshes of
``pybullet_data`` by number, scale and the digest of their file. The rule by which
they were chosen is in ``tools/choose_objects.py``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, ValidationError, model_validator

from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots import Spec
from selfgrasp_nodes.robots.yaml_file import load_yaml
from selfgrasp_nodes.simulation.meshes import PYBULLET_COUNT, RESERVED, MeshAsset, pybullet_meshes
from selfgrasp_nodes.simulation.objects import MESH, ObjectSpec, random_object
from selfgrasp_nodes.simulation.shapes import SIZES

DIGEST_LENGTH = 16
JOIN = "+"


class Entry(Spec):
    """One object of a set: a block, or a mesh of ``pybullet_data``.

    Attributes:
        block: Kind of block; empty for a mesh.
        mesh: Number of the mesh; -1 for a block.
        scale: Factor on the size that the mesh's own URDF gives it.
        sha256: First digits of the mesh file's digest.
    """

    block: str = ""
    mesh: Annotated[int, Field(ge=-1, lt=PYBULLET_COUNT)] = -1
    scale: Annotated[float, Field(gt=0, le=2)] = 1.0
    sha256: str = ""

    @model_validator(mode="after")
    def _one_kind(self) -> Entry:
        if bool(self.block) == (self.mesh >= 0):
            raise ValueError("an object is either a block or a mesh")
        if self.block and self.block not in SIZES:
            raise ValueError(f"unknown block {self.block!r}; valid: {', '.join(sorted(SIZES))}")
        if self.mesh in RESERVED:
            raise ValueError(
                f"mesh {self.mesh} is reserved for the final evaluation, as are "
                f"{RESERVED.start} to {RESERVED.stop - 1}; choose another"
            )
        if self.mesh >= 0 and len(self.sha256) != DIGEST_LENGTH:
            raise ValueError(f"mesh {self.mesh} needs sha256: {DIGEST_LENGTH} digits")
        return self

    @property
    def name(self) -> str:
        """Unique among all sets."""
        return f"block/{self.block}" if self.block else f"pybullet/{self.mesh:03d}"


class SetsFile(Spec):
    """A file of object sets.

    Attributes:
        gripper: Name of the gripper that could hold all of them.
        sets: Objects by the set's name; no object is in two sets.
    """

    gripper: str
    sets: dict[str, tuple[Entry, ...]]

    @model_validator(mode="after")
    def _disjoint(self) -> SetsFile:
        names = [entry.name for entries in self.sets.values() for entry in entries]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each object is in one set, once; these are not: {twice}")
        return self


@dataclass(frozen=True)
class ObjectSet:
    """Objects that scenes are drawn from.

    Attributes:
        name: Of the set, or of several, joined by ``+``.
        entries: The objects.
        digest: Of the entries.
    """

    name: str
    entries: tuple[Entry, ...]
    digest: str

    def draw(self, rng: np.random.Generator, count: int) -> list[tuple[str, ObjectSpec]]:
        """Different objects by chance, each with random colour, friction and density.

        Objects repeat only where the set has fewer than ``count``.

        Returns:
            (name, object) of each.
        """
        chosen = rng.choice(len(self.entries), count, replace=count > len(self.entries))
        return [(self.entries[i].name, specify(self.entries[i], rng)) for i in chosen]


def specify(entry: Entry, rng: np.random.Generator) -> ObjectSpec:
    """An entry as an object, with random colour, friction and density."""
    drawn = random_object(rng, (entry.block or "cube",))
    if entry.block:
        return drawn
    asset = mesh_asset(entry)
    return replace(drawn, shape=MESH, mesh=asset.file, size=asset.size)


def mesh_asset(entry: Entry) -> MeshAsset:
    """The file of a mesh's entry, with its scale to metres."""
    (asset,) = pybullet_meshes([entry.mesh])
    return MeshAsset(asset.file, asset.scale * entry.scale)


@lru_cache(maxsize=4096)
def file_digest(file: str) -> str:
    """First digits of a file's SHA-256."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:DIGEST_LENGTH]


def sets_file() -> Path:
    """The file that ships."""
    return share_dir() / "config" / "objects" / "toys.yaml"


def load_object_set(name: str, file: str | Path | None = None) -> ObjectSet:
    """One set, or several joined by ``+``, with the digests of their files checked.

    Args:
        name: E.g. ``train_base`` or ``train_base+train_staged``.
        file: Of the sets; ``config/objects/toys.yaml`` where None.

    Raises:
        UnknownName: If there is no such set.
        InvalidConfig: If the file is wrong, names a reserved mesh, or a mesh file
            has another digest.
        MissingDependency: If meshes are needed and pybullet is not installed.
    """
    path = Path(file) if file else sets_file()
    try:
        content = SetsFile.model_validate(load_yaml(path))
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        ]
        raise InvalidConfig(f"{path} holds no valid object sets:\n" + "\n".join(lines)) from error
    entries: list[Entry] = []
    for part in name.split(JOIN):
        if part not in content.sets:
            raise UnknownName("object set", part, content.sets)
        entries += content.sets[part]
    if not entries:
        raise InvalidConfig(f"{path}: set {name!r} is empty")
    for entry in entries:
        if entry.mesh >= 0:
            _check_file(entry, path)
    text = "\n".join(entry.model_dump_json() for entry in entries)
    digest = hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]
    return ObjectSet(name, tuple(entries), digest)


def _check_file(entry: Entry, path: Path) -> None:
    file = mesh_asset(entry).file
    if not Path(file).is_file():
        raise InvalidConfig(f"{path}: {entry.name} is not installed: {file} does not exist")
    found = file_digest(file)
    if found != entry.sha256:
        raise InvalidConfig(
            f"{path}: {file} has digest {found}, not {entry.sha256}: another version of "
            "pybullet_data is installed; install pybullet==3.2.7, or choose the sets again with "
            "tools/choose_objects.py"
        )
