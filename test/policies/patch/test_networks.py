from __future__ import annotations

import collections
import zipfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from selfgrasp_nodes.errors import InvalidConfig, StorageError, UnknownName  # noqa: E402
from selfgrasp_nodes.policies.patch.alexnet import PaperNetwork, load_imagenet  # noqa: E402
from selfgrasp_nodes.policies.patch.encoding import ANGLES, STEP  # noqa: E402
from selfgrasp_nodes.policies.patch.networks import (  # noqa: E402
    check_network,
    fused,
    make_network,
    whole,
)


def _smooth(count: int = 3, pixels: int = 96) -> torch.Tensor:
    """Pictures without detail finer than the networks' sampling."""
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand(count, 4, 7, 7, generator=generator) * 200 + 30
    fine = torch.nn.functional.interpolate(coarse, (pixels, pixels), mode="bicubic")
    return fine.clamp(1, 255).round().byte().permute(0, 2, 3, 1).contiguous()


def _turned(images: torch.Tensor, angle: float) -> torch.Tensor:
    c, s = np.cos(angle) / 1.5, np.sin(angle) / 1.5
    frame = torch.tensor([[c, -s, 0], [s, c, 0]], dtype=torch.float32)
    return frame.expand(len(images), 2, 3)


@pytest.mark.parametrize("name", ["polar", "window"])
@pytest.mark.parametrize("channels", ["rgbd", "depth", "rgb"])
def test_turning_the_patch_by_a_bin_shifts_the_answer_by_one(name: str, channels: str) -> None:
    torch.manual_seed(1)
    network = make_network(name, channels=channels).eval()
    images, tips = _smooth(), torch.full((3,), -0.03)
    with torch.inference_mode():
        plain = network(images, _turned(images, 0.0), tips)
        turned = network(images, _turned(images, STEP), tips)
    # Cut at +10 degrees, a grasp in bin k + 1 appears in bin k.
    # Only the polar network knows that the last bin and the first are neighbours.
    bins = slice(None) if name == "polar" else slice(0, ANGLES - 1)
    assert torch.allclose(turned[:, bins], plain.roll(-1, 1)[:, bins], atol=2e-4)
    assert not torch.allclose(turned, plain, atol=2e-4)


def test_a_hand_turned_by_half_a_turn_is_the_same_hand() -> None:
    torch.manual_seed(1)
    network = make_network("polar").eval()
    images, tips = _smooth(), torch.full((3,), -0.03)
    with torch.inference_mode():
        plain = network(images, _turned(images, 0.0), tips)
        half = network(images, _turned(images, np.pi), tips)
    assert torch.allclose(half, plain, atol=2e-4)


@pytest.mark.parametrize("name", ["polar", "window", "plain"])
def test_folding_norms_changes_nothing_and_tried_is_a_column(name: str) -> None:
    torch.manual_seed(2)
    network = make_network(name)
    images, tips = _smooth(8), torch.full((8,), -0.03)
    network.train()
    for _ in range(3):
        network(images, whole(images), tips)  # gives the norms something to fold
    network.eval()
    bins = torch.tensor([0, 3, 17, 9, 1, 2, 4, 5])
    with torch.inference_mode():
        before = network(images, whole(images), tips)
        tried = network.tried(images, whole(images), tips, bins)
        after = fused(network)(images, whole(images), tips)
    assert before.shape == (8, ANGLES)
    assert torch.allclose(before, after, atol=1e-3)
    assert torch.allclose(tried, before[torch.arange(8), bins], atol=1e-4)


def test_unknown_heights_do_not_spread() -> None:
    network = make_network("polar").eval()
    images = _smooth(2)
    images[0, :, :, 3] = 0  # nothing was measured at all
    with torch.inference_mode():
        odds = network(images, whole(images), torch.full((2,), -0.03))
    assert torch.isfinite(odds).all()


def test_names_and_parameters_are_checked() -> None:
    with pytest.raises(UnknownName, match="polar"):
        make_network("resnet")
    with pytest.raises(InvalidConfig, match="polar"):
        make_network("polar", depth=3)
    with pytest.raises(InvalidConfig, match="rgb"):
        make_network("alexnet", channels="rgbd")


