"""The trunk of EfficientNet-Lite0: shapes, paddings, and weights from a file."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from selfgrasp_nodes.errors import InvalidConfig, StorageError  # noqa: E402
from selfgrasp_nodes.policies.patch.lite import LiteNetwork, _Same, load_lite  # noqa: E402
from selfgrasp_nodes.policies.patch.networks import make_network, whole  # noqa: E402


def test_it_judges_eighteen_angles_by_colour_alone() -> None:
    network = make_network("lite").eval()
    images = torch.randint(1, 255, (3, 64, 64, 4), dtype=torch.uint8)
    with torch.inference_mode():
        odds = network(images, whole(images), torch.zeros(3))
        other = images.clone()
        other[..., 3] = 7
        assert torch.equal(odds, network(other, whole(other), torch.ones(3)))
    assert odds.shape == (3, 18) and odds.std() > 0
    assert network.trunk(torch.zeros(1, 3, 64, 64)).shape == (1, 112, 4, 4)
    with pytest.raises(InvalidConfig, match="rgb"):
        make_network("lite", channels="rgbd")


def test_what_is_odd_of_the_padding_goes_right_and_below() -> None:
    convolution = _Same(1, 1, 3, 2, bias=False)
    x = torch.rand(1, 1, 8, 8)
    expected = F.conv2d(F.pad(x, (0, 1, 0, 1)), convolution.weight, stride=2)
    assert torch.allclose(convolution(x), expected) and expected.shape[-1] == 4
    odd = torch.rand(1, 1, 7, 7)
    expected = F.conv2d(F.pad(odd, (1, 1, 1, 1)), convolution.weight, stride=2)
    assert torch.allclose(convolution(odd), expected)


def test_weights_come_from_a_file_or_not_at_all(tmp_path) -> None:
    given, network = LiteNetwork(), LiteNetwork()
    weights = dict(given.trunk.state_dict())
    save_file({**weights, "_fc.weight": torch.zeros(3)}, tmp_path / "whole.safetensors")
    load_lite(network, tmp_path / "whole.safetensors")
    for name, tensor in network.trunk.state_dict().items():
        assert torch.equal(tensor, weights[name]), name
    del weights["_conv_stem.weight"]
    save_file(weights, tmp_path / "less.safetensors")
    with pytest.raises(InvalidConfig, match="_conv_stem"):
        load_lite(network, tmp_path / "less.safetensors")
    with pytest.raises(StorageError, match="imagenet_weights"):
        load_lite(network, tmp_path / "none.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"cut short")
    with pytest.raises(StorageError, match="safetensors"):
        load_lite(network, tmp_path / "cut.safetensors")
