"""The default network: its symmetries, and that its two ways to judge agree."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from selfgrasp_nodes.errors import InvalidConfig, UnknownName  # noqa: E402
from selfgrasp_nodes.policies.fingers import Fingers  # noqa: E402
from selfgrasp_nodes.policies.pixelq.actions import STEP, Motions, Strokes  # noqa: E402
from selfgrasp_nodes.policies.pixelq.networks import PixelNetwork, Scored, make_network  # noqa: E402
from selfgrasp_nodes.policies.pixelq.state import State  # noqa: E402
from selfgrasp_nodes.types import Primitive  # noqa: E402

WIDTHS = (0.11, 0.07)


def build(robot, **parameters) -> PixelNetwork:
    torch.manual_seed(3)
    motions = Motions(Fingers(robot.arms[0].gripper), Strokes())
    given = {"name": "window", "widths": WIDTHS, **parameters}
    network = make_network(motions, robot.workspace.workspace, **given).eval()
    with torch.no_grad():
        for parameter in network.parameters():  # an untrained one says nearly the same of all
            parameter.mul_(2.5)
    return network


def scene(seed: int = 0, blocks: int = 6) -> State:
    """Boxes anywhere, on an odd grid about the middle, so that turning is exact."""
    rng = np.random.default_rng(seed)
    height = np.zeros((224, 224), np.float32)
    color = np.full((224, 224, 3), 40, np.uint8)
    for _ in range(blocks):
        r, c = rng.integers(40, 160, 2)
        h, w = rng.integers(12, 30, 2)
        height[r : r + h, c : c + w] = rng.uniform(0.02, 0.06)
        color[r : r + h, c : c + w] = rng.integers(60, 255, 3)
    known = np.ones((224, 224), bool)
    known[rng.integers(0, 200, 20), rng.integers(0, 200, 20)] = False
    return State(height, known, color)


@pytest.fixture(scope="module")
def network(robot) -> PixelNetwork:
    return build(robot)


def outputs(network, state, primitive, angle, places) -> np.ndarray:
    examples = [network.example(state, primitive, angle, r, c, 1) for r, c in places]
    with torch.inference_mode():
        return network.values(examples).numpy()


def places(state: State, count: int = 40) -> np.ndarray:
    cells = np.argwhere(state.occupied)
    return cells[np.linspace(0, len(cells) - 1, count).astype(int)]


def same(found: np.ndarray, wanted: np.ndarray) -> None:
    """Equal, but for points between two cells, of which rounding may take either."""
    off = np.abs(found - wanted)
    assert (off < 1e-4).mean() > 0.7 and off.max() < 0.1 * wanted.std() + 1e-4


@pytest.mark.parametrize("primitive", Primitive)
def test_judging_everything_and_judging_one_agree(network, primitive) -> None:
    state = scene()
    every = network.evaluate(state, (primitive,))
    assert len(every) > 500 and (every.primitive == primitive).all()
    chosen = np.random.default_rng(1).integers(len(every), size=60)
    examples = [
        network.example(
            state,
            primitive,
            STEP * int(every.rotation[i]),
            int(every.row[i]),
            int(every.col[i]),
            int(every.opening[i]),
        )
        for i in chosen
    ]
    with torch.inference_mode():
        single = network.values(examples).numpy()
    assert every.value.std() > 0.05
    # Codes of half a millimetre stand between the two.
    np.testing.assert_allclose(single, every.value[chosen], atol=0.03)


def test_half_a_turn_and_mirrors_leave_a_grasp_as_it_is(network) -> None:
    state = scene(1)
    at = places(state)
    for rotation in (0, 3, 6):
        angle = STEP * rotation
        plain = outputs(network, state, Primitive.GRASP, angle, at)
        turned = outputs(network, state, Primitive.GRASP, angle + np.pi, at)
        same(turned, plain)
    mirror = State(state.height[:, ::-1], state.known[:, ::-1], state.color[:, ::-1])
    mirrored = outputs(network, mirror, Primitive.GRASP, 0.0, [(r, 223 - c) for r, c in at])
    plain = outputs(network, state, Primitive.GRASP, 0.0, at)
    assert plain.std() > 0.02
    same(mirrored, plain)


def test_a_push_may_be_mirrored_across_its_stroke_but_not_turned(network) -> None:
    state = scene(2)
    at = places(state)
    plain = outputs(network, state, Primitive.PUSH, 0.0, at)
    mirror = State(state.height[::-1].copy(), state.known[::-1].copy(), state.color[::-1].copy())
    mirrored = outputs(network, mirror, Primitive.PUSH, 0.0, [(223 - r, c) for r, c in at])
    same(mirrored, plain)
    assert np.abs(outputs(network, state, Primitive.PUSH, np.pi, at) - plain).max() > 0.02


@pytest.mark.parametrize("primitive", Primitive)
def test_a_turned_table_has_turned_values(network, primitive) -> None:
    state = scene(3)
    at = places(state)
    # Turned by a quarter: x becomes y, y becomes -x.
    quarter = State(
        np.rot90(state.height, -1).copy(),
        np.rot90(state.known, -1).copy(),
        np.rot90(state.color, -1).copy(),
    )
    moved = [(c, 223 - r) for r, c in at]
    plain = outputs(network, state, primitive, STEP, at)
    turned = outputs(network, quarter, primitive, STEP + np.pi / 2, moved)
    if primitive is Primitive.PUSH:  # it also sees the workspace's edge, square as it is
        assert plain.std() > 0.02
    same(turned, plain)


def test_only_where_something_stands(network) -> None:
    state = scene(4, blocks=2)
    grasps = network.evaluate(state, (Primitive.GRASP,))
    assert state.occupied[grasps.row, grasps.col].all()
    assert set(grasps.opening) == {0, 1} and set(grasps.rotation) == set(range(8))
    pushes = network.evaluate(state, (Primitive.PUSH,))
    assert len(pushes) and set(pushes.rotation) <= set(range(16))
    within = np.zeros((224, 224), bool)
    within[:112] = True
    fewer = network.evaluate(state, (Primitive.GRASP, Primitive.PUSH), within)
    assert (fewer.row < 112).all() and len(fewer) < len(grasps) + len(pushes)
    maps = network.evaluate(state, (Primitive.GRASP, Primitive.PUSH)).maps()
    assert maps.shape == (2, 16, 224, 224)
    np.testing.assert_array_equal(maps[Primitive.GRASP, 2], maps[Primitive.GRASP, 10])
    nothing = State(np.zeros((224, 224), np.float32), state.known, state.color)
    assert len(network.evaluate(nothing, (Primitive.GRASP, Primitive.PUSH))) == 0


def test_values_are_smoothed_over_what_lies_beside_them() -> None:
    rotation, row, col = (a.ravel() for a in np.mgrid[0:8, 2:32:3, 50:80:3])
    keep = ~((row == 8) & (col == 53))  # a pixel that was not judged
    rotation, row, col = rotation[keep], row[keep], col[keep]
    value = np.random.default_rng(0).random(len(row))
    zeros = np.zeros(len(row), int)
    smooth = Scored(zeros, rotation, row, col, zeros, value).smoothed()
    for i in (0, 57, 123, len(row) - 1):
        turn = np.abs((rotation - rotation[i] + 4) % 8 - 4)
        near = (turn <= 1) & (np.abs(row - row[i]) <= 3) & (np.abs(col - col[i]) <= 3)
        assert smooth[i] == pytest.approx(value[near].mean())
    # Pushes do not wrap after half a turn, and no primitive looks at the other.
    both = Scored(
        np.array([0, 1, 1, 1]), np.array([0, 0, 7, 15]), np.full(4, 5), np.full(4, 5),
        np.zeros(4, int), np.array([9.0, 1.0, 3.0, 5.0]),
    )  # fmt: skip
    np.testing.assert_allclose(both.smoothed(), [9, 3, 3, 3])


@pytest.mark.parametrize("primitive", Primitive)
@pytest.mark.parametrize(
    ("inputs", "colour", "depth"), [("depth", False, True), ("rgb", True, False)]
)
def test_a_network_sees_its_inputs_alone(robot, inputs, colour, depth, primitive) -> None:
    network = build(robot, inputs=inputs)
    state = scene(5)
    at = places(state)
    plain = outputs(network, state, primitive, 0.0, at)
    gray = State(state.height, state.known, np.roll(state.color, 7, axis=(0, 1)))
    assert (np.abs(outputs(network, gray, primitive, 0.0, at) - plain).max() > 1e-4) == colour
    other = np.where(state.height > 0, state.height + 0.02, 0).astype(np.float32)
    other[::5] += 0.004
    taller = State(other, state.known, state.color)
    assert (np.abs(outputs(network, taller, primitive, 0.0, at) - plain).max() > 1e-4) == depth


def test_one_step_moves_the_value_of_its_pixel(robot) -> None:
    network = build(robot).train()
    state = scene(6)
    (r, c), *_ = places(state)
    example = network.example(state, Primitive.GRASP, STEP, r, c, 0)
    optimizer = torch.optim.SGD(network.parameters(), 0.01)
    before = network.eval().values([example])
    loss = (before - (before.detach() + 1)).pow(2).sum()
    loss.backward()
    optimizer.step()
    assert (network.values([example]) - before).item() > 0


def test_what_cannot_be_built_is_refused(robot) -> None:
    with pytest.raises(InvalidConfig, match="within the stroke of rg2"):
        build(robot, widths=(0.2,))
    with pytest.raises(UnknownName, match="densenet, window"):
        build(robot, name="resnet")
    with pytest.raises(UnknownName, match="depth, rgb, rgbd"):
        build(robot, inputs="lidar")
    with pytest.raises(InvalidConfig, match="filterz"):
        build(robot, filterz=3)


def blocks(*corners: tuple[int, int]) -> State:
    """Cubes of 50 mm at (row, column) of their first cells."""
    height = np.zeros((224, 224), np.float32)
    for r, c in corners:
        height[r : r + 25, c : c + 25] = 0.05
    color = np.where(height[..., None] > 0, 180, 40).repeat(3, 2).astype(np.uint8)
    return State(height, np.ones((224, 224), bool), color)


def along_x(network: PixelNetwork, state: State) -> Scored:
    """Its pushes towards larger columns."""
    found = network.evaluate(state, (Primitive.PUSH,))
    return found.take(np.flatnonzero(found.rotation == 0))


def test_a_push_that_would_move_a_block_over_the_border_is_left_out(robot) -> None:
    free = build(robot)
    careful = build(robot)
    careful.motions = Motions(Fingers(robot.arms[0].gripper), Strokes(push_room=0.005))
    near, far = blocks((100, 185)), blocks((100, 40))  # 28 mm and 318 mm from the border
    assert len(along_x(free, near)) and not len(along_x(careful, near))
    assert len(along_x(free, far)) == len(along_x(careful, far)) > 0
    # Away from the border, and along it, it may be pushed.
    others = careful.evaluate(near, (Primitive.PUSH,)).rotation
    assert 8 in others and (4 in others or 12 in others)
    # Two in a row need twice the room: there is some for the first alone.
    one, two = blocks((100, 130)), blocks((100, 130), (100, 156))
    assert len(along_x(careful, one)) > len(along_x(careful, two))


def test_dense_clutter_is_looked_at_once_more_where_it_is_best(robot) -> None:
    state = scene(4, blocks=14)
    coarse, fine = build(robot, most_cells=300), build(robot, most_cells=100_000)
    found, everything = (x.evaluate(state, (Primitive.GRASP,)) for x in (coarse, fine))
    assert set(found.lattice) == {0, 1} and set(everything.lattice) == {0}
    first, second = (found.take(np.flatnonzero(found.lattice == n)) for n in (1, 0))
    assert len(np.unique(first.row * 224 + first.col)) <= 300
    assert len(np.unique(second.row * 224 + second.col)) <= 200
    # What it says there is what the fine lattice says, and nearly its best.
    known = {
        key: value
        for *key, value in zip(
            everything.rotation, everything.row, everything.col, everything.opening,
            everything.value, strict=True,
        )
        for key in [tuple(map(int, key))]
    }  # fmt: skip
    for r, row, col, opening, value in zip(
        second.rotation, second.row, second.col, second.opening, second.value, strict=True
    ):
        assert value == pytest.approx(known[int(r), int(row), int(col), int(opening)], abs=1e-4)
    worst, best = everything.value.min(), everything.value.max()
    assert second.value.max() > best - 0.15 * (best - worst)
