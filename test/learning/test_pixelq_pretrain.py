"""Stored crops become pieces of heightmap, and are learnt from."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("mujoco")

from pixelq_tries import CONFIG, robot  # noqa: E402, F401

from selfgrasp_nodes.errors import InvalidConfig, StorageError  # noqa: E402
from selfgrasp_nodes.learning.pixelq_learner import Learner  # noqa: E402
from selfgrasp_nodes.learning.pixelq_pretrain import crop_example, pretrain, relaid  # noqa: E402
from selfgrasp_nodes.perception.heightmap import build_heightmap  # noqa: E402
from selfgrasp_nodes.perception.patches import candidate_crop  # noqa: E402
from selfgrasp_nodes.policies.pixelq.actions import Pixel  # noqa: E402
from selfgrasp_nodes.policies.pixelq.state import make_state  # noqa: E402
from selfgrasp_nodes.policies.pixelq.windows import crop  # noqa: E402
from selfgrasp_nodes.robots.patch import PatchGeometry  # noqa: E402
from selfgrasp_nodes.simulation.scenes import random_scene  # noqa: E402
from selfgrasp_nodes.simulation.world import World  # noqa: E402
from selfgrasp_nodes.trials.store import TrialStore  # noqa: E402
from selfgrasp_nodes.trials.store_record import StoredTry  # noqa: E402
from selfgrasp_nodes.types import Observation, Primitive  # noqa: E402


@pytest.fixture(scope="module")
def seen(robot):  # noqa: F811
    world = World(robot)
    world.reset(random_scene(robot, 6, 4), 4)
    view = world.render()
    world.close()
    heightmap = build_heightmap([view], robot.workspace.workspace)
    return Observation("o", view.stamp, {view.camera: view}, heightmap)


def stored(robot, seen, learner, number: int) -> tuple[StoredTry, Pixel]:  # noqa: F811
    """A grasp somewhere on an object, with its crop as collection cuts it."""
    state = make_state(seen.heightmap)
    cells = np.argwhere(state.occupied[60:164, 60:164]) + 60
    row, col = (int(v) for v in cells[(number * 97) % len(cells)])
    pixel = Pixel(Primitive.GRASP, number % 8, row, col)
    motions = learner.online.network.motions
    candidate = motions.candidate(robot.workspace.workspace, state, pixel, 0.11, 0.0)
    cut = candidate_crop(seen, candidate, PatchGeometry.of(robot.arms[0].gripper))
    tried = StoredTry(
        run="r", episode=0, try_=number, robot=robot.name, arm="arm", gripper="rg2",
        view=cut.view, policy="random-roi", pose=candidate.pose, angle=candidate.angle,
        color=cut.color, height=cut.height, success=number % 2 == 0, width=candidate.width,
        surface=float(cut.center[2]),
    )  # fmt: skip
    return tried, pixel


@pytest.fixture(scope="module")
def learner(robot) -> Learner:  # noqa: F811
    return Learner(CONFIG, robot)


def test_a_crop_laid_out_anew_is_the_heightmap(robot, seen, learner) -> None:  # noqa: F811
    state = make_state(seen.heightmap)
    reach = 40
    for number in range(4):
        tried, pixel = stored(robot, seen, learner, number)
        side = PatchGeometry.of(robot.arms[0].gripper).crop_side
        height, color = relaid(tried, robot, side, reach)
        assert height.shape == (81, 81) and color.shape == (81, 81, 3)
        truth = crop(state.height, pixel.row, pixel.col, reach, 0)
        known = crop(state.known, pixel.row, pixel.col, reach, 0) & np.isfinite(height)
        assert known.mean() > 0.5
        off = np.abs(height - truth)[known]
        # Apart from cells on edges, which a millimetre decides.
        assert np.median(off) < 0.002 and (off < 0.006).mean() > 0.9
        example = crop_example(tried, learner.online.network, robot, side)
        # It is what the network makes of a try of its own, apart from cells on edges.
        own = learner.online.network.example(
            state, Primitive.GRASP, tried.angle, pixel.row, pixel.col, example.opening
        )
        assert example.image.keys() == own.image.keys()
        for name, plane in own.image.items():
            assert example.image[name].dtype == plane.dtype
            assert example.image[name].shape == plane.shape
        both = (own.image["unknown"] < 0.1) & (example.image["unknown"] < 0.1)
        off = np.abs(own.image["height"].astype(float) - example.image["height"])[both]
        assert both.mean() > 0.4 and np.median(off) < 0.002
        middle = example.image["height"].shape[0] // 2
        assert example.image["unknown"][middle, middle] < 1
        assert float(example.image["height"][middle, middle]) == pytest.approx(
            float(state.height[pixel.row, pixel.col]), abs=0.008
        )


def test_a_store_is_learnt_before_the_first_try(robot, seen, tmp_path) -> None:  # noqa: F811
    learner = Learner(CONFIG, robot)
    path = tmp_path / "a.store"
    with TrialStore.create(path, PatchGeometry.of(robot.arms[0].gripper)) as store:
        store.append([stored(robot, seen, learner, n)[0] for n in range(12)])
    before = {k: v.clone() for k, v in learner.state_dict().items()}
    assert pretrain(learner, path, 3) == 12
    after = learner.state_dict()
    assert any(not torch.equal(before[k], after[k]) for k in before)
    # No step is owed to it, and none of its tries are the training's own.
    assert learner.steps == 0 and learner.memories == []


def test_stores_that_do_not_fit(robot, tmp_path) -> None:  # noqa: F811
    learner = Learner(CONFIG, robot)
    with pytest.raises(StorageError):
        pretrain(learner, tmp_path / "none.store", 1)
    path = tmp_path / "empty.store"
    TrialStore.create(path, PatchGeometry.of(robot.arms[0].gripper)).close()
    with pytest.raises(InvalidConfig, match="holds no grasp of gripper 'rg2'"):
        pretrain(learner, path, 1)