@pytest.mark.parametrize(
    ("network", "told"),
    [
        ({"name": "alexnet", "dropout": 7}, r"dropout.*valid.*channels='rgb', dropout=0\.5"),
        ({"name": "polar", "rings": 5}, r"\{'rings': 5\}.*valid.*rings=24, widths="),
        ({"name": "polar", "widths": [8, 8]}, r"widths.*valid.*rings=24"),
        ({"name": "polar", "rings": "many"}, r"many.*valid.*rings=24"),
        ({"name": "plain", "pixels": 40}, r"40.*valid.*pixels=64"),
        ({"channels": "rgb"}, r"needs a 'name'; valid: alexnet, lite, plain, polar, window"),
        ({"name": ["polar"]}, r"needs a 'name'"),
    ],
)
def test_parameters_of_which_no_network_can_be_made_are_refused(network: dict, told: str) -> None:
    with pytest.raises(InvalidConfig, match=told) as caught:
        check_network(network)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["polar", "window", "plain", "lite", "alexnet"])
def test_a_check_draws_nothing(name: str) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    check_network({"name": name})
    assert (torch.rand(4) == expected).all()


# torchvision's alexnet(): names and shapes of the convolutions.
ALEXNET = {
    "features.0": (64, 3, 11, 11),
    "features.3": (192, 64, 5, 5),
    "features.6": (384, 192, 3, 3),
    "features.8": (256, 384, 3, 3),
    "features.10": (256, 256, 3, 3),
}


def _imagenet() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    weights: dict[str, torch.Tensor] = collections.OrderedDict()
    for name, shape in ALEXNET.items():
        weights[f"{name}.weight"] = torch.rand(shape, generator=generator)
        weights[f"{name}.bias"] = torch.rand(shape[0], generator=generator)
    weights["classifier.1.weight"] = torch.zeros(4, 4)  # not used
    return weights


@pytest.mark.parametrize("form", ["safetensors", "zip"])
def test_imagenet_weights_come_from_a_file(form: str, tmp_path) -> None:
    weights = _imagenet()
    path = tmp_path / ("a.safetensors" if form == "safetensors" else "a.pth")
    if form == "safetensors":
        save_file(weights, path)
    else:
        torch.save(weights, path)
    network = PaperNetwork()
    load_imagenet(network, path)
    for name in ALEXNET:
        index = int(name.split(".")[1])
        assert torch.equal(network.features[index].weight, weights[f"{name}.weight"])


class _Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


def test_no_foreign_pickle_is_run(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    network = PaperNetwork()
    torch.save({"features.0.weight": _Bomb()}, "zip.pth")
    with pytest.raises(StorageError, match="more than tensors"):
        load_imagenet(network, tmp_path / "zip.pth")
    torch.save(_imagenet(), "old.pth", _use_new_zipfile_serialization=False)
    assert not zipfile.is_zipfile("old.pth")
    with pytest.raises(StorageError, match="never"):
        load_imagenet(network, tmp_path / "old.pth")
    assert not (tmp_path / "exploded").exists()
    weights = _imagenet()
    weights["features.3.weight"] = torch.zeros(192, 32, 5, 5)
    save_file(weights, tmp_path / "b.safetensors")
    with pytest.raises(InvalidConfig, match=r"features\.3"):
        load_imagenet(network, tmp_path / "b.safetensors")


def test_only_the_tried_bin_learns_from_a_try() -> None:
    from selfgrasp_nodes.learning.patch_batches import Batch
    from selfgrasp_nodes.learning.patch_step import batch_loss

    torch.manual_seed(0)
    network = PaperNetwork(dropout=0.0)
    assert network.fc6.weight.shape == (4096, 9216) and network.fc7.weight.shape == (1024, 4096)
    images = _smooth(2)
    bins = torch.tensor([4, 11])
    batch = Batch(
        images,
        whole(images),
        torch.full((2,), -0.03),
        bins,
        torch.nn.functional.one_hot(bins, ANGLES).float(),
        torch.tensor([1.0, 0.0]),
    )
    loss = batch_loss(network, batch, (1.0, 1.0))
    loss.backward()
    gradient = network.heads.weight.grad.view(ANGLES, 2, -1).abs().sum((1, 2))
    assert gradient.nonzero().flatten().tolist() == [4, 11]
    # Equation 1: softmax over the two classes of the tried bin.
    scores = network.scores(images, whole(images))[torch.arange(2), bins]
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor([1, 0]))
    assert torch.allclose(loss, expected, atol=1e-6)
