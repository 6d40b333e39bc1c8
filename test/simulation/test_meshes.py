from __future__ import annotations

from importlib.util import find_spec
from types import SimpleNamespace

import mujoco
import numpy as np
import pytest
import trimesh

from selfgrasp_nodes.errors import InvalidScene, MissingDependency
from selfgrasp_nodes.simulation import meshes
from selfgrasp_nodes.simulation.objects import ObjectSpec, add_to_spec, random_object


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SELFGRASP_CACHE", str(tmp_path / "cache"))
    meshes.load.cache_clear()
    yield
    meshes.load.cache_clear()


def l_shape() -> trimesh.Trimesh:
    outline = np.array([(0, 0), (0.08, 0), (0.08, 0.02), (0.02, 0.02), (0.02, 0.06), (0, 0.06)])
    faces, depth, n = [], 0.03, len(outline)
    points = np.vstack([np.column_stack([outline, np.full(n, z)]) for z in (0, depth)])
    for a, b, c in ((0, 1, 2), (0, 2, 3), (0, 3, 4), (0, 4, 5)):
        faces += [(c, b, a), (a + n, b + n, c + n)]
    for i in range(n):
        j = (i + 1) % n
        faces += [(i, j, j + n), (i, j + n, i + n)]
    mesh = trimesh.Trimesh(points, faces)
    assert mesh.is_watertight and mesh.volume > 0
    return mesh


def test_a_concave_mesh_is_cut_into_convex_pieces(tmp_path):
    file = tmp_path / "bracket.stl"
    l_shape().export(file)
    mesh = meshes.load(str(file))
    assert len(mesh.hulls) >= 2
    np.testing.assert_allclose(mesh.size, (0.08, 0.06, 0.03), atol=1e-3)
    volume = sum(piece.volume for piece in mesh.pieces(mesh.size))
    assert volume == pytest.approx(l_shape().volume, rel=0.1)
    # The notch is empty: its middle lies in no piece.
    notch = np.array([0.06, 0.04, 0.015]) - np.array([0.04, 0.03, 0.015])
    for piece in mesh.pieces(mesh.size):
        assert np.max(piece.planes[:, :3] @ notch + piece.planes[:, 3]) > 0


def test_a_convex_mesh_stays_one_piece_and_is_scaled(tmp_path):
    file = tmp_path / "ball.obj"
    trimesh.creation.icosphere(subdivisions=2, radius=25.0).export(file)
    asset = meshes.MeshAsset(str(file), scale=1e-3)
    np.testing.assert_allclose(asset.size, (0.05, 0.05, 0.05), atol=1e-3)
    obj = ObjectSpec("mesh", size=asset.size, mesh=asset.file)
    assert len(obj.pieces) == 1
    spec = mujoco.MjSpec()
    add_to_spec(spec, obj, "ball")
    model = spec.compile()
    assert model.body("ball").mass[0] == pytest.approx(600 * 4 / 3 * np.pi * 0.025**3, rel=0.05)


def test_the_second_load_comes_from_the_cache(tmp_path, monkeypatch):
    file = tmp_path / "bracket.stl"
    l_shape().export(file)
    first = meshes.load(str(file))
    meshes.load.cache_clear()
    monkeypatch.setattr(meshes, "_decompose", lambda path: pytest.fail("decomposed again"))
    second = meshes.load(str(file))
    for a, b in zip(first.hulls, second.hulls, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_damaged_cache_is_replaced(tmp_path):
    file = tmp_path / "bracket.stl"
    l_shape().export(file)
    first = meshes.load(str(file))
    meshes.load.cache_clear()
    for cached in meshes.cache_folder().glob("*.npz"):
        cached.write_bytes(cached.read_bytes()[:100])
    assert len(meshes.load(str(file)).hulls) == len(first.hulls)


def test_a_folder_gives_its_meshes_sorted(tmp_path):
    for name in ("b.stl", "a.obj"):
        trimesh.creation.box((0.05, 0.04, 0.03)).export(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no mesh")
    assets = meshes.mesh_folder(tmp_path)
    assert [asset.name for asset in assets] == ["a", "b"]
    drawn = random_object(np.random.default_rng(0), mesh_assets=assets)
    assert drawn.shape == "mesh"
    np.testing.assert_allclose(drawn.size, (0.05, 0.04, 0.03), atol=1e-6)


def test_bad_folders_and_files_are_refused(tmp_path):
    with pytest.raises(InvalidScene, match="does not exist"):
        meshes.mesh_folder(tmp_path / "nowhere")
    with pytest.raises(InvalidScene, match="looked for"):
        meshes.mesh_folder(tmp_path)
    with pytest.raises(InvalidScene, match="does not exist"):
        meshes.load(str(tmp_path / "missing.stl"))
    broken = tmp_path / "broken.stl"
    broken.write_bytes(b"solid nothing\n")
    with pytest.raises(InvalidScene, match="mesh"):
        meshes.load(str(broken))


def test_sources_by_name(tmp_path, monkeypatch):
    trimesh.creation.box((50, 40, 30)).export(tmp_path / "box.stl")
    assert meshes.mesh_source("") == []
    (plain,) = meshes.mesh_source(str(tmp_path))
    (scaled,) = meshes.mesh_source(f"{tmp_path}@0.001")
    assert plain.scale == 1.0
    np.testing.assert_allclose(scaled.size, (0.05, 0.04, 0.03), atol=1e-6)
    monkeypatch.setattr(meshes, "find_spec", lambda name: SimpleNamespace(origin="/data/it.py"))
    assert len(meshes.mesh_source("pybullet")) == 900
    assert [a.name for a in meshes.mesh_source("pybullet:7-9")] == ["007", "008", "009"]
    assert [a.name for a in meshes.mesh_source("pybullet:7")] == ["007"]
    for wrong in ("pybullet:x", "pybullet:1-y", "pybullet:950", f"{tmp_path}@-1", "/nowhere"):
        with pytest.raises(InvalidScene):
            meshes.mesh_source(wrong)


def test_reserved_objects_are_refused_unless_asked_for():
    with pytest.raises(InvalidScene, match="reserved"):
        meshes.pybullet_meshes([5, 950])
    with pytest.raises(InvalidScene, match="0 to 999"):
        meshes.pybullet_meshes([1000])


def test_without_pybullet_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(meshes, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="pip install"):
        meshes.pybullet_meshes([0])


@pytest.mark.skipif(find_spec("pybullet_data") is None, reason="needs the extra pybullet")
def test_pybullet_objects_load():
    assets = meshes.pybullet_meshes(range(5))
    for asset in assets:
        assert 0.02 < max(asset.size) < 0.2
    spec = mujoco.MjSpec()
    add_to_spec(spec, ObjectSpec("mesh", size=assets[0].size, mesh=assets[0].file), "it")
    assert spec.compile().ngeom >= 1
