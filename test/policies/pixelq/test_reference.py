"""The paper's network: its shapes, its weights from a file, a step of learning."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from selfgrasp_nodes.errors import InvalidConfig, StorageError, UnknownName  # noqa: E402
from selfgrasp_nodes.policies.fingers import Fingers  # noqa: E402
from selfgrasp_nodes.policies.pixelq.actions import Motions, Strokes  # noqa: E402
from selfgrasp_nodes.policies.pixelq.densenet import (  # noqa: E402
    NORMS,
    densenet121,
    load_imagenet,
)
from selfgrasp_nodes.policies.pixelq.networks import make_network  # noqa: E402
from selfgrasp_nodes.policies.pixelq.state import State  # noqa: E402
from selfgrasp_nodes.types import Primitive  # noqa: E402


@pytest.fixture(scope="module")
def network(robot):
    torch.manual_seed(0)
    motions = Motions(Fingers(robot.arms[0].gripper), Strokes())
    return make_network(motions, robot.workspace.workspace, "densenet", (0.11,))


def a_state() -> State:
    rng = np.random.default_rng(0)
    height = np.zeros((224, 224), np.float32)
    height[80:110, 120:150] = 0.05
    color = rng.integers(0, 255, (224, 224, 3)).astype(np.uint8)
    return State(height, np.ones((224, 224), bool), color)


def test_the_trunks_are_torchvisions(network) -> None:
    trunk = network.trunks["push_color"]
    # DenseNet-121 has 7,978,856 parameters, of which the classifier 1,025,000.
    assert sum(p.numel() for p in trunk.parameters()) == 6_953_856
    assert len(network.trunks) == 4 and len(network.heads) == 2
    names = set(densenet121(NORMS["frozen"]).state_dict())
    for name in (
        "conv0.weight",
        "norm0.running_var",
        "denseblock1.denselayer1.norm1.weight",
        "denseblock3.denselayer24.conv2.weight",
        "transition3.conv.weight",
        "norm5.bias",
    ):
        assert name in names
    x = torch.zeros(1, 3, 64, 96)
    with torch.inference_mode():
        assert trunk(x).shape == (1, 1024, 2, 3)


def test_a_map_of_every_pixel_and_a_step_of_learning(network) -> None:
    state, rotation = a_state(), torch.tensor([3])
    shapes = {}

    def note(module, given, found) -> None:
        shapes[tuple(given[0].shape)] = tuple(found.shape)

    hooks = [
        m.register_forward_hook(note) for m in (*network.trunks.values(), *network.heads.values())
    ]
    example = network.example(state, Primitive.PUSH, 3 * np.pi / 8, 95, 130, 0)
    value = network.values([example])
    for hook in hooks:
        hook.remove()
    # 224 cells, zoomed to 448, padded to 640; a 32nd of that; joined; one value each.
    assert shapes == {(1, 3, 640, 640): (1, 1024, 20, 20), (1, 2048, 20, 20): (1, 1, 20, 20)}
    optimizer = torch.optim.SGD(network.parameters(), 1e-4)
    loss = torch.nn.functional.smooth_l1_loss(value, value.detach() + 1)
    loss.backward()
    # The loss is at one pixel of one primitive: the other's weights get nothing.
    assert network.trunks["push_height"].conv0.weight.grad.abs().sum() > 0
    assert network.trunks["grasp_color"].conv0.weight.grad is None
    optimizer.step()
    with torch.inference_mode():
        after = network.maps([state], Primitive.PUSH, rotation)
    assert after.shape == (1, 224, 224) and torch.isfinite(after).all()
    assert (after[0, 95, 130] > value).all()


def torchvision_weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    trunk = densenet121(NORMS["frozen"])
    weights = {f"features.{k}": torch.rand_like(v.float()) for k, v in trunk.state_dict().items()}
    return weights | {"classifier.weight": torch.zeros(1000, 1024)}


@pytest.mark.parametrize("form", ["safetensors", "zip", "old names"])
def test_weights_come_from_a_file_and_nothing_is_unpickled(form, tmp_path) -> None:
    from safetensors.torch import save_file

    weights = torchvision_weights()
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "old names":
        renamed = {
            k.replace("norm1", "norm.1").replace("norm2", "norm.2").replace("conv1", "conv.1")
            .replace("conv2", "conv.2"): v
            for k, v in weights.items() if not k.endswith("num_batches_tracked")
        }  # fmt: skip
        torch.save(renamed, path)
    elif form == "zip":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    for norm in NORMS:
        trunk = densenet121(NORMS[norm])
        load_imagenet([trunk], path)
        for name in ("conv0.weight", "denseblock2.denselayer3.norm2.weight"):
            torch.testing.assert_close(trunk.state_dict()[name], weights[f"features.{name}"])


class Bomb:
    def __reduce__(self):
        return (open, ("bomb", "w"))


def test_other_files_are_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    trunk = densenet121(NORMS["frozen"])
    with pytest.raises(StorageError, match="no file"):
        load_imagenet([trunk], tmp_path / "none.pth")
    torch.save({"features.conv0.weight": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(StorageError, match="more than tensors"):
        load_imagenet([trunk], tmp_path / "bomb.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(StorageError, match="bare pickles"):
        load_imagenet([trunk], tmp_path / "bare.pth")
    assert not (tmp_path / "bomb").exists()
    weights = torchvision_weights()
    del weights["features.norm5.weight"]
    torch.save(weights, tmp_path / "less.pth")
    with pytest.raises(InvalidConfig, match=r"features.norm5.weight is missing"):
        load_imagenet([trunk], tmp_path / "less.pth")


def test_what_the_paper_has_not_is_refused(robot) -> None:
    motions = Motions(Fingers(robot.arms[0].gripper), Strokes())
    workspace = robot.workspace.workspace
    with pytest.raises(InvalidConfig, match="one opening"):
        make_network(motions, workspace, "densenet", (0.11, 0.08))
    with pytest.raises(UnknownName, match="frozen, instance"):
        make_network(motions, workspace, "densenet", (0.11,), norm="batch")
