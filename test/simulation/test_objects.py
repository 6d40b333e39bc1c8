from __future__ import annotations

import mujoco
import numpy as np
import pytest

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidScene
from selfgrasp_nodes.simulation.objects import (
    DENSITY_RANGE,
    FRICTION_RANGE,
    ObjectSpec,
    add_to_spec,
    random_object,
)
from selfgrasp_nodes.simulation.scene import add_table
from selfgrasp_nodes.simulation.shapes import SIZES, block_pieces

# Volumes of VPG's published meshes [cm^3]; their 2 mm bevels take up to 3 %.
MEASURED_CM3 = {
    "prism": 122,
    "arch": 198,
    "tile": 61,
    "plank": 123,
    "cube": 124,
    "brick": 248,
    "half_cylinder": 48,
    "cylinder": 78,
}


def compiled(shape: str, pose: np.ndarray | None = None) -> tuple[mujoco.MjModel, mujoco.MjData]:
    spec = mujoco.MjSpec()
    add_table(spec)
    add_to_spec(spec, ObjectSpec(shape), "it", pose)
    model = spec.compile()
    return model, mujoco.MjData(model)


def test_there_are_nine_kinds_of_block():
    assert len(SIZES) == 9


@pytest.mark.parametrize("shape", SIZES)
def test_bounding_box_is_the_size_and_is_centred(shape):
    corners = ObjectSpec(shape).vertices
    np.testing.assert_allclose(corners.max(axis=0), np.array(SIZES[shape]) / 2, atol=1e-9)
    np.testing.assert_allclose(corners.min(axis=0), -np.array(SIZES[shape]) / 2, atol=1e-9)


@pytest.mark.parametrize("shape", MEASURED_CM3)
def test_volume_is_that_of_the_published_mesh(shape):
    volume = sum(piece.volume for piece in ObjectSpec(shape).pieces) * 1e6
    assert volume == pytest.approx(MEASURED_CM3[shape], rel=0.04)


@pytest.mark.parametrize("shape", SIZES)
def test_model_has_the_mass_centre_and_corners_of_the_pieces(shape):
    model, data = compiled(shape)
    obj = ObjectSpec(shape)
    assert model.body("it").mass[0] == pytest.approx(obj.mass, rel=2e-3)
    centre = sum(p.volume * p.vertices.mean(axis=0) for p in obj.pieces if p.box) * obj.density
    if all(p.box for p in obj.pieces):
        np.testing.assert_allclose(model.body("it").ipos, centre / obj.mass, atol=1e-6)
    mujoco.mj_forward(model, data)
    # Rays down through the middle of the block hit its top at half its height.
    hit = np.zeros(1, np.int32)
    start, down = np.array([0.001, 0.002, 1.0]), np.array([0.0, 0.0, -1.0])
    distance = mujoco.mj_ray(model, data, start, down, None, 1, -1, hit)
    assert 1.0 - distance == pytest.approx(SIZES[shape][2] / 2, abs=0.0025)


def test_the_arch_is_concave():
    model, data = compiled("arch")
    mujoco.mj_forward(model, data)
    hit = np.zeros(1, np.int32)
    up = np.array([0.0, 0.0, 1.0])
    spec_bottom, crown = -0.025, 0.0
    middle = mujoco.mj_ray(model, data, np.array([0.0, 0, -0.02499]), up, None, 0, -1, hit)
    assert spec_bottom + middle == pytest.approx(crown, abs=0.001)
    # The groove is round: at 45 degrees its wall is a radius away from the axis.
    slant = np.array([np.sqrt(0.5), 0.0, np.sqrt(0.5)])
    wall = mujoco.mj_ray(model, data, np.array([0.0, 0, -0.02499]), slant, None, 0, -1, hit)
    assert wall == pytest.approx(0.025, abs=0.0015)


def test_a_cylinder_fits_under_the_arch():
    spec = mujoco.MjSpec()
    add_to_spec(spec, ObjectSpec("arch"), "arch")
    lying = geometry.transform((0, 0, -0.0252), (np.pi / 2, 0, 0))
    add_to_spec(spec, ObjectSpec("cylinder"), "cylinder", lying)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    assert data.ncon == 0 or data.contact.dist.min() > -1e-4


@pytest.mark.parametrize("shape", [s for s in SIZES if s not in ("brick", "tile")])
def test_a_block_rests_on_its_lower_side(shape):
    height = SIZES[shape][2] / 2
    model, data = compiled(shape, geometry.transform((0, 0, height)))
    model.opt.timestep = 0.002
    mujoco.mj_step(model, data, nstep=1000)
    assert abs(data.qpos[2] - height) < 0.0005
    assert data.body("it").xmat.reshape(3, 3)[2, 2] > 0.9999


def test_pieces_of_a_block_do_not_overlap():
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.5, 0.5, (20000, 3)) * SIZES["arch"]
    inside = sum(
        np.all(points @ p.planes[:, :3].T + p.planes[:, 3] < -1e-6, axis=1).astype(int)
        for p in block_pieces("arch", SIZES["arch"])
    )
    assert inside.max() == 1


def test_faces_point_outwards():
    for shape in SIZES:
        for piece in ObjectSpec(shape).pieces:
            a, b, c = (piece.vertices[piece.faces[:, i]] for i in range(3))
            normal = np.cross(b - a, c - a)
            assert np.all(np.einsum("ij,ij->i", normal, a - piece.vertices.mean(axis=0)) > 0)


def test_random_objects_are_within_bounds_and_follow_the_seed():
    drawn = [random_object(np.random.default_rng(7)) for _ in range(2)]
    assert drawn[0] == drawn[1]
    rng = np.random.default_rng(0)
    many = [random_object(rng) for _ in range(300)]
    assert {obj.shape for obj in many} == set(SIZES)
    for obj in many:
        assert FRICTION_RANGE[0] <= obj.friction <= FRICTION_RANGE[1]
        assert DENSITY_RANGE[0] <= obj.density <= DENSITY_RANGE[1]


def test_friction_and_colour_reach_the_model():
    spec = mujoco.MjSpec()
    add_to_spec(spec, ObjectSpec("arch", friction=0.45, color=(0.1, 0.2, 0.3)), "it")
    model = spec.compile()
    np.testing.assert_allclose(model.geom_friction[:, 0], 0.45)
    np.testing.assert_allclose(model.geom_rgba[:, :3], [[0.1, 0.2, 0.3]] * model.ngeom, atol=1e-6)
    assert model.neq == 0


def test_equal_blocks_share_their_meshes():
    spec = mujoco.MjSpec()
    for name in "abc":
        add_to_spec(spec, ObjectSpec("cylinder"), name)
    assert spec.compile().nmesh == 1


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"shape": "banana"}, "half_cylinder"),
        ({"shape": "mesh"}, "file"),
        ({"shape": "cube", "size": (0.1, -0.1, 0.1)}, "positive"),
        ({"shape": "cube", "density": 0.0}, "positive"),
        ({"shape": "cube", "friction": float("nan")}, "finite"),
        ({"shape": "cube", "color": (0.0, 0.0, 2.0)}, "0..1"),
    ],
)
def test_nonsense_is_refused(fields, message):
    with pytest.raises(InvalidScene, match=message):
        ObjectSpec(**fields)
