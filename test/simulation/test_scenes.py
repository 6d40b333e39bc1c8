from __future__ import annotations

import json

import mujoco
import numpy as np
import pytest

from selfgrasp_nodes.errors import InvalidScene, UnknownName
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation import scenes
from selfgrasp_nodes.simulation.objects import PALETTE, ObjectSpec
from selfgrasp_nodes.simulation.scene import SceneObject

FOLDER = share_dir() / "config" / "scenes"
KNOWN = FOLDER / "vpg_known_cases.json"
HARD = [
    (FOLDER / f"vpg_hard_{kind}.json", index)
    for kind, count in (("dev", 11), ("final", 12))
    for index in range(count)
]
CUBE = {"shape": "cube", "position": [0, 0, 0.025], "quaternion": [1, 0, 0, 0]}


@pytest.fixture(scope="module")
def robot():
    return load_robot("ur5_rg2")


def write(tmp_path, *objects, name="made"):
    file = tmp_path / "scenes.json"
    file.write_text(json.dumps({"scenes": [{"name": name, "objects": list(objects)}]}))
    return file


def motion(scene, robot, seconds=2.0):
    """Largest (shift [m], turn [rad]) of any object while the scene is left alone."""
    spec = mujoco.MjSpec()
    scenes.add_table(spec)
    names = scene.add_to_spec(spec, robot.workspace.workspace)
    spec.option.timestep = 0.002
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    start = [(data.body(n).xpos.copy(), data.body(n).xmat.reshape(3, 3).copy()) for n in names]
    mujoco.mj_step(model, data, nstep=round(seconds / 0.002))
    shift = turn = 0.0
    for name, (position, rotation) in zip(names, start, strict=True):
        shift = max(shift, float(np.linalg.norm(data.body(name).xpos - position)))
        cosine = (np.trace(rotation.T @ data.body(name).xmat.reshape(3, 3)) - 1) / 2
        turn = max(turn, float(np.arccos(np.clip(cosine, -1, 1))))
    return shift, turn


@pytest.mark.parametrize("index", range(3))
def test_known_cases_stay_where_they_are(index, robot):
    scene = scenes.load_scenes(KNOWN)[index]
    shift, turn = motion(scene, robot)
    assert shift < 0.002
    assert turn < np.radians(2)


@pytest.mark.parametrize("file, index", HARD)
def test_hard_scenes_stay_where_they_are_as_drawn_and_disturbed(file, index, robot):
    scene = scenes.load_scenes(file)[index]
    for tried in (scene, scenes.perturbed(scene, 5, mm=2, degrees=2)):
        shift, turn = motion(tried, robot)
        assert shift < 0.002
        assert turn < np.radians(5)
    moved = [
        np.hypot(*np.subtract(after.position, before.position)[:2])
        for before, after in zip(scene.objects, tried.objects, strict=True)
    ]
    assert max(moved) > 0.001  # there is room for a disturbance
    half = np.asarray(robot.workspace.size) / 2
    for obj in scene.objects:
        corners = obj.spec.vertices @ obj.pose[:3, :3].T + obj.pose[:3, 3]
        assert np.all(np.abs(corners[:, :2]) < half)


def test_no_arrangement_serves_for_development_and_for_the_final_table():
    dev, final = (
        scenes.load_scenes(FOLDER / f"vpg_hard_{kind}.json") for kind in ("dev", "final")
    )
    known = scenes.load_scenes(KNOWN)
    names = [scene.name for scene in (*known, *dev, *final)]
    assert len(set(names)) == len(names) == 26

    def kinds(scene):
        return sorted(obj.spec.shape for obj in scene.objects)

    assert not any(kinds(a) == kinds(b) for a in dev for b in final)


def test_scenes_lie_around_the_workspace(robot):
    scene = scenes.load_scenes(KNOWN)[0]
    pose = scenes.world_T_object(scene.objects[0], robot.workspace.workspace)
    expected = np.add([0.06511, 0.12627, 0.02497], [*robot.workspace.center, 0])
    np.testing.assert_allclose(pose[:3, 3], expected)


def test_files_round_trip(tmp_path):
    loaded = scenes.load_scenes(KNOWN, seed=3)
    scenes.save_scenes(tmp_path / "copy.json", loaded)
    again = scenes.load_scenes(tmp_path / "copy.json", seed=99)
    assert [s.id for s in again] == [s.id for s in loaded]


def test_friction_follows_the_seed_where_the_file_gives_none(tmp_path):
    file = write(tmp_path, CUBE)
    one, same, other = (scenes.load_scenes(file, seed=s)[0] for s in (1, 1, 2))
    assert one.digest == same.digest != other.digest


def test_unknown_shape_lists_the_valid_ones(tmp_path):
    with pytest.raises(InvalidScene, match=r"object 1.*banana.*half_cylinder.*prism"):
        scenes.load_scenes(write(tmp_path, CUBE, CUBE | {"shape": "banana"}))


def test_interpenetration_is_refused_with_names_and_depth(tmp_path):
    brick = {"shape": "brick", "position": [0.045, 0, 0.05], "quaternion": [1, 0, 0, 0]}
    with pytest.raises(InvalidScene, match=r"brick 1.*cube 0.* 5\.0 mm|cube 0.*brick 1.* 5\.0 mm"):
        scenes.load_scenes(write(tmp_path, CUBE, brick))
    sunk = CUBE | {"position": [0, 0, 0.02]}
    with pytest.raises(InvalidScene, match=r"table.*5\.0 mm|cube 0.*5\.0 mm"):
        scenes.load_scenes(write(tmp_path, sunk))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"position": [0, 0]}, "position"),
        ({"position": [0, 0, float("nan")]}, "position"),
        ({"quaternion": [2, 0, 0, 0]}, "length 1"),
        ({"colour": [0, 0, 0]}, "colour.*valid"),
        ({"size": "big"}, "size"),
        ({"friction": None}, "friction"),
    ],
)
def test_malformed_objects_are_refused(tmp_path, change, message):
    with pytest.raises(InvalidScene, match=message):
        scenes.load_scenes(write(tmp_path, CUBE | change))


def test_malformed_files_are_refused(tmp_path):
    with pytest.raises(InvalidScene, match="cannot be read"):
        scenes.load_scenes(tmp_path / "missing.json")
    file = tmp_path / "bad.json"
    for text, message in (
        ("{", "not JSON"),
        ("[]", "scenes"),
        ('{"scenes": [1]}', "objects"),
        ('{"scenes": [{"objects": [], "seed": 3}]}', "unknown key seed; valid: name, objects"),
        ('{"scenes": [{"objects": []}], "robot": "x"}', "unknown key robot; valid: about"),
    ):
        file.write_text(text)
        with pytest.raises(InvalidScene, match=message):
            scenes.load_scenes(file)


def test_random_scenes_follow_the_seed(robot):
    assert scenes.random_scene(robot, 10, 4).id == scenes.random_scene(robot, 10, 4).id
    assert scenes.random_scene(robot, 10, 4).digest != scenes.random_scene(robot, 10, 5).digest


@pytest.mark.parametrize("count, seeds", [(0, 1), (10, 8), (30, 2)])
def test_random_scenes_rest_inside_the_workspace(robot, count, seeds):
    for seed in range(seeds):
        scene = scenes.random_scene(robot, count, seed)
        assert len(scene.objects) == count
        assert not scenes.penetrations(scene)
        for obj in scene.objects:
            pose = scenes.world_T_object(obj, robot.workspace.workspace)
            corners = obj.spec.vertices @ pose[:3, :3].T + pose[:3, 3]
            for x, y in (corners.min(axis=0)[:2], corners.max(axis=0)[:2]):
                assert robot.workspace.workspace.contains(float(x), float(y))
        if count:
            shift, turn = motion(scene, robot, seconds=1.0)
            assert shift < 0.002
            assert turn < np.radians(2)


def test_too_many_objects_are_refused(robot):
    options = scenes.DropOptions(rounds=1, interval=0.02, settle=0.1)
    with pytest.raises(InvalidScene, match="fewer"):
        scenes.random_scene(robot, 60, 0, options=options)
    with pytest.raises(InvalidScene, match="-1"):
        scenes.random_scene(robot, -1, 0)


def test_perturbed_scenes_are_near_and_valid():
    scene = scenes.load_scenes(KNOWN)[0]
    moved = scenes.perturbed(scene, 3, mm=5, degrees=10)
    assert moved.digest == scenes.perturbed(scene, 3, mm=5, degrees=10).digest != scene.digest
    assert not scenes.penetrations(moved)
    for before, after in zip(scene.objects, moved.objects, strict=True):
        shift = np.subtract(after.position, before.position)
        assert np.all(np.abs(shift[:2]) <= 0.005 + 1e-9)
        assert shift[2] == 0
        turn = before.pose[:3, :3].T @ after.pose[:3, :3]
        assert np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)) <= np.radians(10) + 1e-6
    assert any(a.position != b.position for a, b in zip(scene.objects, moved.objects, strict=True))


def test_a_scene_that_cannot_be_disturbed_says_so():
    both = tuple(
        scenes.SceneObject(ObjectSpec("cube"), (0, 0, 0.025), (1, 0, 0, 0)) for _ in range(2)
    )
    with pytest.raises(InvalidScene, match="less"):
        scenes.perturbed(scenes.Scene("stuck", both), 0, mm=1, degrees=1, tries=5)


def test_one_scene_as_text_is_what_its_file_holds(tmp_path) -> None:
    loaded = scenes.load_scenes(KNOWN, seed=3)
    scene = scenes.pick_scene(loaded, loaded[2].name)
    assert scene is loaded[2] and scenes.pick_scene(loaded, "") is loaded[0]
    file = tmp_path / "one.json"
    file.write_text(json.dumps({"scenes": [json.loads(scenes.scene_as_json(scene))]}))
    (again,) = scenes.load_scenes(file, seed=8)  # friction and density are written, not drawn
    assert again.name == scene.name
    for first, second in zip(scene.objects, again.objects, strict=True):
        assert second.spec.friction == pytest.approx(first.spec.friction)
        assert second.spec.density == pytest.approx(first.spec.density)
        assert np.allclose(second.pose, first.pose)
    with pytest.raises(UnknownName, match="test-10-obj-01"):
        scenes.pick_scene(loaded, "no such scene")


def laid(spec: ObjectSpec) -> SceneObject:
    return SceneObject(spec, (0.01, 0.02, 0.025), (1.0, 0.0, 0.0, 0.0))


def test_a_scene_of_blocks_keeps_its_digest() -> None:
    brick = ObjectSpec("brick", color=PALETTE[3], friction=0.5)
    other = SceneObject(brick, (-0.1, 0.05, 0.02), (0.70710678, 0.0, 0.0, 0.70710678))
    assert scenes.Scene("b", (laid(ObjectSpec("cube")), other)).digest == "efa1552b7df5"


def test_a_mesh_counts_by_what_it_is_and_not_by_where_it_lies(tmp_path) -> None:
    def digest(folder: str, content: str, name: str = "a.obj") -> str:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(content)
        spec = ObjectSpec("mesh", size=(0.04, 0.04, 0.04), mesh=str(tmp_path / folder / name))
        return scenes.Scene("m", (laid(spec),)).digest

    here = digest("one", "v 0 0 0")
    assert digest("two", "v 0 0 0") == here
    assert len({here, digest("three", "v 0 0 1"), digest("one", "v 0 0 0", "b.obj")}) == 3
    spec = ObjectSpec("mesh", size=(0.04, 0.04, 0.04), mesh=str(tmp_path / "none.obj"))
    with pytest.raises(InvalidScene, match="cannot be read"):
        _ = scenes.Scene("m", (laid(spec),)).digest
